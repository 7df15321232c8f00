"""Messages in: read, acquire, acknowledge, run.

The lease is taken before the message is acknowledged, and the head is read after the lease was committed (batched, in the store).
The order of lease and acknowledgement is about speed: what is lost in between is sent again by the sweep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from operator import attrgetter
from uuid import UUID

from msgspec.structs import replace

from goconductor.aio.backoff import doubled
from goconductor.aio.reminders import Reminder
from goconductor.engine.facts import log
from goconductor.engine.facts.colleagues import Colleagues, nobody_seconds, soon_seconds
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.installation import Installation
from goconductor.engine.facts.log import View
from goconductor.engine.facts.orphans import Orphans
from goconductor.engine.facts.views import Views
from goconductor.engine.handover import DELIVERIES_MAX, Handover
from goconductor.engine.log.batch import Batcher
from goconductor.engine.log.takeover import TakenOver
from goconductor.engine.observer import SILENT, Observer
from goconductor.engine.running.admission import Admission
from goconductor.engine.running.executor import Executor
from goconductor.engine.steps.context import about
from goconductor.engine.work.granted import Granted, random_number
from goconductor.engine.work.places import Place
from goconductor.errors import GoConductorError, MessageError, StoreUnavailableError
from goconductor.lifecycle.pending_work import is_pending, is_superseded
from goconductor.messages import codec
from goconductor.messages.envelope import RunStep, SagaEnded
from goconductor.ports.bus import Delivery, Message
from goconductor.ports.clock import Clock
from goconductor.ports.store import (
    Acquire,
    Acquired,
    Choices,
    DeadLetter,
    DeadLetters,
    Instances,
    Known,
    Lease,
    LeaseKey,
    Leases,
    Limit,
    Permit,
    PermitAnswer,
    Tail,
)
from goconductor.redaction import logger_of
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

NOT_HERE_SECONDS = 1.0
"""Seconds before a message comes again, where the store is unavailable."""
WAIT_SECONDS = 1.0
"""Seconds that a message waits here for room, before others may have it."""
FULL_SECONDS = 0.05
"""Seconds before a message comes again that found no room; they double with each delivery."""
FULL_SECONDS_MAX = 1.0
"""Greatest number of these seconds."""
AWAY_SECONDS = 5.0
"""Seconds between two log lines about an unavailable store."""
HELD_SECONDS = 0.5
"""Seconds before a message comes again whose step's lease somebody holds."""
HELD_DELIVERIES_MAX = 3
"""Number of deliveries of such a message. The sweep sees to the step afterwards."""
READ_MAX, READ_BYTES_MAX = 100, 16 * 1024 * 1024
"""Views kept of large sagas, whose messages only point at the log: without them each message would fold all of it."""


class Intake:
    """Takes deliveries and turns them into granted work.

    Args:
        leases: grants the right to run a step.
        instances: knows who is there.
        choices: knows which installation this is.
        dead_letters: keeps unreadable messages.
        definitions: compiled definitions.
        executor: runs what was granted.
        orphans: frees leases that were taken though nobody runs under them.
        clock: measures the ends of leases.
        instance: answers this process's serial.
        lease_seconds: the life of a lease.
        on_ended: called for each saga whose end was announced to this instance, with the size of the message in bytes.
        on_missed: called with a state that a message carries, while the log has another one, or none.
        written: answers the newest view of a saga that this process has appended to lately.
        send: sends messages to other instances.
        counts: the counters of events.
        observer: called for each message and each batch.
    """

    def __init__(
        self,
        *,
        leases: Leases,
        instances: Instances,
        choices: Choices,
        dead_letters: DeadLetters,
        definitions: Definitions,
        executor: Executor | None,
        orphans: Orphans,
        clock: Clock,
        instance: Callable[[], int],
        lease_seconds: float,
        on_ended: Callable[[SagaEnded, int], None],
        on_missed: Callable[[View], None],
        written: Callable[[UUID], View | None],
        send: Callable[[Sequence[Message]], Awaitable[None]],
        counts: Counter[str],
        observer: Observer = SILENT,
    ) -> None:
        self._leases = leases
        self._dead_letters = dead_letters
        self._definitions = definitions
        self._executor = executor
        self._orphans = orphans
        self._clock = clock
        self._instance = instance
        self._lease_seconds = lease_seconds
        self._on_ended = on_ended
        self._on_missed = on_missed
        self._written = written
        self._read = Views(count_max=READ_MAX, bytes_max=READ_BYTES_MAX)
        self._counts = counts
        self._observer = observer
        self._acquire: Batcher[Acquire, Acquired] = Batcher(
            self._acquired, on_flushed=partial(observer.flushed, "acquire"), unclaimed=self._unclaimed
        )
        self._installation = Installation(choices, clock)
        self._handover = Handover(Colleagues(instances.registered, clock), send, instance, counts)
        self._away = Reminder(AWAY_SECONDS, AWAY_SECONDS, monotonic=clock.monotonic)

    async def receive(self, delivery: Delivery) -> None:
        """Handle one delivery, up to its acknowledgement."""
        if await self._installation.is_foreign(delivery.message):
            self._counts["messages_foreign"] += 1
            self._handover.leave(delivery, soon_seconds(delivery.deliveries))
            return
        try:
            envelope, body = codec.decode(delivery.message.payload)
        except MessageError as error:
            await self._unreadable(delivery, error)
            return
        self._observer.received(envelope, body)
        if isinstance(body, SagaEnded):
            delivery.acknowledge()
            self._on_ended(body, len(delivery.message.payload))
            return
        try:
            await self._run_step(delivery, body)
        except StoreUnavailableError as error:
            self._counts["store_unavailable"] += 1
            self._log_away(error)
            delivery.give_back(NOT_HERE_SECONDS)
        except GoConductorError as error:
            logger.warning("saga %s cannot be taken here, it is left to others: %s", body.saga_id, error, extra=about(body))
            self._handover.leave(delivery)

    async def hand_on(self) -> None:
        """Return when all is handed on that comes to us alone, though we offer nothing any more; called once that is so."""
        await self._handover.last()

    async def close(self) -> None:
        """Wait for what is in flight."""
        await self._acquire.close()

    async def _run_step(self, delivery: Delivery, body: RunStep) -> None:
        executor = self._executor
        leaves = executor is not None and executor.places.closed
        if leaves and await self._handover.handed_on(delivery, body.target, body.baton.features):
            return
        plan = await self._definitions.plan(body.saga, body.version)
        if executor is None or body.step not in plan.steps or not executor.owns(plan, body.step, body.direction):
            await self._handover.to_another(delivery, body.target, body.baton.features)
            return
        place = await executor.places.wait(plan, body.step, body.direction, WAIT_SECONDS, body.priority)
        if place is None:
            self._counts["messages_without_room"] += 1
            delivery.give_back(doubled(FULL_SECONDS, delivery.deliveries - 1, seconds_max=FULL_SECONDS_MAX))
            return
        granted: Granted | TakenOver | None = None
        try:
            if executor.limits and (limit := executor.limit(plan, body.step, body.direction)) is not None:
                granted = await self._permitted(plan, body, delivery, place, limit, executor.admission)
            else:
                granted = await self._granted(plan, body, delivery, place, self._lease_for(body))
        finally:
            if not isinstance(granted, Granted):
                place.vacate()
        delivery.acknowledge()
        if isinstance(granted, Granted):
            executor.spawn([granted])
        elif granted is not None:
            await self._report_takeover(granted, executor)

    async def _report_takeover(self, lost: TakenOver, executor: Executor) -> None:
        """Report that the outcome of the attempt is unknown whose lease was taken over. Where the log has an outcome, it is
        over.
        """
        self._counts["leases_taken_over"] += 1
        try:
            if (await executor.appender.submit(lost.submission)).dropped:
                await self._leases.release([lost.lease], told=True)
        except BaseException as error:
            self._orphans.add([lost.lease])  # it only ends, and its row remembers: the next one to take it over reports
            if not isinstance(error, GoConductorError):
                raise
            key = lost.lease.key
            logger.warning("saga %s has no event of a lost attempt yet: %s", key.saga_id, error, extra=about(key))

    def _lease_for(self, body: RunStep) -> Lease:
        key = LeaseKey(body.saga_id, body.step, body.direction, body.round)
        return Lease(key=key, instance=self._instance(), token=random_number())

    async def _permitted(
        self, plan: Plan, body: RunStep, delivery: Delivery, place: Place, limit: Limit, admission: Admission
    ) -> Granted | TakenOver | None:
        """Return what :meth:`_granted` does, under a permit, which comes before the lease. Who gets none is queued."""
        lease, asked_at = self._lease_for(body), self._clock.monotonic()
        permit = Permit(limit, lease)
        answer = await admission.take(permit)
        if answer is not PermitAnswer.GRANTED:
            if answer is PermitAnswer.HELD:
                self._held(delivery)
            return None
        granted: Granted | TakenOver | None = None
        try:
            granted = await self._granted(plan, body, delivery, place, lease)
        finally:
            if not isinstance(granted, Granted):
                admission.give_back(permit, unused=True)
        if isinstance(granted, Granted):
            return replace(granted, permit=permit, expires=asked_at + self._lease_seconds)
        return granted

    async def _granted(
        self, plan: Plan, body: RunStep, delivery: Delivery, place: Place, lease: Lease
    ) -> Granted | TakenOver | None:
        """Return the work, if its lease is ours and the step is due, in any attempt: the message is a hint, the log is the truth.

        The holder of the lease may only be looking, for an older message, at a head that was older still. So a message that finds
        the lease held comes again once or twice before it is dropped.
        """
        known = log.carried(plan, body.baton, len(delivery.message.payload)) or self._newest(body)
        asked_at = self._clock.monotonic()
        request = Acquire(
            lease=lease, lease_seconds=self._lease_seconds, known=known.known if known is not None else Known(body.saga_id)
        )
        acquired = await self._acquire.ask(request)
        if not acquired.granted:
            self._held(delivery)
            return None
        try:
            head = acquired.tail.head
            if head is not None and head.version != plan.version:  # it was migrated after the message was sent
                plan = await self._definitions.plan(head.saga, head.version)
            view = self._brought_up(plan, known, body, acquired.tail)
        except BaseException:
            self._orphans.add([lease])
            raise
        if body.baton.state is not None and known is not None and (view is None or acquired.tail.rebased):
            self._on_missed(known)
        if acquired.taken_from is not None and view is not None and body.direction not in SETTLEMENTS:
            return TakenOver(plan, view, lease)
        attempt = _wanted_attempt(view, body) if view is not None else None
        if view is None or attempt is None:
            self._counts["messages_not_due"] += 1
            self._orphans.add([lease])
            return None
        return Granted(plan, view, lease, attempt, asked_at + self._lease_seconds, place)

    def _held(self, delivery: Delivery) -> None:
        """Have a message once more whose work somebody has a lease on, unless it was here often enough."""
        self._counts["messages_leased_elsewhere"] += 1
        if delivery.deliveries < HELD_DELIVERIES_MAX:
            delivery.give_back(HELD_SECONDS)

    def _seen(self, saga_id: UUID) -> list[View]:
        """Return what this process has read and written last of a saga whose messages only point at the log."""
        return [view for view in (self._read.get(saga_id), self._written(saga_id)) if view is not None]

    def _newest(self, body: RunStep) -> View | None:
        return max(self._seen(body.saga_id), key=attrgetter("seq"), default=None)

    def _brought_up(self, plan: Plan, known: View | None, body: RunStep, tail: Tail) -> View | None:
        """Return the state at the head. Messages that only point at the log come in crowds: what one has folded, others take."""
        if body.baton.state is None and tail.head is not None:
            for seen in self._seen(body.saga_id):  # what we wrote may be past that head by now, and what we read be at it
                if (seen.seq, seen.tag) == (tail.head.seq, tail.head.tag):
                    return seen
        view = log.brought_up(plan, known, body.saga_id, tail)
        if body.baton.state is None and view is not None:
            self._read.keep(view)
        return view

    def _log_away(self, error: StoreUnavailableError) -> None:
        """Log that the store is away, but not with each message that waits."""
        if self._away.is_due():
            logger.warning("the saga store is away, messages wait: %s", error)

    async def _acquired(self, requests: list[Acquire]) -> list[Acquired]:
        await self._orphans.free()
        try:
            return await self._leases.acquire(requests)
        except BaseException:  # their messages come again, and would find them held
            self._orphans.add(request.lease for request in requests)
            raise

    def _unclaimed(self, request: Acquire, acquired: Acquired) -> None:
        """Free the lease of a message whose receiver is gone; the message comes again."""
        if acquired.granted:
            self._orphans.add([request.lease])

    async def _unreadable(self, delivery: Delivery, error: MessageError) -> None:
        message = delivery.message
        if error.newer and delivery.deliveries < DELIVERIES_MAX:
            self._counts["messages_newer"] += 1
            if error.target:
                await self._handover.to_another(delivery, error.target, error.features)
            else:
                self._handover.leave(delivery, nobody_seconds(delivery.deliveries))
            return
        self._counts["dead_letters"] += 1
        logger.warning("a message on %s is not ours and becomes a dead letter: %s", message.topic, error)
        letter = DeadLetter(
            topic=message.topic, payload=message.payload, reason=str(error), headers=message.headers, at=self._clock.now()
        )
        try:
            await self._dead_letters.put(letter)
        except StoreUnavailableError:
            delivery.give_back(NOT_HERE_SECONDS)
        else:
            delivery.acknowledge()


def _wanted_attempt(view: View, body: RunStep) -> int | None:
    """Return the attempt that is due now; also one of an action that must not begin any more, so that its lease is ours."""
    state, step = view.state, view.state.step(body.step)
    attempt = 1 if body.direction in SETTLEMENTS else step.side(body.direction).attempt
    overtaken = body.direction is Direction.ACTION and is_superseded(state, body.step, attempt, body.round)
    return attempt if overtaken or is_pending(state, body.step, body.direction, attempt, body.round) else None
