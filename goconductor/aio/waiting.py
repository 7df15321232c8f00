"""A wait for an event that is bounded in time."""

from __future__ import annotations

import asyncio
import contextlib


async def wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait until an event is set, or the time is over.

    Args:
        seconds: the longest wait.
        event: ends it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
