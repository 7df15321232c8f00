"""A compensation that is handed out: somebody outside undoes what was done, and reports until he is answered.

One step, whose effect stands. It goes back, and after a restart it has its effect anew, and goes back again: two rounds, each
with two attempts at most under one key. The outside acts once for a key. What he has reported may come once more, at any time.

The compensation: ``D`` sent, ``W`` known to be handed out, ``C`` compensated, ``K`` left to an operator, ``Z`` skipped by force.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.protocol.explorer import FAULT, OPERATOR, SWEEP, WORK, Move, Promise
from tests.protocol.runs import put


class Faults(NamedTuple):
    """How often each thing may still happen."""

    crashes: int = 0
    lost_leases: int = 0
    failures: int = 0
    repeats: int = 0
    restarts: int = 0
    skips: int = 0


NO_FAULTS = Faults()


class Report(NamedTuple):
    """What the outside says: whether it is undone, of which attempt, in which round."""

    undone: bool
    attempt: int
    round: int


class State(NamedTuple):
    """The saga, its processes, and what is outside."""

    undo: str
    round: int
    attempt: int
    process: tuple[tuple[str, int, int] | None, ...]  # (what it is about to do, attempt, round)
    given: tuple[tuple[int, int], ...]  # (attempt, round) that the outside has in hand
    stands: tuple[bool, bool]  # the effect of each round
    reports: tuple[Report, ...]  # under way
    left: Faults


@dataclass(frozen=True)
class OutsideUndo:
    """The world and its rules. A rule's first value is the one that holds."""

    left: Faults = NO_FAULTS
    ends: bool = False

    early: bool = True  # a report is accepted as soon as the compensation was sent, not only once it is known to be handed out
    names_round: bool = True  # a report names its round
    late: bool = True  # a success counts also where the compensation is stuck
    asked: bool = True  # who is silent is asked

    def begin(self) -> State:
        return State("D", 0, 1, (None, None), (), (True, False), (), self.left)

    def moves(self, state: State) -> Iterator[Move[State]]:
        yield from self.processes_work(state)
        yield from self.outside_acts(state)
        for place, report in enumerate(state.reports):
            rest = state.reports[:place] + state.reports[place + 1 :]
            yield self.reported(state._replace(reports=rest), report)
            if state.left.repeats:
                left = state.left._replace(repeats=state.left.repeats - 1)
                yield self.reported(state._replace(left=left), report)
        yield from self.operator_asks(state)

    @staticmethod
    def processes_work(state: State) -> Iterator[Move[State]]:
        for place, work in enumerate(state.process):
            if work is None:
                if state.undo == "D":
                    begun = put(state.process, place, ("hand out", state.attempt, state.round))
                    yield Move(f"a process begins attempt {state.attempt}", WORK, state._replace(process=begun))
                    break
                continue
            phase, attempt, round = work
            if phase == "hand out":
                given = tuple(sorted({*state.given, (attempt, round)}))
                after = state._replace(process=put(state.process, place, ("append", attempt, round)), given=given)
                yield Move(f"attempt {attempt} is handed to the outside", WORK, after)
            else:
                legal = state.undo == "D" and (attempt, round) == (state.attempt, state.round)
                after = state._replace(process=put(state.process, place, None), undo="W" if legal else state.undo)
                yield Move("appends: handed out" if legal else "handed out is no longer legal", WORK, after)
            if state.left.crashes:
                left = state.left._replace(crashes=state.left.crashes - 1)
                yield Move("a process dies", FAULT, state._replace(process=put(state.process, place, None), left=left))
        alive = any(work is not None and work[1:] == (state.attempt, state.round) for work in state.process)
        if state.undo == "D" and (not alive or state.left.lost_leases) and any(g[1] == state.round for g in state.given):
            left = state.left if not alive else state.left._replace(lost_leases=state.left.lost_leases - 1)
            again = state._replace(attempt=2, left=left) if state.attempt == 1 else state._replace(undo="K", left=left)
            yield Move(f"the leader: attempt {state.attempt} is unknown", FAULT if alive else SWEEP, again)

    def outside_acts(self, state: State) -> Iterator[Move[State]]:
        for attempt, round in state.given:
            rest = tuple(each for each in state.given if each != (attempt, round))
            done = state._replace(given=rest, stands=put(state.stands, round, False))
            said = done._replace(reports=_with(state.reports, Report(True, attempt, round)))
            yield Move(f"OUTSIDE undoes round {round}", WORK, said)
            if state.left.failures and state.stands[round]:
                left = state.left._replace(failures=state.left.failures - 1)
                fails = state._replace(given=rest, reports=_with(state.reports, Report(False, attempt, round)), left=left)
                yield Move(f"outside cannot, attempt {attempt}", FAULT, fails)

    def reported(self, heard: State, report: Report) -> Move[State]:
        of_now = report.round == heard.round or not self.names_round
        accepted = heard.undo in ("DW" if self.early else "W") + ("K" if self.late and report.undone else "")
        if not (of_now and accepted):
            return Move("POST outcome: refused, or as before", WORK, heard)
        if report.undone:
            return Move("POST outcome: undone", WORK, heard._replace(undo="C"))
        if report.attempt != heard.attempt:
            return Move("POST outcome: a failure of an older attempt changes nothing", WORK, heard)
        if heard.attempt == 1:
            return Move("POST outcome: failed, tried again", WORK, heard._replace(undo="D", attempt=2))
        return Move("POST outcome: failed for good", WORK, heard._replace(undo="K"))

    def operator_asks(self, state: State) -> Iterator[Move[State]]:
        if state.undo == "W" and state.attempt == 1 and self.asked:
            yield Move("the outside is silent, and is asked", SWEEP, state._replace(undo="D", attempt=2))
        if state.undo in "DWK" and state.left.skips:
            left = state.left._replace(skips=state.left.skips - 1)
            yield Move("operator skips by force", OPERATOR, state._replace(undo="Z", left=left))
        if state.undo == "K":
            yield Move("operator declares it", OPERATOR, state._replace(undo="Z"))
        if state.undo == "C" and state.left.restarts and state.round == 0:
            left = state.left._replace(restarts=state.left.restarts - 1)
            again = state._replace(undo="D", round=1, attempt=1, stands=put(state.stands, 1, True), left=left)
            yield Move("a new round has its effect, and goes back", OPERATOR, again)

    def broken(self, state: State) -> str | None:
        if state.undo == "C" and state.stands[state.round]:
            return f"compensated, and the effect of round {state.round} stands"
        return None

    def promises(self) -> tuple[Promise[State], ...]:
        if not self.ends:
            return ()
        return (Promise("the compensation ends", frozenset({WORK, SWEEP}), lambda state: state.undo in "CZK"),)


def _with(reports: tuple[Report, ...], report: Report) -> tuple[Report, ...]:
    return tuple(sorted({*reports, report}))
