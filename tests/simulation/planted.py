"""Bugs that are planted to see whether the simulation finds them: rules of the protocol taken away, one at a time.

Each is a patch of the production code for as long as a run takes. A new rule of the engine deserves one here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from goconductor.engine.intake import Intake
from goconductor.engine.log.folding import Folded
from goconductor.engine.running import runners
from goconductor.engine.steps.context import StepContext
from goconductor.journals.keys import State
from goconductor.journals.memory import MemoryJournal
from goconductor.lifecycle.answers import Asking
from goconductor.lifecycle.facts.effects import EndSaga
from goconductor.lifecycle.facts.events import StepEvent
from goconductor.lifecycle.facts.state import Answer
from goconductor.lifecycle.facts.status import CLOSED_COMPENSATIONS, NO_COMPENSATION, ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import outside, terminating
from goconductor.lifecycle.moves.kinds import call
from goconductor.lifecycle.moves.retrying import Attempts
from goconductor.lifecycle.moves.returning import turning
from goconductor.ports.journal import EffectKey
from goconductor.ports.store import Acquire, Acquired, Append, Lease, LeaseKey
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.stores.memory.log.permits import MemoryPermits
from tests.simulation.simulated.faults import Fault
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate

Patch = pytest.MonkeyPatch


class Planted(NamedTuple):
    """A bug.

    Attributes:
        about: what is wrong.
        plant: patches the code.
        kinds: the faults that may come; all, unless it needs many of a few.
        near: a seed shortly before one that finds it, where those before find nothing: tests look from there on.
    """

    about: str
    plant: Callable[[Patch], None]
    kinds: tuple[Fault, ...] = tuple(Fault)
    near: int = 0


def _revived(patch: Patch) -> None:
    async def renew(self: MemoryLeases, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        held = self._data.leases
        return self._put_leases(
            [each for each in leases if each.key not in held or held[each.key].token == each.token], lease_seconds
        )

    patch.setattr(MemoryLeases, "renew", renew)


def _unguarded(patch: Patch) -> None:
    real = MemoryLog._append

    def append(self: MemoryLog, append: Append) -> Any:
        head = self._data.heads.get(append.saga_id)
        return real(self, append if head is None else replace(append, seq=head.seq, tag=head.tag))

    patch.setattr(MemoryLog, "_append", append)


def _not_woken(patch: Patch) -> None:
    real = Folded.append

    def append(self: Folded, instance: int, takes: Any) -> Append:
        made = real(self, instance, takes)
        return replace(made, wake_at=None if made.wake_at is None else made.wake_at + 1e6)

    patch.setattr(Folded, "append", append)


def _unchecked(patch: Patch) -> None:
    """Take the engine's own check of its invariants away: else that would find the bug, and not the simulation."""
    patch.setattr("goconductor.lifecycle.decide.check", lambda fold: fold.touched.clear())


def _in_order(patch: Patch) -> None:
    real = turning.advance

    def advance(fold: Fold, closed: str | None = None) -> bool:
        if fold.rewound:
            return real(fold, closed)
        if fold.open_actions:
            return False
        left = [
            name
            for name in fold.plan.order
            if fold.needs_compensation(name) and fold.step(name).compensation.status not in CLOSED_COMPENSATIONS
        ]
        if not left:
            fold.phase = SagaStatus.COMPENSATED
            fold.effects.append(EndSaga(SagaStatus.COMPENSATED))
        for name in left:
            first = not any(before in left for before in fold.plan.predecessors[name])
            if first and fold.step(name).compensation.status is NO_COMPENSATION and not fold.paused:
                call.compensate(fold, name)
        return False

    _unchecked(patch)
    patch.setattr(turning, "advance", advance)


def _another_key(patch: Patch) -> None:
    real = StepContext.idempotency_key

    def key(self: StepContext) -> str:
        return f"{real.fget(self)}/{self.attempt}"  # type: ignore[attr-defined]

    patch.setattr(StepContext, "idempotency_key", property(key))


def _another_journal_key(patch: Patch) -> None:
    real = runners.key_of

    def key_of(work: Any) -> EffectKey:
        key = real(work)
        return EffectKey(action=f"{key.action}/{work.view.state.step(work.step).action.attempt}", compensation=key.compensation)

    patch.setattr(runners, "key_of", key_of)


def _late_outcome(patch: Patch) -> None:
    def expect(self: Attempts[Any], fold: Fold, event: StepEvent) -> Any:
        return self.side(fold.step(event.step))

    patch.setattr(Attempts, "expect", expect)


def _forgotten_unknown(patch: Patch) -> None:
    real = Fold.needs_compensation

    def needs(self: Fold, name: str) -> bool:
        return real(self, name) and self.step(name).action.status is not ActionStatus.UNKNOWN

    _unchecked(patch)
    patch.setattr(Fold, "needs_compensation", needs)


def _forgotten_in_rewind(patch: Patch) -> None:
    real = Fold.needs_compensation

    def needs(self: Fold, name: str) -> bool:
        return real(self, name) and not (name in self.rewound and self.step(name).action.status is ActionStatus.UNKNOWN)

    patch.setattr(Fold, "needs_compensation", needs)


def _head_before_lease(patch: Patch) -> None:
    async def acquired(self: Intake, requests: list[Acquire]) -> list[Acquired]:
        leases: Any = self._leases
        database = leases._database
        read = database.store.log.read
        tails = await database.call(leases._link, "log.read", read, ([request.known for request in requests],), {})
        answers = await leases.acquire(requests)
        return [replace(one, tail=tail) if one.granted else one for one, tail in zip(answers, tails, strict=True)]

    patch.setattr(Intake, "_acquired", acquired)


def _unfenced(patch: Patch) -> None:
    patch.setattr(Data, "leads", lambda self, epoch: self.term is not None and epoch > 0)


def _acknowledged_first(patch: Patch) -> None:
    real = Intake._run_step

    async def run_step(self: Intake, delivery: Any, body: Any) -> None:
        delivery.acknowledge()
        await real(self, delivery, body)

    patch.setattr(Intake, "_run_step", run_step)


def _shared_lease(patch: Patch) -> None:
    def acquire(self: MemoryLeases, request: Acquire, now: float) -> bool:
        self._data.leases[request.lease.key] = replace(request.lease, expires_at=now + request.lease_seconds)
        return True

    patch.setattr(MemoryLeases, "_acquire", acquire)


def _early_timer(patch: Patch) -> None:
    real = MemoryLog._append

    def append(self: MemoryLog, append: Append) -> Any:
        return real(self, replace(append, due_at=None))

    patch.setattr(MemoryLog, "_append", append)


def _late_action(patch: Patch) -> None:
    real = MemoryJournal._claim

    async def claim(self: MemoryJournal, tx: Any, key: str, state: State, result: bytes | None = None) -> Any:
        row = await real(self, tx, key, state, result)
        if row is None and state is State.REFUSED:  # nothing is written, so that the action may still come
            del tx._rows[key]
            del self._holders[key]
        return row

    patch.setattr(MemoryJournal, "_claim", claim)


def _reported_late(patch: Patch) -> None:
    real = outside.check

    def check(fold: Fold, event: Any) -> None:
        if fold.step(event.step).compensation.status in (NO_COMPENSATION, CompensationStatus.SETTLING):
            real(fold, event)

    patch.setattr(outside, "check", check)


def _asked_again(patch: Patch) -> None:
    real, present = Asking.answered, random.Random(1)

    def answered(self: Asking, key: str, ask: Callable[[], Answer]) -> Answer:
        step = key.split("/", maxsplit=1)[0]
        return present.random() < 0.5 if step in self.plan.untils else real(self, key, ask)

    patch.setattr(Asking, "answered", answered)


def _terminated_at_once(patch: Patch) -> None:
    patch.setattr(terminating, "_close", lambda _fold, _name, _step: None)
    patch.setattr(terminating, "_end_if_closed", terminating._end)


_OVERLAPPING = (Fault.CUT_OFF, Fault.PAUSE, Fault.STEP_FAILS, Fault.STEP_HANGS)
"""Faults by which two attempts of a step run at once."""
_OVERTAKING = (Fault.CUT_OFF, Fault.PAUSE, Fault.CRASH, Fault.STEP_FAILS)
"""Faults by which a compensation can overtake its action."""
_OUTSIDE = (Fault.STEP_HANDED_OUT, Fault.STEP_FAILS, Fault.OPERATOR, Fault.CRASH)
"""Faults by which an outcome from outside comes late."""
_TERMINATING = (Fault.OPERATOR, Fault.STEP_HANGS)
"""Faults by which a saga is terminated while its steps run."""


_REWINDING = (Fault.CUT_OFF, Fault.PAUSE, Fault.CRASH, Fault.STEP_HANGS, Fault.OPERATOR)
"""Faults by which a saga is restarted while outcomes are lost or late."""


def _unlimited(patch: Patch) -> None:
    patch.setattr(MemoryPermits, "_room", lambda *_: float("inf"))
    patch.setattr(MemoryPermits, "_put", lambda *_: None)


BUGS: dict[str, Planted] = {
    "limit not counted": Planted("a limited step gets a permit however many there are", _unlimited),
    "revived lease": Planted("a renewal brings back a lease that was released", _revived, near=60),
    "append without guard": Planted("an append wins whatever was appended meanwhile", _unguarded),
    "wake_at forgotten": Planted("an append does not say when the leader must look", _not_woken),
    "compensation in order": Planted("compensations run in the order of the graph", _in_order),
    "retry under another key": Planted("each attempt has a key of its own", _another_key),
    "another key in the journal": Planted("each attempt has a key of its own in the journal", _another_journal_key),
    "late outcome": Planted(
        "a failure of an attempt that was given up counts for the present one", _late_outcome, _OVERLAPPING, near=25
    ),
    "forgotten unknown": Planted("a step whose outcome is unknown is not compensated", _forgotten_unknown),
    "forgotten in a rewind": Planted(
        "a step of a rewind whose outcome is unknown is not compensated", _forgotten_in_rewind, _REWINDING, near=30
    ),
    "head before lease": Planted("the head is read before the lease is taken", _head_before_lease),
    "no fence": Planted("a leader of the past writes", _unfenced),
    "acknowledged first": Planted("a message is acknowledged before its lease is taken", _acknowledged_first),
    "shared lease": Planted("a lease is granted while somebody holds it", _shared_lease),
    "early timer": Planted("a timer counts though the database's clock has not reached it", _early_timer),
    "terminated at once": Planted("a saga is terminated without the keys of what is out", _terminated_at_once, _TERMINATING),
    "reported late": Planted(
        "an outcome is taken from outside though its compensation has begun", _reported_late, _OUTSIDE, near=150
    ),
    "growth of the present": Planted("a replay grows the turns that a condition wants now, not those of the log", _asked_again),
    "late action": Planted("a compensation or settlement does not keep a late action out", _late_action, _OVERTAKING),
}
"""By name."""


def seeds_needed(bug: Planted, *, runs_max: int, first: int = 0) -> tuple[int, Result | None]:
    """Run seeds until one finds a bug.

    Args:
        bug: which.
        runs_max: how many are tried.
        first: the first of them.

    Returns:
        how many it took, and the run that found it; None if none did.
    """
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        for run in range(runs_max):
            result = simulate(Options(seed=first + run, kinds=bug.kinds))
            if result.wrong:
                return run + 1, result
    return runs_max, None
