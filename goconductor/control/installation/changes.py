"""Changes the bus, or the election, while sagas run: one move after the other.

The moves are those of :mod:`goconductor.control.installation.phases`. :func:`change` goes as far as it can at once and
returns what it waits for. The next call goes on from there, in any process. So an interrupted command, or a restart of a server,
costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from goconductor.control.actor import Actor
from goconductor.control.audit.noting import noted
from goconductor.control.installation.phases import Process, Situation, following, waits_for
from goconductor.control.models import ChangeDetail, ProcessDetail, moment
from goconductor.control.wording import together
from goconductor.errors import RequestRefusedError
from goconductor.ports.store import Store
from goconductor.ports.store.leading.choices import BUS, Choice, Phase

DRAIN_SECONDS = 60.0
"""Greatest seconds during which the bus that is left is still read; the sweep sends again what it has then."""


async def present(actor: Actor, store: Store, kind: str, *, named: Sequence[str]) -> ChangeDetail:
    """Return which one is used, by which processes, and how far a change is.

    Args:
        actor: the actor of the request.
        store: the engine's.
        kind: ``bus`` or ``election``.
        named: the names in the caller's settings. The first, its own, counts where no process lives and nothing was ever changed.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    return _detail(kind, *await _look(store, kind, named[0]))


@noted("{kind}", detail=lambda given: given["to"])
async def change(
    actor: Actor,
    store: Store,
    kind: str,
    *,
    to: str,
    named: Sequence[str],
    drain_seconds: float = DRAIN_SECONDS,
    force: bool = False,
    going_on: bool = False,
) -> ChangeDetail:
    """Begin a change, or go on with it as far as is possible now; ask again until it is ``done``.

    A change can be turned back at any moment by asking for the one that is being left.

    Args:
        actor: the actor of the request.
        store: the engine's.
        kind: ``bus`` or ``election``.
        to: the one to be used.
        named: as for :func:`present`.
        drain_seconds: greatest seconds during which the bus that is left is read, after all send over the other.
        force: leave processes behind that do not name it: they must restart with other settings.
        going_on: the asker has begun this change, and does not want to turn back what somebody else asks for meanwhile.

    Raises:
        RequestRefusedError: nobody names it, or a living process does not; processes use several; another change is under way; or
            somebody has turned this one back.
        StoreUnavailableError: the database cannot be reached; ask again.
    """
    while True:
        choice, processes = await _look(store, kind, named[0])
        _refuse_unknown(kind, to, processes, named)
        heads_for = choice.beside if choice.phase is Phase.JOINING else choice.chosen
        if going_on and heads_for != to:
            who = choice.by or "somebody else"
            raise RequestRefusedError(f"{who} has asked for the {kind} {heads_for} meanwhile; agree with them, and ask again")
        left: list[str] = []
        if force:
            left = [str(each) for each in processes if not each.report or to not in each.report.names]
            processes = [each for each in processes if each.report and to in each.report.names]
        is_over = choice.phase is Phase.DRAINING and await store.terms.database_time() - choice.since >= drain_seconds
        coming = following(Situation(choice, processes, to, is_over))
        if coming is None:
            return _detail(kind, choice, processes, left)
        going_on = True
        await store.choices.choose(replace(coming, number=choice.number + 1, by=actor.name))


async def _look(store: Store, kind: str, home: str) -> tuple[Choice, list[Process]]:
    found = await store.choices.current(kind)
    living = [
        one for one, presence in await store.instances.presence(dead_since=await store.terms.database_time()) if presence.alive
    ]
    # A process that has joined the bus and reports no election takes part in none: it is a client.
    processes = [Process(one, kind) for one in living if kind == BUS or kind in one.reports or BUS not in one.reports]
    if found is None:
        used = {each.report.uses for each in processes if each.report} or {home}
        found = Choice(kind=kind, chosen=used.pop() if len(used) == 1 else "")
    return found, processes


def _refuse_unknown(kind: str, to: str, processes: Sequence[Process], named: Sequence[str]) -> None:
    known = {name for each in processes if each.report for name in each.report.names} | set(named)
    if to not in known:
        raise RequestRefusedError(
            f"nobody names {kind} {to!a}, there are {together(sorted(known))}; add it to {kind}.others in the settings of all "
            "services, and restart them one after the other"
        )


def _detail(kind: str, choice: Choice, processes: Sequence[Process], left: Sequence[str] = ()) -> ChangeDetail:
    waits = list(waits_for(choice, processes))
    return ChangeDetail(
        kind="bus" if kind == BUS else "election",
        chosen=choice.chosen or None,
        beside=choice.beside or None,
        phase=choice.phase.value,
        number=choice.number,
        since=moment(choice.since) if choice.since else None,
        by=choice.by,
        done=choice.phase is Phase.SETTLED and bool(choice.chosen) and not waits,
        waits_for=waits,
        left_behind=list(left),
        instances=[
            ProcessDetail(
                serial=each.instance.serial,
                participant=each.instance.participant,
                name=each.instance.name,
                names=each.report.names,
                uses=each.report.uses,
                number=each.report.number,
                problem=each.report.problem,
            )
            for each in processes
            if each.report
        ],
    )
