"""The moves of a change of the bus, or of the election, as a table (:mod:`goconductor.ports.store` has the phases).

The table has for each phase, and for each direction that is asked for, what the move waits for and where it leads. It is pure:
a choice and the living processes go in, the next choice comes out. :mod:`goconductor.control.installation.changes` reads and
writes them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from goconductor.control.wording import together
from goconductor.errors import RequestRefusedError
from goconductor.ports.store import Instance
from goconductor.ports.store.leading.choices import Choice, Phase, Report

SHOWN_MAX = 5
"""Processes that an error names."""


class Process:
    """A living instance, and its report on one kind of choice."""

    def __init__(self, instance: Instance, kind: str) -> None:
        self.instance = instance
        self.report: Report | None = instance.reports.get(kind)

    def __str__(self) -> str:
        return f"{self.instance.participant} {self.instance.serial} ({self.instance.name})"


class Situation(NamedTuple):
    """A change at one moment.

    Attributes:
        choice: the present choice.
        processes: the living processes that take part.
        to: the name that is asked for.
        is_over: whether the time for draining is over.
    """

    choice: Choice
    processes: Sequence[Process]
    to: str
    is_over: bool


class Direction(enum.Enum):
    """Where the name that is asked for stands in the choice."""

    CHOSEN = "chosen"
    BESIDE = "beside"
    ANOTHER = "another"


class Move(NamedTuple):
    """What a move waits for, and the choice that it leads to."""

    may_go: Callable[[Situation], bool]
    goes_to: Callable[[Situation], Choice]


def _at_once(_: Situation) -> bool:
    return True


def _all_name_it(now: Situation) -> bool:
    refuse_unless_named(now.choice.kind, now.to, now.processes)
    return all(each.report is not None for each in now.processes)


def _all_arrived(now: Situation) -> bool:
    return not any(waits_for(now.choice, now.processes))


def _drained(now: Situation) -> bool:
    return _all_arrived(now) or (now.is_over and not any(waits_for(now.choice, now.processes, quiet=False)))


def _begun(now: Situation) -> Choice:
    return replace(now.choice, beside=now.to, phase=Phase.JOINING)


def _swapped(now: Situation) -> Choice:
    return replace(now.choice, chosen=now.to, beside=now.choice.chosen, phase=Phase.DRAINING)


def _ended(now: Situation) -> Choice:
    return replace(now.choice, beside="", phase=Phase.SETTLED)


MOVES: Mapping[tuple[Phase, Direction], Move | None] = {
    (Phase.SETTLED, Direction.ANOTHER): Move(_all_name_it, _begun),
    (Phase.SETTLED, Direction.CHOSEN): None,
    (Phase.JOINING, Direction.BESIDE): Move(_all_arrived, _swapped),
    (Phase.JOINING, Direction.CHOSEN): Move(_at_once, _ended),
    (Phase.DRAINING, Direction.CHOSEN): Move(_drained, _ended),
    (Phase.DRAINING, Direction.BESIDE): Move(_at_once, _swapped),
}
"""None where nothing is left to do. The moves that go at once turn a change back. A combination that is missing is refused."""


def direction_of(choice: Choice, to: str) -> Direction:
    """Return where a name stands in a choice."""
    return Direction.CHOSEN if to == choice.chosen else Direction.BESIDE if to == choice.beside else Direction.ANOTHER


def following(now: Situation) -> Choice | None:
    """Return the choice after this one; None where there is none, or not yet.

    Raises:
        RequestRefusedError: processes use several, a living process does not name the one that is asked for, or another change
            is under way.
    """
    choice = now.choice
    if choice.phase is Phase.SETTLED and not choice.chosen:
        used = sorted({each.report.uses for each in now.processes if each.report})
        raise RequestRefusedError(
            f"living processes use several: {together(used)}; give all the same {choice.kind} first, then change it"
        )
    try:
        move = MOVES[choice.phase, direction_of(choice, now.to)]
    except KeyError:
        raise RequestRefusedError(
            f"the {choice.kind} is being changed: {choice.chosen} is used, {choice.beside} beside it, asked for by "
            f"{choice.by or '?'}; end that first, with --to {choice.beside} or --to {choice.chosen}"
        ) from None
    return move.goes_to(now) if move is not None and move.may_go(now) else None


def waits_for(choice: Choice, processes: Sequence[Process], *, quiet: bool = True) -> Iterator[str]:
    """Yield each process that has not arrived in the present phase, and what hinders it.

    Args:
        choice: the present choice.
        processes: the living processes.
        quiet: whether the bus that is left must be quiet as well.
    """
    for each in processes:
        report = each.report
        if report is None:
            yield f"{each} has not reported what it names: it is just starting, or of an older version"
        elif choice.chosen and choice.chosen not in report.names:
            if choice.phase is Phase.JOINING and choice.beside in report.names:
                continue  # it was left behind, and where all go now it is already
            yield f"{each} does not name {choice.chosen}; restart it with settings that do"
        elif report.problem:
            yield f"{each}: {report.problem}"
        elif report.number != choice.number:
            yield f"{each} has not arrived yet"
        elif quiet and choice.phase is Phase.DRAINING and not report.quiet:
            yield f"{each} still receives over {choice.beside}"


def refuse_unless_named(kind: str, to: str, processes: Sequence[Process]) -> None:
    """Refuse a name that a living process does not have in its settings.

    Raises:
        RequestRefusedError: there is such a process.
    """
    without = [each for each in processes if each.report and to not in each.report.names]
    if without:
        named = together([str(each) for each in without[:SHOWN_MAX]])
        more = f" and {len(without) - SHOWN_MAX} more" if len(without) > SHOWN_MAX else ""
        raise RequestRefusedError(
            f"{len(without)} living processes do not name {kind} {to!a}: {named}{more}; roll out {kind}.others to them first"
        )
