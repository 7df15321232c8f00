"""Distinguishes a cancellation that we asked for from one that foreign code raised."""

from __future__ import annotations

import asyncio


def is_ours(error: BaseException) -> bool:
    """Return whether this task is being cancelled, as by a drain or a time limit.

    A library that closes its connection often cancels the futures of all that wait for it. A waiter then gets a CancelledError
    although nobody cancelled its task. Taken literally, it would end that task for good.
    """
    current = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and current is not None and current.cancelling() > 0
