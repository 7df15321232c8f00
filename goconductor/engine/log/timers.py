"""Near timers, kept in memory and on time. The others are the sweep's (``wake_at``): far ones, those of a process that died, and
those beyond the number that is kept, so that sagas which wait by the hundred thousand cost no memory.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from uuid import UUID

from goconductor.aio.tasks import Tasks
from goconductor.engine.facts.log import View
from goconductor.engine.log.append import Appender
from goconductor.engine.log.folding import Submission
from goconductor.errors import GoConductorError
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.events import TimerFired
from goconductor.ports.clock import Clock
from goconductor.ports.store import Terms
from goconductor.saga.plan import Plan

NEAR_SECONDS = 60.0
"""Seconds from now within which a timer is near."""
NEAR_MAX = 2_000
"""Number of near timers that are kept, a third of a kilobyte each. The sweep has the others, and fires them within a second of
their time. It is one for all processes, so most of the sagas that back off at once should not be left to it.
"""
VIEWS_MAX = 500
"""Number of them that are kept with the view of their saga, a kilobyte each; it is read again for the others."""
SOON_SECONDS = 1.0
"""Seconds from now within which a timer is kept beyond ``NEAR_MAX``, up to twice as many: the sweep would be late for it."""


class Timers:
    """Brings the event of a timer into the log when it is due. A timer that was overtaken changes nothing.

    Args:
        look: reads a saga's present state, many sagas at a time.
        clock: database time and waiting.
        terms: are asked for the database's time where our idea of it was ahead.
    """

    def __init__(self, look: Callable[[UUID], Awaitable[View]], clock: Clock, terms: Terms) -> None:
        self._look = look
        self._clock = clock
        self._terms = terms
        self._near: list[tuple[float, int, UUID, Plan, View | None, SetTimer]] = []
        """A heap by the moment; numbers keep those of one moment in their order."""
        self._numbers = count()
        self._running = Tasks()
        self._waiting: asyncio.Task[None] | None = None
        self._waits_until = math.inf
        self._closed = False
        self.appender: Appender
        """Set by the node, since each needs the other."""

    def set(self, plan: Plan, view: View, timer: SetTimer) -> None:
        """Keep a timer, if it is near and there is room."""
        left = timer.due_at - self._clock.now()
        room = NEAR_MAX if left > SOON_SECONDS else 2 * NEAR_MAX
        if self._closed or len(self._near) >= room or left > NEAR_SECONDS:
            return
        kept = view if len(self._near) < VIEWS_MAX else None
        heappush(self._near, (timer.due_at, next(self._numbers), view.state.saga_id, plan, kept, timer))
        self._wait_for_first()

    def _wait_for_first(self) -> None:
        """See that something waits for the timer that is due first."""
        if not self._near or self._near[0][0] >= self._waits_until:
            return
        if self._waiting is not None:
            self._waiting.cancel()
        self._waits_until = self._near[0][0]
        self._waiting = self._running.start(self._wait(self._waits_until), name="timers", context=Context())

    async def _wait(self, due_at: float) -> None:
        while (wait := due_at - self._clock.now()) > 0:
            await self._clock.sleep(wait)
        self._waiting, self._waits_until = None, math.inf
        while self._near and self._near[0][0] <= due_at:
            _, _, saga_id, plan, view, timer = heappop(self._near)
            self._running.start(self._fire(saga_id, plan, view, timer), name="timer", context=Context())
        self._wait_for_first()

    async def _fire(self, saga_id: UUID, plan: Plan, view: View | None, timer: SetTimer) -> None:
        if view is None:
            try:  # here, and not by the appender: the outcomes of steps that run would wait for it
                view = await self._look(saga_id)
            except GoConductorError:
                return  # the sweep has it too
        event = TimerFired(timer.step, timer.attempt, timer.round, direction=timer.direction)
        while (await self.appender.submit(Submission(saga_id, plan, event, view=view))).view is None:
            try:
                self._clock.observe(await self._terms.database_time())  # our estimate was ahead of the database
            except GoConductorError:
                return  # the store is away by now: as above
            await self._clock.sleep(max(0.01, timer.due_at - self._clock.now()))

    async def close(self) -> None:
        """Forget all timers, and those that a drain may still set; the sweep has them too."""
        self._closed = True
        self._near.clear()
        await self._running.close()
