"""Outcomes from outside: a step that a participant begins, and that somebody else ends under the key that he was given.

One step with two attempts at most, both under one key. The outside acts once for a key, and reports until it is answered.

The step: ``G`` sent, ``B`` begun, ``S`` succeeded, ``D`` being compensated, ``C`` compensated.
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
    aborts: int = 0
    failures: int = 0


NO_FAULTS = Faults()


class State(NamedTuple):
    mode: str  # F forward, R turning back, E completed, X compensated
    step: str
    attempt: int
    processes: tuple[tuple[str, int] | None, ...]  # (what it is about to do, the attempt)
    handed: tuple[int, ...]  # the attempts that the outside was given
    stands: bool  # what the outside did
    report: tuple[str, int] | None  # that the outside still makes: (success or failure, attempt)
    refused: bool  # the outside refuses the key, or has undone what it did
    left: Faults


@dataclass(frozen=True)
class Outside:
    """The world and its rules. A rule's first value is the one that holds."""

    left: Faults = NO_FAULTS
    ends: bool = False

    early: bool = True  # an outcome is accepted as soon as the step was sent, not only once it has begun
    names_attempt: bool = True  # a failure names the attempt that it was given
    revokes: bool = True  # the compensation makes the outside refuse the key before it undoes
    undoes: bool = False  # or: an outcome that comes too late is refused, and the outside undoes what it did

    def begin(self) -> State:
        return State("F", "G", 1, (None, None), (), False, None, False, self.left)

    def moves(self, state: State) -> Iterator[Move[State]]:
        yield from self.processes_work(state)
        yield from self.outside_acts(state)
        if state.report is not None:
            yield self.reported(state, state.report)
        if state.left.aborts and state.mode == "F":
            left = state.left._replace(aborts=state.left.aborts - 1)
            yield Move("operator aborts", OPERATOR, state._replace(mode="R", step="D", left=left))
        if state.mode == "R" and state.step == "D":
            refused = self.revokes or state.refused
            after = state._replace(mode="X", step="C", stands=False, refused=refused)
            yield Move("COMPENSATION" + (", key revoked outside" if self.revokes else ""), WORK, after)

    @staticmethod
    def processes_work(state: State) -> Iterator[Move[State]]:
        due = state.mode == "F" and state.step == "G"
        for place, work in enumerate(state.processes):
            if work is None:
                if due:
                    begun = put(state.processes, place, ("hand out", state.attempt))
                    yield Move(f"a process begins attempt {state.attempt}", WORK, state._replace(processes=begun))
                    break
                continue
            phase, attempt = work
            if phase == "hand out":
                handed = tuple(sorted({*state.handed, attempt}))
                after = state._replace(processes=put(state.processes, place, ("append", attempt)), handed=handed)
                yield Move(f"attempt {attempt} is handed to the outside", WORK, after)
            else:
                legal = due and attempt == state.attempt
                after = state._replace(processes=put(state.processes, place, None), step="B" if legal else state.step)
                yield Move("appends: begun" if legal else "begun is no longer legal", WORK, after)
            if state.left.crashes:
                left = state.left._replace(crashes=state.left.crashes - 1)
                yield Move("a process dies", FAULT, state._replace(processes=put(state.processes, place, None), left=left))
        alive = any(work is not None and work[1] == state.attempt for work in state.processes)
        if due and (not alive or state.left.lost_leases):
            more = state._replace(attempt=2) if state.attempt == 1 else state._replace(mode="R", step="D")
            if alive:
                more = more._replace(left=state.left._replace(lost_leases=state.left.lost_leases - 1))
            yield Move(f"the leader: attempt {state.attempt} is unknown", FAULT if alive else SWEEP, more)

    def outside_acts(self, state: State) -> Iterator[Move[State]]:
        done = state.step == "S" or (state.step == "C" and self.undoes)
        if not state.handed or state.stands or state.refused or state.report is not None or done:
            return
        yield Move("OUTSIDE does it", WORK, state._replace(stands=True, report=("success", state.handed[-1])))
        if state.left.failures:
            left = state.left._replace(failures=state.left.failures - 1)
            attempt = state.handed[0]
            yield Move(f"outside fails, of attempt {attempt}", FAULT, state._replace(report=("failure", attempt), left=left))

    def reported(self, state: State, report: tuple[str, int]) -> Move[State]:
        how, attempt = report
        heard = state._replace(report=None)
        accepted = state.mode == "F" and state.step in ("GB" if self.early else "B")
        if how == "success" and accepted:
            return Move("POST outcome: success", WORK, heard._replace(mode="E", step="S"))
        if how == "success" and self.undoes and state.mode != "F":
            return Move("POST outcome: 409, undone outside", WORK, heard._replace(stands=False, refused=True))
        if how == "success":
            return Move("POST outcome: refused", WORK, heard)
        if accepted and (attempt == state.attempt or not self.names_attempt):
            broken = None if attempt == state.attempt else f"a failure of attempt {attempt} ends attempt {state.attempt}"
            return Move(f"POST outcome: failure of attempt {attempt}", WORK, heard._replace(mode="R", step="D"), broken)
        return Move("POST outcome: a failure of an older attempt changes nothing", WORK, heard)

    def broken(self, state: State) -> str | None:
        if state.mode == "X" and state.stands and not (self.undoes and state.report):
            return "compensated, and what the outside did stands"
        return None

    def promises(self) -> tuple[Promise[State], ...]:
        if not self.ends:
            return ()
        return (Promise("the saga ends", frozenset({WORK, SWEEP}), lambda state: state.mode in "EX"),)
