"""Tasks in the background: held, so that none is lost, and never silent when one ends by an error that nobody expected.

asyncio itself logs such an error only once the task is garbage. A task that somebody holds is garbage at the end of the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextvars import Context
from typing import Any, TypeVar

from goconductor.redaction import logger_of

T = TypeVar("T")

logger = logger_of("goconductor.aio")


def create_guarded_task(coroutine: Coroutine[Any, Any, T], *, name: str, context: Context | None = None) -> asyncio.Task[T]:
    """Start a task that nobody awaits for its result. An exception that ends it is logged at once.

    Args:
        coroutine: what it does.
        name: what it is, for the log.
        context: the context that it runs in; None copies the caller's. A task that serves everybody has one of its own, so that
            it is no part of the trace of whoever came first.

    Returns:
        the task. The caller holds it: the event loop alone would let it be collected.
    """
    task = asyncio.create_task(coroutine, name=name, context=context)
    task.add_done_callback(log_failure)
    return task


def log_failure(task: asyncio.Task[Any]) -> None:
    """Log the exception that a task has ended by, if there is one. A cancellation is none."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the task %r ended by an unexpected error", task.get_name(), exc_info=error)


async def end(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks, and wait until each has ended. Nothing that they raise is raised here.

    Args:
        tasks: which; None stands for a task that was never started.
    """
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


class Tasks:
    """A set of guarded tasks; each leaves it when it has ended."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        """Return the number of running tasks."""
        return len(self._running)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        """Iterate over the running tasks."""
        return iter(list(self._running))

    def start(self, coroutine: Coroutine[Any, Any, T], *, name: str, context: Context | None = None) -> asyncio.Task[T]:
        """Start one, as :func:`create_guarded_task`."""
        task = create_guarded_task(coroutine, name=name, context=context)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def join(self) -> None:
        """Wait until none runs, those included that start meanwhile."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Cancel all, and wait until they have ended, those included that start meanwhile."""
        while self._running:
            await end(*self._running)
