"""A receiver for tests of buses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from goconductor.ports.bus import Delivery

TIMEOUT_SECONDS = 300.0
"""Seconds that a test waits for deliveries: generous, as the machine may be busy."""


class Inbox:
    """A receiver that remembers what came.

    Args:
        hold: keep deliveries in hand instead of acknowledging them at once.
    """

    def __init__(self, *, hold: bool = False) -> None:
        self.deliveries: list[Delivery] = []
        self._hold = hold
        self._came = asyncio.Condition()

    @property
    def payloads(self) -> list[bytes]:
        return [delivery.message.payload for delivery in self.deliveries]

    async def __call__(self, delivery: Delivery) -> None:
        if not self._hold:
            delivery.acknowledge()
        async with self._came:
            self.deliveries.append(delivery)
            self._came.notify_all()

    async def has(self, count: int) -> list[Delivery]:
        """Wait until ``count`` deliveries came."""
        return await self.has_until(lambda: len(self.deliveries) >= count)

    async def has_until(self, enough: Callable[[], bool]) -> list[Delivery]:
        async with asyncio.timeout(TIMEOUT_SECONDS), self._came:
            await self._came.wait_for(enough)
        return self.deliveries
