"""A connection that comes back by itself: duty 1 of the bus, for leaves whose client reports when its connection ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from goconductor.aio.backoff import Backoff
from goconductor.aio.first_of import first_of
from goconductor.aio.tasks import end
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.redaction import logger_of

C = TypeVar("C")

logger = logger_of(__name__)

FIRST_WAIT_SECONDS = 0.1
"""Seconds before the first attempt to connect anew."""
WAIT_SECONDS_MAX = 5.0
"""Greatest number of seconds between two attempts to connect."""


class Link(Generic[C]):
    """Holds one connection, and makes the next when it ends. The log gets one line when it broke, and one when it is back.

    Args:
        name: for the log, such as ``RabbitMQ``.
        connect: makes a connection; it raises BusUnavailableError, or ConfigurationError where another try would not help.
        disconnect: ends one.
    """

    def __init__(self, name: str, *, connect: Callable[[], Awaitable[C]], disconnect: Callable[[C], Awaitable[None]]) -> None:
        self._name = name
        self._connect = connect
        self._disconnect = disconnect
        self._connection: C | None = None
        self._present = asyncio.Event()
        self._gone = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False
        self._pauses = Backoff(FIRST_WAIT_SECONDS, WAIT_SECONDS_MAX)
        self._connected_at = -WAIT_SECONDS_MAX
        self.trouble = "it does not answer"
        """Why there is no connection, when there is none."""

    async def open(self, timeout_seconds: float) -> None:
        """Connect for the first time.

        Raises:
            BusUnavailableError: it could not be reached within that time.
            ConfigurationError: it refuses us.
        """
        pauses = Backoff(FIRST_WAIT_SECONDS, WAIT_SECONDS_MAX)
        try:
            async with asyncio.timeout(timeout_seconds):
                while not await self._try():  # noqa: ASYNC110  (there is no event for it)
                    await asyncio.sleep(pauses.next())
        except TimeoutError:
            raise BusUnavailableError(f"the bus did not open within {timeout_seconds:g} s: {self.trouble}") from None

    async def get(self) -> C:
        """Return the connection; wait for one while it is away.

        Raises:
            BusUnavailableError: the link is closed.
        """
        while self._connection is None:
            if self._closed:
                raise BusUnavailableError("the bus is closed; open a new one")
            await self._present.wait()
        return self._connection

    async def get_unless(self, stopped: asyncio.Event) -> C | None:
        """Return the connection. None if that event is set, or the link is closed before there is one."""

        async def stop() -> None:
            await stopped.wait()

        if stopped.is_set():
            return None
        if self._connection is not None:
            return self._connection
        try:
            return await first_of(self.get(), stop())
        except BusUnavailableError:
            return None

    @property
    def is_present(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    def gone(self, connection: C) -> asyncio.Event:
        """Set when that connection has ended."""
        if connection is self._connection:
            return self._gone
        ended = asyncio.Event()
        ended.set()
        return ended

    def lost(self, connection: C, reason: str) -> None:
        """Note a connection that has ended, and make another, unless it was not the present one."""
        if connection is not self._connection or self._closed:
            return
        self._connection = None
        self._present.clear()
        self._gone.set()
        self.trouble = reason
        logger.warning("%s is away, it is tried again: %s", self._name, reason)
        self._connecting = asyncio.create_task(self._reconnect(), name=f"reconnect {self._name}")

    async def close(self) -> None:
        """End the connection; all that wait for one get an error."""
        self._closed = True
        self._present.set()
        self._gone.set()
        await end(self._connecting)
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._disconnect(connection)

    async def _reconnect(self) -> None:
        if asyncio.get_running_loop().time() - self._connected_at > WAIT_SECONDS_MAX:
            self._pauses.reset()  # else it has let us in only to shut us out, and may again
        refused = False
        while not self._closed:  # a driver may answer our cancelling with an error of its own
            await asyncio.sleep(self._pauses.next())
            try:
                if await self._try():
                    logger.warning("%s is back", self._name)
                    return
            except ConfigurationError as error:
                self.trouble = str(error)
                if not refused:
                    logger.error("%s refuses us, it is tried again: %s", self._name, error)  # noqa: TRY400  (a line, no traceback)
                refused = True
            except Exception:
                logger.exception("connecting to %s failed, it is tried again", self._name)

    async def _try(self) -> bool:
        try:
            self._connection = await self._connect()
        except BusUnavailableError as error:
            self.trouble = str(error)
            return False
        self._connected_at = asyncio.get_running_loop().time()
        self._gone = asyncio.Event()
        self._present.set()
        return True
