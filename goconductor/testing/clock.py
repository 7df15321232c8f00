"""A clock that stands still until it is moved, so that a test of an hour takes a millisecond."""

from __future__ import annotations

import asyncio
import heapq
import itertools

TURNS = 50
"""Turns of the event loop after each awakening, so that all that follows from it is done before time goes on."""


class ManualClock:
    """A :class:`goconductor.ports.clock.Clock` whose time a test moves.

    Args:
        start: its first moment, in seconds since 1970.
    """

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._time = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def monotonic(self) -> float:
        """Return the same as :meth:`now`: this machine is never suspended."""
        return self._time

    def now(self) -> float:
        """Return the time to which it was moved."""
        return self._time

    def observe(self, database_seconds: float) -> None:
        """Correct nothing: the database of a test has this clock as well."""

    @property
    def next_moment(self) -> float | None:
        """Return when the first sleeper wakes; None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved so far."""
        awake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._time + seconds, next(self._numbers), awake))
        await awake

    async def advance(self, seconds: float) -> None:
        """Move time on. Who sleeps wakes in order, each at its own moment, and does what it has to do before the next.

        Args:
            seconds: how far.
        """
        end = self._time + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, awake = heapq.heappop(self._sleepers)
            if not awake.done():
                self._time = max(self._time, moment)
                awake.set_result(None)
                await settle()
        self._time = max(self._time, end)  # somebody else may have moved it further
        await settle()


async def settle() -> None:
    """Let everybody on this event loop go on until they wait for something else."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
