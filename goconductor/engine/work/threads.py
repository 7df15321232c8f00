"""Threads for steps that are plain functions.

A thread cannot be stopped. A step may be given up, because its time is over or its process leaves. Its function then runs on, and
its thread is *lost* until it returns. Lost threads are replaced; otherwise functions that hang would starve the others. But there
is an end: as many may be lost as there are threads, and from then on each further one leaves one less to work with.

They are daemon threads: a process that leaves waits for none of them. A function is begun or withdrawn, never both: the one
ticket of a call decides it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

LATE_SECONDS = 0.001
"""Seconds after its request from which a call reports its late begin, since its time runs from there."""


class NotCalledError(Exception):
    """The function was withdrawn before any thread had begun it."""


class Call:
    """One function, on its way into a thread.

    Args:
        function: what is called.
        on_begun: called on the event loop if the function began late.
        on_end: called there once it has returned or raised, also where nobody waits for it.

    Attributes:
        answer: what came of it.
        ended: whether it has returned or raised.
        ends: more to be called then.
    """

    __slots__ = ("_asked_at", "_function", "_loop", "_on_begun", "_ticket", "answer", "ended", "ends")

    def __init__(self, function: Callable[[], Any], on_begun: Callable[[], None], on_end: Callable[[], None]) -> None:
        self._function = function
        self._on_begun = on_begun
        self._loop = asyncio.get_running_loop()
        self._asked_at = time.monotonic()
        self._ticket = [True]
        self.answer: asyncio.Future[Any] = self._loop.create_future()
        self.ended = False
        self.ends = [on_end]

    def withdraw(self) -> bool:
        """Keep the function from beginning; return whether that succeeded: then it is never called."""
        try:
            return self._ticket.pop()  # one operation, so that of two tries one succeeds
        except IndexError:
            return False

    def run(self) -> None:
        """Call the function. Runs in the thread."""
        if not self.withdraw():
            return
        if time.monotonic() - self._asked_at > LATE_SECONDS:
            self._schedule(self._on_begun)
        try:
            result, error = self._function(), None
        except BaseException as raised:  # noqa: BLE001  (it is the caller's)
            result, error = None, raised
        self._schedule(self._end, result, error)

    def _schedule(self, function: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)

    def _end(self, result: Any, error: BaseException | None) -> None:
        self.ended = True
        if not self.answer.done():
            if error is None:
                self.answer.set_result(result)
            else:
                self.answer.set_exception(error)
        for end in self.ends:
            end()


class Threads:
    """The threads of one process's steps.

    Args:
        name: how they are called.
        size: how many functions may run at once.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._started = 0
        self._busy = 0
        self.lost = 0
        """Number of threads that run functions that were given up."""

    @property
    def room(self) -> int:
        """How many functions may run at once now, beside those that were given up."""
        return self._size - max(0, self.lost - self._size)

    def call(self, function: Callable[[], Any], on_begun: Callable[[], None]) -> Call:
        """Have a function called. Its answer comes on the event loop that runs here.

        Args:
            function: what is called.
            on_begun: called on the event loop if it began noticeably later than now.
        """
        call = Call(function, on_begun, self._ended)
        self._busy += 1
        self._calls.put(call)
        if self._busy > self._started:
            self._started += 1
            threading.Thread(target=self._work, name=f"{self._name}_{self._started}", daemon=True).start()
        return call

    async def answer(self, call: Call) -> Any:
        """Return what the function returned, or raise what it raised.

        Raises:
            NotCalledError: the caller was cancelled before the function had begun; it never will.
            asyncio.CancelledError: the caller was cancelled, and the function runs on: its thread is lost until it returns.
        """
        try:
            return await call.answer
        except asyncio.CancelledError:
            if call.withdraw():
                self._busy -= 1
                raise NotCalledError from None
            if not call.ended:
                self._lose(call)
            raise

    def close(self) -> None:
        """Let the threads end that have nothing to do. Nobody waits for the others."""
        for _ in range(self._started):
            self._calls.put(None)

    def _lose(self, call: Call) -> None:
        self.lost += 1
        call.ends.append(self._found)
        spare = self.room
        level, remedy = logging.WARNING, "give what it calls a time limit of its own"
        if spare < self._size:
            level = logging.ERROR
            remedy += ", raise participant.threads, or restart the process"
        logger.log(
            level, "%d threads are held by plain steps that were given up and run on; %d are left: %s", self.lost, spare, remedy
        )

    def _found(self) -> None:
        self.lost -= 1

    def _ended(self) -> None:
        self._busy -= 1

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call
