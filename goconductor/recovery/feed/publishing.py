"""The leader publishes all events on a topic, in their order.

It reads all events after its cursor, in their order, sends those that the settings want, and then saves the cursor under its
epoch. If it breaks off in between, this leader or the next sends them again: each event at least once, and the events of one
saga in the order of its log, except for repetitions. A former leader that wakes up may repeat a page, and cannot save a cursor.

Before the first event that it is to publish it saves the end of the order: the topic gets what happens from then on. The
position stays while nothing is published. So if the topic is removed and another one is set later, that one gets what was in
between.

Retention waits for it (:meth:`Publishing.reached`): an ended saga is not deleted before its events are published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from goconductor.aio.backoff import doubled
from goconductor.aio.reminders import Reminder
from goconductor.engine.node import Node
from goconductor.errors import CursorLostError, FencedError, GoConductorError, PayloadError
from goconductor.ports.bus import Bus, Message
from goconductor.ports.store import FeedLag, FeedPosition
from goconductor.recovery.feed.cloud_events import Wish, messages
from goconductor.recovery.feed.telling import Teller, Told
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

NAME = "events"
"""The name of its position."""
LIMIT = 500
"""Events of one page."""
POLL_SECONDS = (0.1, 1.0)
"""Least and greatest pause between two looks while nothing happens, in seconds."""
TROUBLE_SECONDS = 30.0
"""Greatest pause after failures, in seconds."""
MEASURE_SECONDS = 15.0
"""Seconds between two looks at the lag."""
LARGE_BYTES = 64 * 1024
"""Bytes of a body from which on its event is sent by itself: brokers take what is smaller."""
SLACK_SECONDS = 60.0
"""Seconds that may lie between the time of a change and its commit."""


class Publishing:
    """Publishes beside the sweep.

    Args:
        node: the engine of this process.
        topic: where the events go.
        wish: which.
        bus: makes the bus; None takes the one in use.
        limit: events of one page.
    """

    def __init__(self, node: Node, topic: str, wish: Wish, *, bus: Callable[[], Bus] | None = None, limit: int = LIMIT) -> None:
        self._node = node
        self._topic = topic
        self._wish = wish
        self._make_bus = bus
        self._limit = limit
        self._teller = Teller(node)
        self._position: FeedPosition | None = None
        self._measured_at: float | None = None
        self.lag: FeedLag | None = None
        """What is not published yet, as this process knows while it leads."""

    async def publish(self, term: LeadTerm) -> None:
        """Publish until cancelled or another process leads."""
        self._forget()
        bus, clock = self._node.bus if self._make_bus is None else self._make_bus(), self._node.clock
        trouble, failures, pause, opened = Reminder(monotonic=clock.monotonic), 0, POLL_SECONDS[0], self._make_bus is None
        try:
            while True:
                try:
                    if not opened:
                        await bus.open()
                        opened = True
                    published, full = await self.publish_once(term.epoch, bus)
                    failures, pause = 0, POLL_SECONDS[0] if published else min(pause * 1.5, POLL_SECONDS[1])
                    trouble.end()
                    if full:
                        await asyncio.sleep(0)
                        continue
                except FencedError:
                    return
                except CursorLostError:
                    logger.info("the database has failed over: events are published from where it knows that they were")
                    self._forget()
                except GoConductorError as error:
                    failures += 1
                    if trouble.is_due():
                        logger.warning("events cannot be published now, and are as soon as that is over: %s", error)
                except Exception:
                    failures += 1
                    if trouble.is_due():
                        logger.exception("events cannot be published now")
                await clock.sleep(doubled(pause, failures, seconds_max=TROUBLE_SECONDS) if failures else pause)
        finally:
            self._forget()
            if self._make_bus is not None:
                await bus.close()

    async def publish_once(self, epoch: int, bus: Bus) -> tuple[int, bool]:
        """Publish one page. Return how many events of the log it had, and whether there may be more at once.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
            BusUnavailableError: the bus is away.
            ConfigurationError: the order cannot be read.
        """
        position = self._position or await self._begin(epoch)
        page = await self._node.store.feed.read(position.cursor, limit=self._limit)
        told = await self._teller.tell(page.entries)
        await self._send(told, bus)
        moved = replace(position, cursor=page.cursor)
        if page.entries:
            await self._node.store.feed.keep(NAME, moved, epoch=epoch)
            self._node.counts["events_published"] += len(page.entries)
        self._position = moved
        await self._measure(moved, epoch)
        return len(page.entries), page.full

    async def reached(self) -> float | None:
        """Return a moment before which everything is published, by the database's clock; None where nobody has begun.

        Raises:
            StoreUnavailableError: the store is away.
        """
        position = await self._node.store.feed.position(NAME)
        return None if position is None else position.reached_at

    async def _begin(self, epoch: int) -> FeedPosition:
        """Find where to go on."""
        store = self._node.store
        await store.feed.check()
        position = await store.feed.position(NAME)
        if position is None:
            now = await store.terms.database_time()
            position = FeedPosition(cursor=await store.feed.end(), reached_at=now - SLACK_SECONDS)
            await store.feed.keep(NAME, position, epoch=epoch)
        return position

    async def _send(self, told: Sequence[Told], bus: Bus) -> None:
        """Send what the events make. What a broker may refuse goes by itself: else what comes after it would be there before."""
        batch: list[Told] = []
        for each in told:
            if self._wish.bodies and len(each.entry.entry.data) > LARGE_BYTES:
                await self._send_together(batch, bus)
                await self._send_alone(each, bus)
                batch = []
            else:
                batch.append(each)
        await self._send_together(batch, bus)

    async def _send_together(self, told: Sequence[Told], bus: Bus) -> None:
        try:
            if batch := [message for each in told for message in messages(each, self._topic, self._wish)]:
                await bus.send(batch)
        except PayloadError:  # one is too large all the same: the others went, and may come again
            for each in told:
                await self._send_alone(each, bus)

    async def _send_alone(self, told: Told, bus: Bus) -> None:
        try:
            await bus.send(messages(told, self._topic, self._wish))
        except PayloadError as error:
            small: list[Message] = messages(told, self._topic, self._wish, small=True)
            logger.warning(
                "event %d of saga %s is published without its body: %s", told.entry.entry.seq, told.entry.saga_id, error
            )
            await bus.send(small)

    async def _measure(self, position: FeedPosition, epoch: int) -> None:
        """Look now and then how much is left, and keep until when nothing is."""
        clock = self._node.clock
        now = clock.monotonic()
        if self._measured_at is not None and now - self._measured_at < MEASURE_SECONDS:
            return
        looked_at = await self._node.store.terms.database_time()
        self.lag = await self._node.store.feed.lag(position.cursor)
        self._measured_at = now
        reached_at = max(position.reached_at, looked_at - self.lag.seconds - SLACK_SECONDS)
        self._position = replace(position, reached_at=reached_at)
        await self._node.store.feed.keep(NAME, self._position, epoch=epoch)

    def _forget(self) -> None:
        self._position, self._measured_at, self.lag = None, None, None
        self._teller.forget()
