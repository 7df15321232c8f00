"""The first of several, where the others are of no use any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from goconductor.aio.tasks import end, log_failure

T = TypeVar("T")


async def first_of(*coroutines: Coroutine[Any, Any, T]) -> T:
    """Run several at once until the first has ended. The others are cancelled.

    All have ended when this returns, also when it is cancelled itself. So it waits for what they do while they are cancelled.

    Args:
        coroutines: of several that end in the same turn of the loop, the one that stands first here counts.

    Returns:
        what the first returned.

    Raises:
        Exception: what the first raised. What another one raises is logged.
    """
    running = [asyncio.create_task(coroutine) for coroutine in coroutines]
    first = None
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in running if task in done)
        return first.result()
    finally:
        await end(*running)
        for task in running:
            if task is not first:
                log_failure(task)
