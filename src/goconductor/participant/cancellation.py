"""Telling a cancellation that we asked for from one that user code raised."""

from __future__ import annotations

import asyncio


def is_ours(error: BaseException) -> bool:
    """Whether this task is being cancelled, as in a drain. What user code raised by itself is an error like any other."""
    current = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and current is not None and current.cancelling() > 0
