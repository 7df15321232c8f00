"""Code that runs apart from the event loop of its process, so that whatever blocks that loop does not hold it up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

RunApart: TypeAlias = Callable[[Callable[[], Coroutine[Any, Any, None]], str], Callable[[], Awaitable[None]]]
"""Runs what a function makes, under a name; what is returned waits for its end."""


def in_thread(main: Callable[[], Coroutine[Any, Any, None]], name: str) -> Callable[[], Awaitable[None]]:
    """Run a coroutine on an event loop of its own, in a thread that does not keep the process from ending.

    Args:
        main: makes the coroutine, in that thread.
        name: the thread's name.

    Returns:
        a function that waits for its end.
    """
    thread = threading.Thread(target=lambda: asyncio.run(main()), name=name, daemon=True)
    thread.start()
    return lambda: asyncio.to_thread(thread.join)
