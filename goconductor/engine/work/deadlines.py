"""Many time limits for the price of two dictionary accesses each.

A step ends nearly always long before its limit, so a timer of the event loop for each is set and taken back for nothing. Limits
of one length, though, run out in the order in which they began: so for each length a queue is kept, and one timer for its first.
(Varghese & Lauck 1987, "Hashed and hierarchical timing wheels": the scheme for few different lengths.)

It means what :func:`asyncio.timeout` means: the task is cancelled, and outside of the limit that is a :class:`TimeoutError`.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Limit:
    """One limit, as a context manager. Made by :meth:`Deadlines.within`."""

    __slots__ = ("_cancelling", "_queue", "expired", "task")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._queue.loop)
        if task is None:
            raise RuntimeError("a limit belongs to a task")
        self.task = task
        self._cancelling = task.cancelling()
        self._queue.put(self)

    def restart(self) -> None:
        """Begin its time now: what was before was waiting. Where it is over, do nothing."""
        self._queue.restart(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._queue.drop(self)
        if self.expired and self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Queue:
    """The limits of one length, the first to run out in front."""

    __slots__ = ("_running", "_seconds", "_timer", "loop")

    def __init__(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        self._seconds = seconds
        self.loop = loop
        self._running: dict[Limit, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, limit: Limit) -> None:
        """Begin a limit now."""
        ends = self._running[limit] = self.loop.time() + self._seconds
        if self._timer is None:
            self._timer = self.loop.call_at(ends, self._run_out)

    def drop(self, limit: Limit) -> None:
        """End a limit. The timer stays: there will be others."""
        self._running.pop(limit, None)

    def restart(self, limit: Limit) -> None:
        """Begin a limit now, if it still runs."""
        if self._running.pop(limit, None) is not None:
            self.put(limit)

    @property
    def idle(self) -> bool:
        """Whether nothing is limited, and no timer set."""
        return not self._running and self._timer is None

    def close(self) -> None:
        """Take the timer back."""
        if self._timer is not None:
            self._timer.cancel()

    def _run_out(self) -> None:
        now = self.loop.time()
        self._timer = None
        while self._running:
            limit, ends = next(iter(self._running.items()))
            if ends > now:
                self._timer = self.loop.call_at(ends, self._run_out)
                return
            del self._running[limit]
            limit.expired = True
            limit.task.cancel()


class _Single(Queue):
    """The queue of a limit whose length is hardly met again: its timer is taken back with it."""

    __slots__ = ()

    def drop(self, limit: Limit) -> None:
        super().drop(limit)
        self.close()


class Deadlines:
    """The limits of one event loop's tasks."""

    LENGTHS_MAX = 64
    """Lengths that are kept; then those with nothing in them are forgotten."""

    def __init__(self) -> None:
        self._queues: dict[float, Queue] = {}

    def within(self, seconds: float, *, once: bool = False) -> Limit:
        """Return a context in which the current task has a time limit.

        Args:
            seconds: the limit.
            once: whether no other limit is likely to have the same length, as it is what happens to be left.

        Raises:
            TimeoutError: on leaving it, if the time is over and the task did not catch its cancellation.
        """
        if once:
            return Limit(_Single(seconds, asyncio.get_running_loop()))
        queue = self._queues.get(seconds)
        if queue is None:
            if len(self._queues) >= self.LENGTHS_MAX:
                self._queues = {length: queue for length, queue in self._queues.items() if not queue.idle}
            queue = self._queues[seconds] = Queue(seconds, asyncio.get_running_loop())
        return Limit(queue)

    def close(self) -> None:
        """Let go of the event loop."""
        for queue in self._queues.values():
            queue.close()
        self._queues.clear()
