"""The wait before the next try, for loops that a stop ends."""

from __future__ import annotations

import asyncio

from goconductor.aio.backoff import Backoff
from goconductor.aio.waiting import wait_at_most


class Patience:
    """The waits between tries, each longer than the one before; they do not hold up a stop.

    What is refused at once would otherwise be tried again at once. News must not end such a wait, as there are some with each
    failure; only :meth:`stop` does.

    Args:
        first_seconds: the first wait, and the first after a success.
        seconds_max: the longest.
    """

    def __init__(self, first_seconds: float = 0.2, seconds_max: float = 5.0) -> None:
        self._pauses = Backoff(first_seconds, seconds_max)
        self._stopped = asyncio.Event()

    def succeeded(self) -> None:
        """Make the next wait a short one again."""
        self._pauses.reset()

    def stop(self) -> None:
        """Wait no more."""
        self._stopped.set()

    async def wait(self) -> None:
        """Wait before the next try."""
        await wait_at_most(self._pauses.next(), self._stopped)
