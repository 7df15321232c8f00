"""New sagas: the first decision, made durable in batches.

What follows a commit is done where the batch comes back, and not by whoever asked: a request may have timed out by then.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from goconductor.engine.facts import log
from goconductor.engine.facts.log import View
from goconductor.engine.facts.orphans import Orphans
from goconductor.engine.log.append import Appender
from goconductor.engine.log.batch import Batcher
from goconductor.engine.log.continuation import Continuation, Room, still_due
from goconductor.engine.observer import SILENT, Observer
from goconductor.engine.work.granted import new_event_id, random_number
from goconductor.errors import GoConductorError, PayloadError, SagaAlreadyStartedError, StoreUnavailableError
from goconductor.lifecycle.decide import begin
from goconductor.lifecycle.facts.effects import Decision, Effect
from goconductor.lifecycle.facts.events import SagaStarted
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.restart import Restart
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.pending_work import looked_at
from goconductor.ports.clock import Clock
from goconductor.ports.store import BATCHES_AT_ONCE, Note, Outcome, Start, Starts, Verdict
from goconductor.ports.store.log.notes import unwritten, written
from goconductor.ports.store.log.transactions import Transaction
from goconductor.saga import ids
from goconductor.saga.data import values
from goconductor.saga.plan import Plan
from goconductor.saga.types.encoding import to_json_value

HELD_UP_SECONDS = 5.0
"""Seconds that a start waits for a key that an open transaction holds."""
HELD_UP_PAUSE_SECONDS = 0.1
"""Seconds between two attempts to take a key that an open transaction holds."""

PATIENCE_LEASES = 2
"""Lives of a lease after which the sweep looks at a saga that has stood still: a message for it may be lost."""


class KeyHeldError(StoreUnavailableError):
    """An open transaction holds the start's key; start again when it has ended. Other starts go on."""


class Started(msgspec.Struct, frozen=True):
    """A saga that was started, or had been under the same key (``existing``); of one that was started now, its first state."""

    saga_id: UUID
    existing: bool = False
    view: View | None = None


class _Asked(msgspec.Struct, frozen=True):
    plan: Plan
    effects: Sequence[Effect]
    continuation: Continuation
    start: Start


class Starter:
    """Starts sagas.

    Args:
        starts: the store's part that begins sagas.
        clock: the database's time, which the ids have.
        room: keeps places, and runs what can run here at once.
        orphans: frees leases that may have been taken though nobody runs under them.
        appender: does what follows the commit.
        instance: answers this process's serial.
        participant: its participant's name, for the record.
        lease_seconds: the life of leases taken with a start.
        input_bytes_max: greatest size of an input, in bytes.
        counts: the counters of events.
        observer: called for each start and each batch.
    """

    def __init__(
        self,
        *,
        starts: Starts,
        clock: Clock,
        room: Room,
        orphans: Orphans,
        appender: Appender,
        instance: Callable[[], int],
        participant: str,
        lease_seconds: float,
        input_bytes_max: int,
        counts: Counter[str],
        observer: Observer = SILENT,
    ) -> None:
        self._kept = starts
        self._clock = clock
        self._room = room
        self._orphans = orphans
        self._appender = appender
        self._instance = instance
        self._participant = participant
        self._lease_seconds = lease_seconds
        self._input_bytes_max = input_bytes_max
        self._counts = counts
        self._observer = observer
        self._starts: Batcher[_Asked, Outcome] = Batcher(
            self._flush, lanes=BATCHES_AT_ONCE, on_flushed=partial(observer.flushed, "start")
        )
        self._held_up: Batcher[_Asked, Outcome] = Batcher(self._flush)
        """Starts whose key an open transaction holds: they wait with each other, and with nobody else."""

    async def start(
        self,
        plan: Plan,
        input: Any,
        *,
        key: str | None,
        labels: Mapping[str, str],
        reply_to: str,
        identity: Any = msgspec.UNSET,
        priority: int = 0,
        restart: Restart | None = None,
    ) -> Started:
        """Start a saga, and run here what can be run at once. Parameters and errors as of :meth:`Starting.start`."""
        with self._observer.starting(plan.name) as starting:
            event = self._event(input, reply_to=reply_to, traceparent=starting.traceparent, priority=priority)
            if restart is not None:
                event = replace(event, restart=restart)
            note = unwritten()
            started = await self._started(plan, event, ids.DEFAULT_NAMESPACE, key, labels, identity, note)
            if note is not None and not started.existing:
                written()
            starting.started(started.saga_id, existing=started.existing)
        return started

    async def start_child(
        self, plan: Plan, parent: Parent, input: Any, *, traceparent: str, priority: int = 0, never: str = ""
    ) -> Started:
        """Start a saga for a step of another one. Whoever does so first decides whether it ever begins.

        Args:
            plan: its definition.
            parent: the step, and its attempt; of them its key is made.
            input: JSON data.
            traceparent: the trace of the step's saga, which this one belongs to.
            priority: that of the step's saga.
            never: why it is to have ended before it begins; empty where it begins.

        Raises:
            PayloadError: the input cannot be kept.
            StoreUnavailableError: the store is away; the start can be repeated safely.
        """
        key = parent.key
        with self._observer.starting(plan.name) as starting:
            event = self._event(input, traceparent=traceparent or starting.traceparent, priority=priority)
            event = replace(event, parent=parent, never=never)
            started = await self._started(plan, event, ids.CHILDREN_NAMESPACE, key, {}, key)
            starting.started(started.saga_id, existing=started.existing)
        return started

    async def _started(
        self,
        plan: Plan,
        event: SagaStarted,
        namespace: str,
        key: str | None,
        labels: Mapping[str, str],
        identity: Any,
        note: Note | None = None,
    ) -> Started:
        view, decision, event = self._begun(plan, event, namespace, key, labels)
        continuation = Continuation(plan, view, still_due(decision.effects, view))
        start = self._start(plan, view, decision.status, event, namespace, key, labels, identity)
        if note is not None:
            start = replace(start, notes=[_about(note, start.saga_id)])
        asked = _Asked(plan, decision.effects, continuation, start)
        outcome = await self._starts.submit(asked)
        if outcome.verdict is Verdict.HELD_UP:
            outcome = await self._wait_for_key(asked)
        return Started(view.state.saga_id, view=view) if outcome.verdict is Verdict.WON else _found(outcome, plan, key)

    async def _flush(self, batch: list[_Asked]) -> list[Outcome]:
        try:
            starts = []
            for asked in batch:
                start = asked.start
                takes = asked.continuation.reserve(self._room, start.instance, self._lease_seconds)
                starts.append(replace(start, take=takes) if takes else start)
            asked_at = self._clock.monotonic()
            outcomes = await self._kept.start(starts)
        except BaseException:  # they may have been started all the same
            for asked in batch:
                self._orphans.add(asked.continuation.let_go())
            raise
        for asked, outcome in zip(batch, outcomes, strict=True):
            plan, continuation = asked.plan, asked.continuation
            continuation.vacate(kept=outcome.took)
            if outcome.verdict is Verdict.WON:
                works = continuation.works(asked_at)
                self._counts["sagas_started"] += 1
                self._observer.appended(plan, None, continuation.view)
                self._appender.act(plan, continuation.view, asked.effects, continuation.due, works)
                self._room.spawn(works)
        return outcomes

    async def start_in(
        self,
        transaction: Transaction,
        plan: Plan,
        input: Any,
        *,
        key: str | None,
        labels: Mapping[str, str],
        reply_to: str,
        identity: Any = msgspec.UNSET,
        priority: int = 0,
    ) -> Started:
        """Start a saga in the caller's own transaction. Parameters and errors as of :meth:`Starting.start`.

        Nothing is sent and no lease is taken, since nobody sees the saga before the commit. It is due at once, so that the
        sweep begins it if nobody else does.
        """
        with self._observer.starting(plan.name) as starting:
            event = self._event(input, reply_to=reply_to, traceparent=starting.traceparent, priority=priority)
            view, decision, event = self._begun(plan, event, ids.DEFAULT_NAMESPACE, key, labels)
            start = self._start(plan, view, decision.status, event, ids.DEFAULT_NAMESPACE, key, labels, identity)
            if start.wake_at is not None:
                start = replace(start, wake_at=event.at)
            if (note := unwritten()) is not None:
                start = replace(start, notes=[_about(note, start.saga_id)])
            outcome = await self._kept.start_in(transaction, start)
            if outcome.verdict is not Verdict.WON:
                return _found(outcome, plan, key)
            if note is not None:
                written()
            self._counts["sagas_started_in_transactions"] += 1
            starting.started(view.state.saga_id, existing=False)
        return Started(view.state.saga_id)

    def _event(self, input: Any, *, reply_to: str = "", traceparent: str = "", priority: int = 0) -> SagaStarted:
        return SagaStarted(
            at=self._clock.now(),
            input=to_json_value(input),
            reply_to=reply_to,
            patience_seconds=PATIENCE_LEASES * self._lease_seconds,
            traceparent=traceparent,
            priority=priority,
        )

    def _begun(
        self, plan: Plan, event: SagaStarted, namespace: str, key: str | None, labels: Mapping[str, str]
    ) -> tuple[View, Decision, SagaStarted]:
        """Make the first decision, and return the event with the answers that it keeps."""
        size = len(values.written(event.input, bytes_max=self._input_bytes_max))
        if key is not None or labels:
            values.check_value({"key": key, "labels": dict(labels)})
            for name, value in labels.items():
                if not isinstance(value, str):
                    raise PayloadError(values.place("$.labels", name), "is no text; labels are texts: give str(value)")
        home = None if key is None else ids.home(namespace, plan.name, key)
        saga_id = ids.saga_id(event.at, random.getrandbits(74), home)
        decision = begin(plan, saga_id, event)
        new = View(decision.state, 1, random_number(), size)
        if decision.event.answers:
            event = replace(event, answers=decision.event.answers)
        return new, decision, event

    async def _wait_for_key(self, asked: _Asked) -> Outcome:
        give_up_at = self._clock.monotonic() + HELD_UP_SECONDS
        while self._clock.monotonic() < give_up_at:
            await self._clock.sleep(HELD_UP_PAUSE_SECONDS)
            outcome = await self._held_up.submit(asked)
            if outcome.verdict is not Verdict.HELD_UP:
                return outcome
        raise KeyHeldError(
            f"key {asked.start.key!r} of saga {asked.plan.name!r} is held by a transaction that has not ended, one in which it "
            "was started perhaps; start it again when that has been committed or rolled back"
        )

    async def close(self) -> None:
        """Wait for what is in flight."""
        await self._starts.close()
        await self._held_up.close()

    def _start(
        self,
        plan: Plan,
        view: View,
        status: SagaStatus,
        event: SagaStarted,
        namespace: str,
        key: str | None,
        labels: Mapping[str, str],
        identity: Any,
    ) -> Start:
        return Start(
            saga_id=view.state.saga_id,
            namespace=namespace,
            saga=plan.name,
            version=view.state.version,
            new_tag=view.tag,
            entries=[log.entry(event, new_event_id(), participant=self._participant)],
            status=status,
            instance=self._instance(),
            wake_at=view.state.wake_at if view.state.parent is None else looked_at(view.state),
            key=key,
            input_hash=_hash(event.input if identity is msgspec.UNSET else identity) if key is not None else b"",
            labels=dict(labels),
        )


def _found(outcome: Outcome, plan: Plan, key: str | None) -> Started:
    """Return the saga that a start found in its place."""
    if outcome.verdict is Verdict.ALREADY_STARTED and outcome.existing is not None:
        return Started(outcome.existing, existing=True)
    if outcome.verdict is Verdict.OTHER_INPUT:
        raise SagaAlreadyStartedError(
            f"key {key!r} has started saga {plan.name!r} {outcome.existing} with other input; use a new key, or the same input"
        )
    raise GoConductorError(f"saga {plan.name!r} could not be started: {outcome.problem or outcome.verdict}")


def _about(note: Note, saga_id: UUID) -> Note:
    """Return the note; one that is about nothing yet becomes one about the saga that begins."""
    return note if note.object else replace(note, object=f"saga {saga_id}")


def _hash(data: Any) -> bytes:
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).digest()
