"""Joins a node to the bus, however long the bus is away, and subscribes to its topics once the bus is there."""

from __future__ import annotations

import asyncio

from goconductor.aio.backoff import Backoff
from goconductor.aio.tasks import create_guarded_task, end
from goconductor.errors import BusUnavailableError, GoConductorError
from goconductor.ports.bus import Bus, Receiver, Subscription
from goconductor.ports.clock import Clock
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

FIRST_SECONDS = 3.0
"""Seconds before the first log line about a bus that cannot be joined."""
LAST_SECONDS = 60.0
"""Greatest seconds between two log lines about the wait."""
AGAIN_SECONDS = 0.5
"""Seconds between two attempts to join."""


class Membership:
    """A node's part in the bus: it opens it, and subscribes to topics.

    Args:
        bus: opened and closed here.
        group: the consumer group.
        receiver: called for each delivery.
        prefetch: how many deliveries of a topic are in hand at once.
        clock: for waiting.

    Attributes:
        problem: why the bus is not there; empty when it is.
    """

    def __init__(self, bus: Bus, group: str, receiver: Receiver, *, prefetch: int, clock: Clock) -> None:
        self.problem = "it has not answered yet"
        self._bus = bus
        self._group = group
        self._receiver = receiver
        self._prefetch = prefetch
        self._clock = clock
        self._topics: set[str] = set()
        self._heard: dict[str, Subscription] = {}
        self._opening: asyncio.Task[None] | None = None
        self._joining: set[asyncio.Task[None]] = set()

    @property
    def subscriptions(self) -> list[Subscription]:
        """Those that have begun."""
        return list(self._heard.values())

    def hears(self, topic: str) -> bool:
        """Return whether messages of a topic are taken."""
        return topic in self._heard

    async def open(self, topics: list[str], *, patience_seconds: float | None) -> None:
        """Open the bus and subscribe. While the bus is away, wait and log for ``patience_seconds``, then go on in the background.

        Raises:
            ConfigurationError: the bus cannot be used with these settings.
        """
        self._opening = asyncio.create_task(self._open(), name="opening the bus")
        for topic in topics:
            self.hear(topic)
        joining = {self._opening, *self._joining}
        done, _ = await asyncio.wait(joining, timeout=patience_seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            await task

    def hear(self, topic: str) -> None:
        """Subscribe to a topic, once, as soon as the bus is there; what is sent to it before waits there."""
        if topic not in self._topics:
            self._topics.add(topic)
            joining = asyncio.create_task(self._join(topic), name="joining the bus")
            self._joining.add(joining)
            joining.add_done_callback(self._joining.discard)

    async def stop(self, *, but: str = "") -> None:
        """Take no more messages; the bus stays open for sending.

        Args:
            but: a topic that is heard further.
        """
        waiting = [*self._joining, *([self._opening] if self._opening is not None else [])]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for topic in [topic for topic in self._heard if topic != but]:
            await self._heard.pop(topic).stop()

    async def close(self) -> None:
        """Close the bus."""
        await self._bus.close()

    async def _open(self) -> None:
        reminding = create_guarded_task(self._remind(), name="waiting for the bus")
        try:
            while True:
                try:
                    await self._bus.open()
                except BusUnavailableError as error:
                    self.problem = str(error)
                    await self._clock.sleep(AGAIN_SECONDS)
                else:
                    self.problem = ""
                    return
        except GoConductorError as error:
            self.problem = str(error)
            logger.error("cannot join the bus: %s", error)  # noqa: TRY400  (its text is enough)
            raise
        except Exception as error:
            self.problem = f"opening it failed by an unexpected {type(error).__name__}; the log of this process has more"
            logger.exception("cannot join the bus")
            raise
        finally:
            await end(reminding)

    async def _join(self, topic: str) -> None:
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if self._opening.cancelled() or self._opening.exception() is not None:
                return  # the caller of `open` gets it
        while True:
            try:
                subscription = await self._bus.subscribe([topic], self._group, self._receiver, prefetch=self._prefetch)
            except BusUnavailableError as error:
                logger.debug("cannot subscribe to %s yet: %s", topic, error)
                await self._clock.sleep(AGAIN_SECONDS)
            except Exception:
                logger.exception("cannot subscribe to %s", topic)
                raise
            else:
                self._heard[topic] = subscription
                return

    async def _remind(self) -> None:
        intervals = Backoff(FIRST_SECONDS, LAST_SECONDS)
        while True:
            await self._clock.sleep(intervals.next())
            logger.warning("waiting for the bus: %s", self.problem)
