"""The real clock: CLOCK_BOOTTIME where the system has it, and an estimate of the database's time on top of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from goconductor.errors import GoConductorError, StoreUnavailableError
from goconductor.ports.clock import Clock
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

CORRECTED_SECONDS = 30.0
"""Seconds between two corrections of the estimate of the database's time."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """:class:`goconductor.ports.clock.Clock` on this machine. Until the first reading the system's time stands in."""

    def __init__(self) -> None:
        self._offset = time.time() - self.monotonic()
        self._last = 0.0

    def monotonic(self) -> float:
        return time.clock_gettime(_CLOCK)

    def now(self) -> float:
        self._last = max(self._last, self.monotonic() + self._offset)
        return self._last

    def observe(self, database_seconds: float) -> None:
        self._offset = database_seconds - self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def keep_time(clock: Clock, database_time: Callable[[], Awaitable[float]]) -> None:
    """Correct the estimate of the database's time now and then, until cancelled."""
    while True:
        await clock.sleep(CORRECTED_SECONDS)
        try:
            clock.observe(await database_time())
        except StoreUnavailableError:
            continue
        except GoConductorError as error:
            logger.warning("the database's time could not be read, it is read again in %g s: %s", CORRECTED_SECONDS, error)
