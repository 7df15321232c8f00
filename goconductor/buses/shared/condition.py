"""Waiting until something holds that other tasks of the loop change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Condition:
    """Wakes all waiters, so that they look again. Unlike asyncio's condition it has no lock: notifying never blocks."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify_all(self) -> None:
        """Let all waiters look again."""
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Wait until the predicate holds; it is asked now, and after each notification."""
        while not predicate():
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
