"""What must be true of a simulation after every event, by the store and the services' databases, and not by what programs say.

The numbers are those by which the requirements call them: money (I1), one effect (I2), the order of
compensation (I3), a legal history (I6), fencing (I7), timers (I9).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from goconductor.engine.facts import log
from goconductor.engine.steps.context import StepContext
from goconductor.engine.work.granted import Granted
from goconductor.errors import GoConductorError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.invariants import violations
from goconductor.ports.store import Lease, LogEntry, Outcome, Verdict
from goconductor.saga.plan import Plan
from goconductor.stores.memory.data import Data
from goconductor.testing.checkers import Recorded, compensation_order

_READS = ("recovery.calm_seconds",)
"""Calls that name an epoch, and write nothing except after a crash of the database."""
_BACKWARD = (e.CompensationSucceeded, e.CompensationSettled, e.CompensationFailed, e.OutcomeUnknown)


class Watched:
    """One saga, as its log tells it."""

    def __init__(self, plan: Plan, saga_id: UUID) -> None:
        self.plan, self.saga_id = plan, saga_id
        self.events: list[e.Event] = []
        self.state: SagaState

    def has(self, *kinds: type[Any]) -> bool:
        """Whether one of these events stands in its log."""
        return any(isinstance(event, kinds) for event in self.events)

    def take(self, event: e.Event) -> None:
        """Fold one event into the state.

        Raises:
            GoConductorError: it could not have come about.
        """
        self.events.append(event)
        known = Log(self.plan, self.events)
        if isinstance(event, e.SagaStarted):
            self.state = begin(self.plan, self.saga_id, event, known).state
        else:
            self.state = decide(self.plan, self.state, event, known).state


class Watch:
    """Looks at each call of the store, each commit of a service, and each run of a step's code.

    Args:
        data: the store's.
        plan_of: finds a definition by name and version.
        found: called with what is wrong.
        tell: called with what happened.
    """

    def __init__(
        self,
        data: Data,
        plan_of: Callable[[str, str], Plan],
        found: Callable[[str], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._data, self._plan_of, self._found, self._tell = data, plan_of, found, tell
        self.sagas: dict[UUID, Watched] = {}
        self._epoch = 0
        self._leased_at: dict[int, int] = {}
        """By a lease's token, the seq of its saga when it was taken."""
        self._keys: dict[tuple[Any, ...], set[str]] = defaultdict(set)
        self._running: dict[tuple[Any, ...], dict[int, Lease]] = defaultdict(dict)

    def done(self, name: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any) -> None:
        """Look at a call of the store that was done."""
        if name == "terms.raise_epoch" and answer is not None:
            self._epoch = max(self._epoch, answer.epoch)
            self._tell("election", f"{answer.holder} leads, epoch {answer.epoch}")
        elif (epoch := options.get("epoch")) is not None and epoch < self._epoch and name not in _READS:
            self._found(f"I7: {name} was done under epoch {epoch}, while {self._epoch} had begun")
        if name == "starts.start":
            for start, outcome in zip(args[0], answer, strict=True):
                if outcome.verdict is Verdict.WON:
                    self._written(start.saga_id, start.take, outcome)
        elif name == "log.append":
            for append, outcome in zip(args[0], answer, strict=True):
                if outcome.verdict is Verdict.WON:
                    if append.epoch and append.epoch < self._epoch:
                        self._found(f"I7: an append of epoch {append.epoch} won, while {self._epoch} had begun")
                    self._written(append.saga_id, append.take, outcome)
        elif name == "leases.acquire":
            for request, acquired in zip(args[0], answer, strict=True):
                if acquired.granted:
                    self._leased_at[request.lease.token] = self._seq(request.lease.key.saga_id)

    def _seq(self, saga_id: UUID) -> int:
        head = self._data.heads.get(saga_id)
        return 0 if head is None else head.seq

    def _written(self, saga_id: UUID, takes: Sequence[Any], outcome: Outcome) -> None:
        head = self._data.heads[saga_id]
        saga = self.sagas.get(saga_id)
        if saga is None:
            saga = self.sagas[saga_id] = Watched(self._plan_of(head.saga, head.version), saga_id)
        for take in takes:
            if take.lease.token in outcome.took:
                self._leased_at[take.lease.token] = head.seq
        entries = self._data.logs[saga_id]
        if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)) or entries[-1].tag != head.tag:
            self._found(f"I6: the log of saga {head.saga} has a gap, or does not end at its head")
        for entry in entries[len(saga.events) :]:
            self._event(saga, entry)
        state = saga.state
        if (state.status, state.wake_at is None) != (head.status, head.wake_at is None):
            self._found(f"I6: the head of {head.saga} is {head.status}, wake_at {head.wake_at}; its log says {state.status}")
        if any(isinstance(event, _BACKWARD) for event in saga.events) or state.phase.ended:
            for wrong in compensation_order(Recorded(head, saga.plan, entries)):
                self._found(f"I3: {head.saga}: {wrong}")

    def _event(self, saga: Watched, entry: LogEntry) -> None:
        event, now = log.event(entry), self._data.now()
        self._tell(
            "log", f"{saga.plan.name} {entry.seq}: {entry.event} {entry.step} #{entry.attempt} {entry.data.decode()[:160]}"
        )
        if isinstance(event, e.TimerFired):
            due_at = saga.state.step(event.step).side(event.direction).due_at
            if due_at is None or due_at > now:
                self._found(f"I9: a timer of {saga.plan.name}.{event.step} was due at {due_at} and fired at {now}")
        if isinstance(event, e.DeadlinePassed) and (saga.state.deadline_at is None or saga.state.deadline_at > now):
            self._found(f"I9: the deadline of {saga.plan.name} is {saga.state.deadline_at}, it passed at {now}")
        try:
            saga.take(event)
        except GoConductorError as error:
            self._found(f"I6: {saga.plan.name} has an event that could not have come about: {error}")
            return
        for wrong in violations(saga.plan, saga.state):
            self._found(f"I6: {saga.plan.name}: {wrong}")

    def committed(self, held: dict[str, Any]) -> None:
        """Look at what a service's database holds: each effect is there once (I2), and whole (I1)."""
        for key, count in held.items():
            if count > 1:
                self._found(f"I2: {key} is there {count} times")
        if len(held) % 2:
            self._found("I1: an entry has no counter-entry")

    def ran(self, context: StepContext, what: str) -> None:
        """Look at a run of a step's code: a retry has the same key (I2)."""
        saga = self.sagas.get(context.saga_id)
        name = saga.plan.name if saga is not None else "?"
        self._tell("code", f"{name}.{context.step} {context.direction} #{context.attempt} {what}")
        keys = self._keys[context.saga_id, context.step, context.direction, context.round]
        keys.add(context.idempotency_key)
        if len(keys) > 1:
            self._found(f"I2: {name}.{context.step} ran under {len(keys)} keys")

    def begins(self, work: Granted) -> None:
        """Look at granted work that begins: it knows its saga as it was under its lease, and nobody else has it (I2)."""
        lease, key = work.lease, work.lease.key
        what = f"{work.plan.name}.{key.step} {key.direction} #{work.attempt}"
        if work.view.seq < self._leased_at.get(lease.token, 0):
            self._found(f"I2: {what} begins by event {work.view.seq}, its lease was taken at {self._leased_at[lease.token]}")
        others = self._running[key.saga_id, key.step, key.direction, key.round]
        held = self._data.leases.get(key)
        for token, other in others.items():
            if token != lease.token and held is not None and held.token == token and held.expires_at > self._data.now():
                self._found(f"I2: {what} begins in instance {lease.instance} while {other.instance} runs it under its lease")
        others[lease.token] = lease

    def ends(self, work: Granted) -> None:
        """Note that granted work has ended."""
        key = work.lease.key
        self._running[key.saga_id, key.step, key.direction, key.round].pop(work.lease.token, None)
