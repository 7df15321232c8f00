"""What a subscription keeps until its time comes, for logs that cannot delay a message themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """Items that wait, each with a timer of its own.

    Args:
        on_due: called with each item whose time has come; it waits no more then.
    """

    def __init__(self, on_due: Callable[[T], None]) -> None:
        self._on_due = on_due
        self._timers: dict[T, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def __iter__(self) -> Iterator[T]:
        """Iterate over those that wait now; they may be removed meanwhile."""
        return iter(list(self._timers))

    def add(self, item: T, seconds: float) -> None:
        """Keep an item for a number of seconds."""
        self._timers[item] = asyncio.get_running_loop().call_later(seconds, self._ended, item)

    def remove(self, item: T) -> float | None:
        """Let an item wait no more; returns the seconds that were left, or None if it did not wait."""
        if (timer := self._timers.pop(item, None)) is None:
            return None
        timer.cancel()
        return max(timer.when() - asyncio.get_running_loop().time(), 0.0)

    def clear(self) -> None:
        """Forget all of them."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ended(self, item: T) -> None:
        del self._timers[item]
        self._on_due(item)
