"""The leader publishes all events on a topic, in their order.

It reads all events after its cursor, in their order, sends those that the settings want, and then saves the cursor under its
epoch. If it breaks off in between, this leader or the next sends them again: each event at least once, and the events of one
saga in the order of its log, except for repetitions. A former leader that wakes up may repeat a page, and cannot save a cursor.

The position stays while nothing is published. So if the topic is removed and another one is set later, that one gets what was in
between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from goconductor.engine.node import Node
from goconductor.errors import PayloadError
from goconductor.ports.bus import Bus, Message
from goconductor.ports.store import FeedEntry, FeedPosition
from goconductor.recovery.feed.cloud_events import Wish, messages
from goconductor.recovery.feed.following import LIMIT, Following
from goconductor.recovery.feed.telling import Told
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

NAME = "events"
"""The name of its position."""
LARGE_BYTES = 64 * 1024
"""Bytes of a body from which on its event is sent by itself: brokers take what is smaller."""


class Publishing(Following):
    """Publishes beside the sweep.

    Args:
        node: the engine of this process.
        topic: where the events go.
        wish: which.
        bus: makes the bus; None takes the one in use.
        limit: events of one page.
    """

    def __init__(self, node: Node, topic: str, wish: Wish, *, bus: Callable[[], Bus] | None = None, limit: int = LIMIT) -> None:
        super().__init__(node, NAME, "published", limit=limit)
        self._topic = topic
        self._wish = wish
        self._make_bus = bus
        self._bus = node.bus
        self._opened = True

    async def publish(self, term: LeadTerm) -> None:
        """Publish until cancelled or another process leads."""
        self._bus = self._node.bus if self._make_bus is None else self._make_bus()
        self._opened = self._make_bus is None
        try:
            await self.follow(term)
        finally:
            if self._make_bus is not None:
                await self._bus.close()

    async def publish_once(self, epoch: int, bus: Bus) -> tuple[int, bool]:
        """Publish one page over a bus that is open; see :meth:`Following.follow_once`.

        Raises:
            BusUnavailableError: the bus is away.
        """
        self._bus = bus
        return await self.follow_once(epoch)

    async def prepare(self) -> None:
        """Open the bus."""
        if not self._opened:
            await self._bus.open()
            self._opened = True

    async def take(self, entries: Sequence[FeedEntry], moved: FeedPosition, epoch: int) -> None:
        """Send what the events make."""
        await self._send(await self._teller.tell(entries), self._bus)
        await self._node.store.feed.keep(NAME, moved, epoch=epoch)
        self._node.counts["events_published"] += len(entries)

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
