"""Notices that the server of the application stops: streams and long polls must end then, or it would wait for them for ever.

The server's program may set an event. Uvicorn reports nothing to its applications, neither at the signal to stop nor while it
waits for their answers. But its server is the object whose method handles the signal, and has a flag for it. So that flag is read
while something waits.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from goconductor.aio.tasks import create_guarded_task

LOOK_SECONDS = 0.25
"""Seconds between two looks whether the server stops."""


class Stopping:
    """Whether the server stops.

    Args:
        event: set by the program of the server; None if there is none.
    """

    def __init__(self, event: asyncio.Event | None = None) -> None:
        self.event = event or asyncio.Event()
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def awaited(self) -> Iterator[asyncio.Event]:
        """Enter a context with the event, which is set in time while the context is open."""
        self._waiting += 1
        if self._looking is None:
            self._looking = create_guarded_task(self._look(), name="looking whether the server stops")
        try:
            yield self.event
        finally:
            self._waiting -= 1
            if not self._waiting and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while not self.event.is_set():
            if told_to_stop():
                self.event.set()
            await asyncio.sleep(LOOK_SECONDS)


def told_to_stop() -> bool:
    """Return whether uvicorn, if it runs in this process, got the signal to stop."""
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = (signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT))
    return any(getattr(getattr(handler, "__self__", None), "should_exit", False) is True for handler in handlers)
