"""Near timers, kept in memory and on time. Far ones, and those of a process that died, are the sweep's (``wake_at``)."""

from __future__ import annotations

from contextvars import Context

from goconductor.aio.tasks import Tasks
from goconductor.engine.facts.log import View
from goconductor.engine.log.append import Appender
from goconductor.engine.log.folding import Submission
from goconductor.lifecycle.effects import SetTimer
from goconductor.lifecycle.events import TimerFired
from goconductor.ports.clock import Clock
from goconductor.ports.store import Terms
from goconductor.saga.plan import Plan

NEAR_SECONDS = 60.0


class Timers:
    """Brings the event of a timer into the log when it is due. A timer that was overtaken changes nothing.

    Args:
        clock: database time and waiting.
        terms: are asked for the database's time where our idea of it was ahead.
    """

    def __init__(self, clock: Clock, terms: Terms) -> None:
        self._clock = clock
        self._terms = terms
        self._running = Tasks()
        self._closed = False
        self.appender: Appender
        """Set by the node, since each needs the other."""

    def set(self, plan: Plan, view: View, timer: SetTimer) -> None:
        """Keep a timer, if it is near."""
        if not self._closed and timer.due_at - self._clock.now() <= NEAR_SECONDS:
            self._running.start(self._wait(plan, view, timer), name="timer", context=Context())

    async def _wait(self, plan: Plan, view: View, timer: SetTimer) -> None:
        while (wait := timer.due_at - self._clock.now()) > 0:
            await self._clock.sleep(wait)
        event = TimerFired(timer.step, timer.attempt, timer.round, direction=timer.direction)
        while (await self.appender.submit(Submission(view.state.saga_id, plan, event, view=view))).view is None:
            self._clock.observe(await self._terms.database_time())  # our estimate was ahead of the database
            await self._clock.sleep(max(0.01, timer.due_at - self._clock.now()))

    async def close(self) -> None:
        """Forget all timers, and those that a drain may still set; the sweep has them too."""
        self._closed = True
        await self._running.close()
