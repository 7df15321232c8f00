"""Near timers, kept in memory and on time. Far ones, and those of a process that died, are the sweep's (``wake_at``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from goconductor.lifecycle.effects import SetTimer
from goconductor.participant.log import View
from goconductor.ports.clock import Clock
from goconductor.saga.graph import Plan

NEAR_SECONDS = 60.0


class Timers:
    """Calls ``fire`` when a timer is due.

    Args:
        clock: database time and waiting.
        fire: told of the plan, the view when the timer was set, and the timer. A timer that was overtaken changes nothing.
    """

    def __init__(self, clock: Clock, fire: Callable[[Plan, View, SetTimer], Awaitable[None]]) -> None:
        self._clock = clock
        self._fire = fire
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def set(self, plan: Plan, view: View, timer: SetTimer) -> None:
        """Keep a timer, if it is near."""
        if not self._closed and timer.due_at - self._clock.now() <= NEAR_SECONDS:
            running = asyncio.create_task(self._wait(plan, view, timer), name="timer", context=Context())
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    async def _wait(self, plan: Plan, view: View, timer: SetTimer) -> None:
        while (wait := timer.due_at - self._clock.now()) > 0:
            await self._clock.sleep(wait)
        await self._fire(plan, view, timer)

    async def close(self) -> None:
        """Forget all timers, and those that a drain may still set; the sweep has them too."""
        self._closed = True
        running = list(self._running)
        for timer in running:
            timer.cancel()
        await asyncio.gather(*running, return_exceptions=True)
