"""The clocks of a simulation. All run on the virtual time of its loop, and no two of them agree."""

from __future__ import annotations

import asyncio

from goconductor.engine.facts.clock import SystemClock
from tests.simulation.simulated.loop import SimulatedLoop

EPOCH = 1_800_000_000.0
"""The database's time at the beginning, in seconds since 1970."""


class DatabaseClock:
    """The clock of the database, which decides."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def now(self) -> float:
        return round(EPOCH + self._loop.time(), 6)

    def observe(self, database_seconds: float) -> None:
        """Correct nothing: this is that clock."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ProcessClock(SystemClock):
    """The engine's own clock, on a machine of the simulation.

    Args:
        loop: has the time.
        ahead_seconds: by how much its first idea of the database's time is wrong.
        rate: how many of its seconds pass in one.
    """

    def __init__(self, loop: SimulatedLoop, *, ahead_seconds: float = 0.0, rate: float = 1.0) -> None:
        self._loop = loop
        self._rate = rate
        self._offset = EPOCH + loop.time() + ahead_seconds - self.monotonic()
        self._last = 0.0

    def monotonic(self) -> float:
        return 1_000.0 + self._loop.time() * self._rate

    def jump(self, seconds: float) -> None:
        """Let the idea of the database's time be wrong by so much more."""
        self._offset += seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._rate)
