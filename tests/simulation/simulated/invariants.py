"""What must be true of a simulation after every event, by the store and the services' databases, and not by what programs say.

The numbers are those by which the requirements call them: money (I1), one effect (I2), the order of
compensation (I3), a legal history (I6), fencing (I7), timers (I9), limits over all instances (W15).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from goconductor.engine.facts import log
from goconductor.engine.steps.context import StepContext
from goconductor.engine.work.granted import Granted
from goconductor.errors import GoConductorError, InvariantError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.invariants import violations
from goconductor.lifecycle.pending_work import is_pending
from goconductor.lifecycle.replay import replay
from goconductor.messages import codec
from goconductor.messages.envelope import RunStep
from goconductor.ports.bus import Message
from goconductor.ports.store import Lease, LeaseKey, Limit, LogEntry, Outcome, PermitAnswer, Verdict
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.plan import Plan
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.locks import MemoryLocks
from goconductor.testing.checkers import Recorded, compensation_order
from tests.simulation.simulated.children import left_behind
from tests.simulation.simulated.locking import Holders

_TRACEBACK = re.compile(r',"traceback":"(?:[^"\\]|\\.)*"')
_READS = ("recovery.calm_seconds",)
"""Calls that name an epoch, and write nothing except after a crash of the database."""
_BACKWARD = (e.CompensationSucceeded, e.CompensationSettled, e.CompensationFailed, e.OutcomeUnknown)


def _shown(entry: LogEntry) -> str:
    """An event's body for the transcript, without the places of files on this machine."""
    return _TRACEBACK.sub("", entry.data.decode())[:160]


def _is_about_compensation(event: e.Event) -> bool:
    return isinstance(event, e.OutcomeUnknown) and event.direction is Direction.COMPENSATION


class Watched:
    """One saga, as its log tells it."""

    def __init__(self, plan: Plan, saga_id: UUID) -> None:
        self.plan, self.saga_id = plan, saga_id
        self.events: list[e.Event] = []
        self.state: SagaState

    def has(self, *kinds: type[Any]) -> bool:
        """Whether one of these events stands in its log."""
        return any(isinstance(event, kinds) for event in self.events)

    @property
    def was_forced(self) -> bool:
        """Whether it was terminated by force, without the journals' word."""
        return any(isinstance(event, e.TerminationRequested) and event.forced for event in self.events)

    def migrate(self, plan: Plan) -> None:
        """Go on by another version, as a replay of the whole log by it.

        Raises:
            GoConductorError: the log could not have come about under it.
        """
        before = self.state
        self.plan, self.state = plan, replay(plan, self.saga_id, self.events)
        if msgspec.structs.replace(self.state, version="", remaining=0, unkept=None) != msgspec.structs.replace(
            before, version="", remaining=0, unkept=None
        ):
            raise InvariantError("it was migrated, and its past has changed")

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
        limits: those over all instances, by participant and code.
    """

    def __init__(
        self,
        data: Data,
        plan_of: Callable[[str, str], Plan],
        found: Callable[[str], None],
        tell: Callable[[str, str], None],
        limits: Mapping[tuple[str, str], Limit],
    ) -> None:
        self._data, self._plan_of, self._found, self._tell = data, plan_of, found, tell
        self._limits = limits
        self._begun: dict[str, dict[int, LeaseKey]] = defaultdict(dict)
        """By limited step, the leases under which it has begun, by their tokens."""
        self.sagas: dict[UUID, Watched] = {}
        self._epoch = 0
        self._leased_at: dict[int, int] = {}
        """By a lease's token, the seq of its saga when it was taken."""
        self._released: set[int] = set()
        """Tokens of leases that were released."""
        self._asked: set[tuple[LeaseKey, int]] = set()
        """Leases that were asked for, granted or not, with the seq of their sagas then."""
        self._taken: dict[LeaseKey, set[int]] = defaultdict(set)
        """By lease, the seqs of the appends that took it."""
        self._keys: dict[tuple[Any, ...], set[str]] = defaultdict(set)
        self._holders = Holders(data)
        self._held: dict[LeaseKey, dict[int, float]] = defaultdict(dict)
        """By lease, the end of each grant that nobody has ended since, by its token."""

    def done(self, name: str, args: tuple[Any, ...], options: dict[str, Any], answer: Any) -> None:
        """Look at a call of the store that was done."""
        if name == "terms.raise_epoch" and answer is not None:
            self._epoch = max(self._epoch, answer.epoch)
            self._tell("election", f"{answer.holder} leads, epoch {answer.epoch}")
        elif (epoch := options.get("epoch")) is not None and epoch < self._epoch and name not in _READS:
            self._found(f"I7: {name} was done under epoch {epoch}, while {self._epoch} had begun")
        if name == "locks.look":
            for wrong in self._holders.looked(MemoryLocks(self._data).seen(), answer):
                self._found(wrong)
        if name == "recovery.free":
            self._release(args[0])
        elif name == "instances.mark_dead":
            for lease in answer[0]:
                self._held[lease.key].pop(lease.token, None)
        if name == "permits.take":
            for permit, told in zip(args[0], answer, strict=True):
                if told is not PermitAnswer.GRANTED:  # it is queued or held, so its message may go
                    self._asked.add((permit.lease.key, self._seq(permit.lease.key.saga_id)))
        if name.startswith("leases."):
            self._lease(name, args, answer)
        elif name == "starts.start":
            for start, outcome in zip(args[0], answer, strict=True):
                if outcome.verdict is Verdict.WON:
                    self._written(start.saga_id, start.take, outcome)
        elif name == "log.append":
            for append, outcome in zip(args[0], answer, strict=True):
                if outcome.verdict is Verdict.WON:
                    if append.epoch and append.epoch < self._epoch:
                        self._found(f"I7: an append of epoch {append.epoch} won, while {self._epoch} had begun")
                    self._release(append.release)
                    self._written(append.saga_id, append.take, outcome)

    def _lease(self, name: str, args: tuple[Any, ...], answer: Any) -> None:
        """Look at a call about leases: what is held is granted to nobody else (I2), and what was released stays away (I10)."""
        if name == "leases.acquire":
            for request, acquired in zip(args[0], answer, strict=True):
                key = request.lease.key
                self._asked.add((key, self._seq(key.saga_id)))
                if acquired.granted:
                    self._leased_at[request.lease.token] = self._seq(key.saga_id)
                    self._grant(request.lease, request.lease_seconds)
        elif name == "leases.release":
            self._release(args[0])
        else:
            for lease in args[0]:
                if lease.key not in answer:
                    continue
                if name == "leases.renew" and lease.token in self._released:
                    self._found(f"I10: a renewal brought back a lease on {lease.key.step} that was released")
                self._grant(lease, args[1])

    def _grant(self, lease: Lease, seconds: float) -> None:
        now, held = self._data.now(), self._held[lease.key]
        if any(token != lease.token and ends > now for token, ends in held.items()):
            self._found(f"I2: a lease on {lease.key.step} is granted to {lease.instance} while somebody holds it")
        held[lease.token] = now + seconds

    def _release(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self._released.add(lease.token)
            self._held[lease.key].pop(lease.token, None)

    def leases_lost(self) -> None:
        """The database has crashed, and holds no lease any more."""
        self._held.clear()

    def acknowledged(self, message: Message) -> None:
        """Look at a message when it is acknowledged: its lease was asked for, or nobody waits for its work (I5)."""
        _, body = codec.decode(message.payload)
        saga = self.sagas.get(body.saga_id)
        if saga is None or not isinstance(body, RunStep):
            return
        key = LeaseKey(body.saga_id, body.step, body.direction, body.round)
        since = range(body.baton.seq, self._seq(body.saga_id) + 1)
        if any((key, seq) in self._asked or seq in self._taken[key] for seq in since):
            return
        if is_pending(saga.state, body.step, body.direction, body.attempt, body.round):
            self._found(f"I5: the message for {saga.plan.name}.{body.step} is acknowledged before its lease was asked for")

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
                self._taken[take.lease.key].add(head.seq)
                self._grant(take.lease, take.lease_seconds)
        entries = self._data.logs[saga_id]
        if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)) or entries[-1].tag != head.tag:
            self._found(f"I6: the log of saga {head.saga} has a gap, or does not end at its head")
        for entry in entries[len(saga.events) :]:
            self._event(saga, entry)
        for wrong in left_behind(saga, self.sagas) if saga.plan.starts_sagas else ():
            self._found(wrong)
        state = saga.state
        looked_at = head.wake_at if state.parent is not None and state.phase.done else state.wake_at  # until its end was told
        if (state.status, looked_at is None) != (head.status, head.wake_at is None):
            self._found(f"I6: the head of {head.saga} is {head.status}, wake_at {head.wake_at}; its log says {state.status}")
        if any(isinstance(event, _BACKWARD) for event in saga.events) or state.phase.ended:
            for wrong in compensation_order(Recorded(head, saga.plan, entries)):
                self._found(f"I3: {head.saga}: {wrong}")

    def _event(self, saga: Watched, entry: LogEntry) -> None:
        event, now = log.event(entry), self._data.now()
        self._tell("log", f"{saga.plan.name} {entry.seq}: {entry.event} {entry.step} #{entry.attempt} {_shown(entry)}")
        if isinstance(event, e.TimerFired):
            due_at = saga.state.step(event.step).side(event.direction).due_at
            if due_at is None or due_at > now:
                self._found(f"I9: a timer of {saga.plan.name}.{event.step} was due at {due_at} and fired at {now}")
        if isinstance(event, e.ActionFailed | e.CompensationFailed | e.OutcomeUnknown):
            step, backward = saga.state.step(event.step), isinstance(event, e.CompensationFailed)
            side = step.compensation if backward or _is_about_compensation(event) else step.action
            if (event.round, event.attempt) != (step.round, side.attempt):
                self._found(
                    f"I6: {entry.event} of {saga.plan.name}.{event.step} is of attempt {event.attempt} in round {event.round}; "
                    f"the present one is {side.attempt} in {step.round}"
                )
        if isinstance(event, e.DeadlinePassed) and (saga.state.deadline_at is None or saga.state.deadline_at > now):
            self._found(f"I9: the deadline of {saga.plan.name} is {saga.state.deadline_at}, it passed at {now}")
        try:
            if isinstance(event, e.SagaMigrated):
                saga.migrate(self._plan_of(saga.plan.name, event.version))
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
        """Look at granted work that begins: it knows its saga as it was under its lease (I2)."""
        lease, key = work.lease, work.lease.key
        what = f"{work.plan.name}.{key.step} {key.direction} #{work.attempt}"
        limit = self._limits.get(work.plan.owners_of[key.direction][key.step]) if key.direction not in SETTLEMENTS else None
        if limit is not None:
            self._begins_limited(work, limit, what)
        for wrong in self._holders.begins(work) if work.plan.locks else ():
            self._found(wrong)
        if work.view.seq < self._leased_at.get(lease.token, 0):
            self._found(f"I2: {what} begins by event {work.view.seq}, its lease was taken at {self._leased_at[lease.token]}")

    def _begins_limited(self, work: Granted, limit: Limit, what: str) -> None:
        """Look at work under a limit over all instances: it has a permit, and no more have a lease than it says."""
        if work.permit is None:
            self._found(f"W15: {what} begins without a permit of {limit.step}")
        now, begun = self._data.now(), self._begun[limit.step]
        begun[work.lease.token] = work.lease.key
        for token in [token for token, key in begun.items() if self._held[key].get(token, 0.0) <= now]:
            del begun[token]
        if limit.total is not None and len(begun) > limit.total:
            self._found(f"W15: {len(begun)} of {limit.step} run at once, and {limit.total} may")
