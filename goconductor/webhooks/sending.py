"""The leader empties the queues of endpoints, each at its own pace.

An endpoint has room for a few attempts at one time, whatever the others do. One whose last attempt failed has room for one, with
growing pauses in between, until something is taken again. So what is in memory is bounded: endpoints, times their room.

An attempt that failed comes again after a pause of the settings, and after the last of these it is a dead letter. What became of
attempts is written under the leader's epoch, many in one statement. A leader that dies leaves what it had in hand as it was: the
next one sends it again, with the same id.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from goconductor.aio.backoff import doubled
from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.engine.node import Node
from goconductor.engine.work.granted import random_number
from goconductor.errors import FencedError, GoConductorError
from goconductor.ports.store import Attempted, Delivery, WebhookQueue, WebhookRow
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.retention import DAY_SECONDS
from goconductor.redaction import logger_of
from goconductor.webhooks.endpoint import Endpoint, State, read
from goconductor.webhooks.posting import Answered

logger = logger_of("goconductor.webhooks")

POLL_SECONDS = 1.0
"""Greatest pause between two looks at the queues, in seconds."""
TROUBLE_SECONDS = 30.0
"""Greatest pause after failures of our own, in seconds."""
REST_SECONDS = (1.0, 30.0)
"""Least and greatest pause between two attempts at an endpoint that fails, in seconds."""
SPREAD = 0.1
"""Part of a pause that is left to chance, so that what failed together does not come together again."""
EXPIRE_SECONDS = 3600.0
"""Seconds between two looks for what is too old."""
EXPIRE_LIMIT = 1000
"""Deliveries that are removed at one time because they are too old."""
MEASURE_SECONDS = 15.0
"""Seconds between two counts of what waits."""


class Pace(NamedTuple):
    """How endpoints are sent to.

    Args:
        concurrency: number of attempts at one endpoint at one time.
        pauses_seconds: after each failed attempt, seconds until the next; after the last, a delivery is a dead letter.
        kept_days: days after which a delivery that was not taken is removed.
    """

    concurrency: int
    pauses_seconds: Sequence[float]
    kept_days: float


class Sending:
    """Sends beside the sweep.

    Args:
        node: the engine of this process.
        post: makes one attempt; see :meth:`Posting.post`.
        pace: how they are sent to.
    """

    def __init__(self, node: Node, post: Callable[[Endpoint, Delivery, float], Awaitable[Answered]], pace: Pace) -> None:
        self._node = node
        self._post = post
        self._pace = pace
        self._queued = asyncio.Event()
        self._forget()

    def _forget(self) -> None:
        self.running: dict[int, asyncio.Task[None]] = {}
        """The attempts, by the numbers of their deliveries, until what became of them is written."""
        self._of_endpoint: Counter[int] = Counter()
        self._become: list[Attempted] = []
        self._rests: dict[int, tuple[float, int]] = {}
        self._left_alone: dict[int, float] = {}
        self._expired_at: float | None = None
        self._measured_at: float | None = None
        self.queues: list[WebhookQueue] | None = None
        """What waits, as this process knows while it leads."""

    async def stop(self) -> None:
        """End all attempts. What became of them is not written; they come again."""
        await end(*self.running.values())
        self._forget()

    def wake(self) -> None:
        """Look at the queues at once."""
        self._queued.set()

    async def send(self, term: LeadTerm) -> None:
        """Send until cancelled or another process leads."""
        self._forget()
        clock = self._node.clock
        trouble, failures = Reminder(monotonic=clock.monotonic), 0
        try:
            while True:
                self._queued.clear()
                try:
                    await self.send_once(term)
                    failures = 0
                    trouble.end()
                except FencedError:
                    return
                except GoConductorError as error:
                    failures += 1
                    if trouble.is_due():
                        logger.warning("webhooks cannot be sent now, and are as soon as that is over: %s", error)
                except Exception:
                    failures += 1
                    if trouble.is_due():
                        logger.exception("webhooks cannot be sent now")
                await self._wait(doubled(POLL_SECONDS, failures, seconds_max=TROUBLE_SECONDS), wakes=not failures)
        finally:
            await self.stop()

    async def send_once(self, term: LeadTerm) -> int:
        """Write what became of attempts, and begin others. Return how many are running.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """
        await self._settle(term.epoch)
        webhooks = self._node.store.webhooks
        rows = await webhooks.all()
        endpoints = {row.webhook_id: (row, read(row.body)) for row in rows}
        rooms = [(row.webhook_id, room) for row, one in endpoints.values() if (room := self._room(row, one)) > 0]
        if rooms and term.trusted:
            for delivery in await webhooks.due(rooms, but=[*self.running]):
                self._begin(*endpoints[delivery.webhook_id], delivery, term.epoch)
        await self._keep_house([row.webhook_id for row in rows], term.epoch)
        return len(self.running)

    def _room(self, row: WebhookRow, endpoint: Endpoint) -> int:
        """Return how many attempts at an endpoint may begin now."""
        until, failures = self._rests.get(row.webhook_id, (0.0, 0))
        until = max(until, self._left_alone.get(row.webhook_id, 0.0))
        if endpoint.state is not State.ACTIVE or self._node.clock.monotonic() < until:
            return 0
        fails = failures > 0 or row.failing_since is not None
        return (1 if fails else self._pace.concurrency) - self._of_endpoint[row.webhook_id]

    def _begin(self, row: WebhookRow, endpoint: Endpoint, delivery: Delivery, epoch: int) -> None:
        running = self._of_endpoint  # the one of this term: an attempt that has just ended may be told after it
        running[row.webhook_id] += 1
        task = create_guarded_task(self._attempt(row, endpoint, delivery, epoch), name=f"a delivery to webhook {row.name}")
        self.running[delivery.delivery_id] = task
        task.add_done_callback(lambda _: self._ended(running, row.webhook_id))

    def _ended(self, running: Counter[int], webhook_id: int) -> None:
        running[webhook_id] -= 1
        self.wake()

    async def _attempt(self, row: WebhookRow, endpoint: Endpoint, delivery: Delivery, epoch: int) -> None:
        """Try once. The delivery stays among those that run until what became of it is written."""
        try:
            answered = await self._post(endpoint, delivery, self._node.clock.now())
        except Exception as error:
            logger.exception("a delivery to webhook %r failed in an unforeseen way", row.name)
            answered = Answered(f"something unforeseen went wrong ({type(error).__name__})")
        if answered.is_gone:
            await self._disable(row, endpoint, epoch)
        self._become.append(self._judged(row, delivery, answered))

    def _judged(self, row: WebhookRow, delivery: Delivery, answered: Answered) -> Attempted:
        """Say what an answer means for the delivery, and for its endpoint."""
        facts: dict[str, Any] = {"delivery_id": delivery.delivery_id, "webhook_id": row.webhook_id}
        if not answered.problem:
            self._rests.pop(row.webhook_id, None)  # not what it has asked for: this attempt may have begun before that
            self._node.counts["webhooks_delivered"] += 1
            return Attempted(**facts, delivered=True)
        now, (_, failures) = self._node.clock.monotonic(), self._rests.get(row.webhook_id, (0.0, 0))
        self._rests[row.webhook_id] = now + doubled(REST_SECONDS[0], failures, seconds_max=REST_SECONDS[1]), failures + 1
        if answered.rest_seconds is not None:
            self._left_alone[row.webhook_id] = now + answered.rest_seconds
        pause: float | None = None
        if delivery.attempts < len(self._pace.pauses_seconds):
            chance = 1.0 + SPREAD * random.random()  # noqa: S311  (no secret)
            self._node.counts["webhooks_failed"] += 1
            pause = max(self._pace.pauses_seconds[delivery.attempts] * chance, answered.rest_seconds or 0.0)
        else:
            self._node.counts["webhooks_dead"] += 1
            logger.warning(
                "a delivery to webhook %r has failed %d times, and is a dead letter: %s",
                row.name,
                delivery.attempts + 1,
                answered.problem,
            )
        return Attempted(**facts, delivered=False, pause_seconds=pause, problem=answered.problem)

    async def _disable(self, row: WebhookRow, endpoint: Endpoint, epoch: int) -> None:
        """Send nothing more to an endpoint that is gone. Where somebody has just changed it, its next answer says so again."""
        body = replace(endpoint, state=State.GONE, changed_at=self._node.clock.now(), changed_by="its receiver").written()
        try:
            done = await self._node.store.webhooks.note(
                row.webhook_id, tag=row.tag, new_tag=random_number(), body=body, epoch=epoch
            )
        except GoConductorError as error:
            logger.warning("webhook %r is gone, which could not be noted now: %s", row.name, error)
            return
        if done:
            logger.warning("webhook %r has answered that it is gone, so nothing is sent to it until it is resumed", row.name)

    async def _settle(self, epoch: int) -> None:
        become = self._become[:]
        if become:
            await self._node.store.webhooks.settle(become, epoch=epoch)
            del self._become[: len(become)]
            for each in become:
                self.running.pop(each.delivery_id, None)

    async def _keep_house(self, webhook_ids: Sequence[int], epoch: int) -> None:
        """Count now and then what waits, and remove what is too old."""
        now, webhooks = self._node.clock.monotonic(), self._node.store.webhooks
        if self._measured_at is None or now - self._measured_at >= MEASURE_SECONDS:
            self.queues = await webhooks.queues(webhook_ids)
            self._measured_at = now
        if self._expired_at is None or now - self._expired_at >= EXPIRE_SECONDS:
            removed = await webhooks.expire(self._pace.kept_days * DAY_SECONDS, limit=EXPIRE_LIMIT, epoch=epoch)
            if removed:
                logger.warning(
                    "%d deliveries to webhooks were not taken for %g days, and are removed", removed, self._pace.kept_days
                )
            if removed < EXPIRE_LIMIT:
                self._expired_at = now

    async def _wait(self, seconds: float, *, wakes: bool) -> None:
        """Wait until something was queued or has ended, or for some time."""
        pausing = asyncio.ensure_future(self._node.clock.sleep(seconds))
        woken = asyncio.ensure_future(self._queued.wait())
        try:
            await asyncio.wait((pausing, woken) if wakes else (pausing,), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(pausing, woken)
