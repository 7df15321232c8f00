"""What follows the order of all events while this process leads: page after page, with a cursor that is saved under its epoch.

Before its first event a follower saves the end of the order: it gets what happens from then on. What breaks off is read again, by
this leader or the next.

Retention waits for it (:meth:`Following.reached`): an ended saga is not deleted before its events are handled.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec.structs import replace

from goconductor.aio.backoff import doubled
from goconductor.aio.reminders import Reminder
from goconductor.engine.node import Node
from goconductor.errors import CursorLostError, FencedError, GoConductorError
from goconductor.ports.store import FeedEntry, FeedLag, FeedPosition
from goconductor.recovery.feed.telling import Teller
from goconductor.recovery.leadership import LeadTerm
from goconductor.redaction import logger_of

logger = logger_of("goconductor.recovery")

LIMIT = 500
"""Events of one page."""
POLL_SECONDS = (0.1, 1.0)
"""Least and greatest pause between two looks while nothing happens, in seconds."""
TROUBLE_SECONDS = 30.0
"""Greatest pause after failures, in seconds."""
MEASURE_SECONDS = 15.0
"""Seconds between two looks at the lag."""
SLACK_SECONDS = 60.0
"""Seconds that may lie between the time of a change and its commit."""


class Following(ABC):
    """Follows beside the sweep.

    Args:
        node: the engine of this process.
        name: of its position.
        doing: what is done with events, for the log: ``published``.
        limit: events of one page.
    """

    def __init__(self, node: Node, name: str, doing: str, *, limit: int = LIMIT) -> None:
        self._node = node
        self._name = name
        self._doing = doing
        self._limit = limit
        self._teller = Teller(node)
        self._position: FeedPosition | None = None
        self._measured_at: float | None = None
        self.lag: FeedLag | None = None
        """What is left, as this process knows while it leads."""

    @abstractmethod
    async def take(self, entries: Sequence[FeedEntry], moved: FeedPosition, epoch: int) -> None:
        """Do what is to be done with events, and then keep the position behind them.

        Args:
            entries: the events, at least one.
            moved: the position behind them.
            epoch: the leader's.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
        """

    async def prepare(self) -> None:  # noqa: B027  (most need nothing)
        """Do what is needed before the first page, until it is done."""

    async def follow(self, term: LeadTerm) -> None:
        """Follow until cancelled or another process leads."""
        self.forget()
        clock = self._node.clock
        trouble, failures, pause = Reminder(monotonic=clock.monotonic), 0, POLL_SECONDS[0]
        try:
            while True:
                try:
                    await self.prepare()
                    taken, full = await self.follow_once(term.epoch)
                    failures, pause = 0, POLL_SECONDS[0] if taken else min(pause * 1.5, POLL_SECONDS[1])
                    trouble.end()
                    if full:
                        await asyncio.sleep(0)
                        continue
                except FencedError:
                    return
                except CursorLostError:
                    logger.info("the database has failed over: events are %s from where it knows that they were", self._doing)
                    self.forget()
                except GoConductorError as error:
                    failures += 1
                    if trouble.is_due():
                        logger.warning("events cannot be %s now, and are as soon as that is over: %s", self._doing, error)
                except Exception:
                    failures += 1
                    if trouble.is_due():
                        logger.exception("events cannot be %s now", self._doing)
                await clock.sleep(doubled(pause, failures, seconds_max=TROUBLE_SECONDS) if failures else pause)
        finally:
            self.forget()

    async def follow_once(self, epoch: int) -> tuple[int, bool]:
        """Take one page. Return how many events of the log it had, and whether there may be more at once.

        Raises:
            FencedError: another one leads.
            StoreUnavailableError: the store is away.
            ConfigurationError: the order cannot be read.
        """
        position = self._position or await self._begin(epoch)
        page = await self._node.store.feed.read(position.cursor, limit=self._limit)
        moved = replace(position, cursor=page.cursor)
        if page.entries:
            await self.take(page.entries, moved, epoch)
        self._position = moved
        await self._measure(moved, epoch)
        return len(page.entries), page.full

    async def reached(self) -> float | None:
        """Return a moment before which everything is done, by the database's clock; None where nobody has begun.

        Raises:
            StoreUnavailableError: the store is away.
        """
        position = await self._node.store.feed.position(self._name)
        return None if position is None else position.reached_at

    async def _begin(self, epoch: int) -> FeedPosition:
        """Find where to go on."""
        store = self._node.store
        await store.feed.check()
        position = await store.feed.position(self._name)
        if position is None:
            now = await store.terms.database_time()
            position = FeedPosition(cursor=await store.feed.end(), reached_at=now - SLACK_SECONDS)
            await store.feed.keep(self._name, position, epoch=epoch)
        return position

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
        await self._node.store.feed.keep(self._name, self._position, epoch=epoch)

    def forget(self) -> None:
        """Keep nothing of what was read: another leader, or another database, may have gone on."""
        self._position, self._measured_at, self.lag = None, None, None
        self._teller.forget()
