"""Performs one run of a step, from its grant to its event: code, time limit, listeners, and what cannot begin yet.

A lease outlives its attempt by a margin, in which the outcome is brought into the log. A step whose code was never called is no
attempt: there is no event then, and the work is handed on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Any

from msgspec.structs import force_setattr

from goconductor.engine.observer import Observer
from goconductor.engine.running.attempt import Attempt, NotBegunError, context_of, seconds_of, timeout_of
from goconductor.engine.running.hearing import Hearing
from goconductor.engine.running.invoke import Invocation, too_late
from goconductor.engine.running.journals import BY_JOURNAL, Journals
from goconductor.engine.steps.action import Action
from goconductor.engine.steps.context import RUNNING, StepContext
from goconductor.engine.steps.listeners import notify
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.deadlines import Deadlines
from goconductor.engine.work.granted import Granted
from goconductor.engine.work.places import Places
from goconductor.engine.work.renewal import Renewal
from goconductor.engine.work.threads import Call, Threads
from goconductor.lifecycle.facts.events import ActionSucceeded, CompensationSucceeded, Event, OutcomeUnknown
from goconductor.lifecycle.pending_work import is_superseded
from goconductor.ports.clock import Clock
from goconductor.saga.ids import SETTLEMENTS, Direction

LEASE_MARGIN_SECONDS = 5.0
"""Seconds after an attempt's time limit for which its lease is still renewed, so that its outcome is not declared lost."""
JOURNAL_PAUSE_SECONDS = 1.0
"""Seconds between two attempts while a journal is unavailable."""


class Performer:
    """Performs the runs of one process.

    Args:
        registry: the steps' code.
        journals: gets reports which journals can be used.
        clock: monotonic time.
        renewal: keeps the leases of long steps.
        places: limits how many run.
        threads: run plain functions.
        output_bytes_max: greatest size of an output, in bytes.
        counts: the counters of events.
        observer: called for each run.
    """

    def __init__(
        self,
        registry: StepRegistry,
        *,
        journals: Journals,
        clock: Clock,
        renewal: Renewal,
        places: Places,
        threads: Threads,
        output_bytes_max: int,
        counts: Counter[str],
        observer: Observer,
    ) -> None:
        self._registry = registry
        self._journals = journals
        self._clock = clock
        self._renewal = renewal
        self._places = places
        self._threads = threads
        self._output_bytes_max = output_bytes_max
        self._counts = counts
        self._observer = observer
        self._hear = Hearing(registry, counts, observer)
        self._on_begin = self._begins
        """One method, bound once, for as many attempts as there are."""
        self._deadlines = Deadlines()
        self.draining = False
        """Whether runs that are cancelled, or cannot begin, are given up."""
        self.left: set[int] = set()
        """The tokens of leases whose functions ran on after the drain."""

    def close(self) -> None:
        """End all time limits."""
        self._deadlines.close()

    async def event_of(self, work: Granted) -> Event | None:
        """Return the event of the work; None if it must not begin any more."""
        now = self._clock.monotonic()
        if now >= work.expires:
            self._counts["leases_expired_before_start"] += 1
            return None
        key = work.lease.key
        if key.direction is Direction.ACTION and is_superseded(work.view.state, key.step, work.attempt, key.round):
            self._counts["actions_overtaken"] += 1
            return OutcomeUnknown(key.step, work.attempt, key.round, reason="it was to go back before it began")
        action = self._code(work)
        timeout = timeout_of(work, action)
        seconds = seconds_of(work, timeout, self._clock)
        if seconds <= 0:
            return too_late(work)
        deadline = now + seconds
        context = context_of(work, deadline, self._clock, self._registry.name)
        self._renewal.hold(work.lease, expires=work.expires, deadline=deadline + LEASE_MARGIN_SECONDS, permit=work.permit)
        attempt = Attempt(
            work,
            action,
            context,
            timeout_seconds=timeout,
            threads=self._threads,
            output_bytes_max=self._output_bytes_max,
            on_begin=self._on_begin,
        )
        invocation = Invocation(attempt, deadlines=self._deadlines, on_error=self._hear)
        RUNNING.set(context)
        self._observer.step_begins(work, context)
        event: Event | None = None
        try:
            listeners = self._registry.listeners
            if listeners and attempt.calls_nothing:
                listeners = []
            if listeners:
                await notify(listeners, "before_step", context, step=action.name)
                self._begins(work, context)  # their time is not the step's
            self._counts["steps_run"] += 1
            ends = context.deadline
            try:
                event = await invocation.run(seconds)
            except NotBegunError as error:
                event = await self._begun_later(invocation, error, ends)
            if action.journal is not None and isinstance(event, BY_JOURNAL):
                self._journals.worked(action)
            if listeners and isinstance(event, ActionSucceeded | CompensationSucceeded):
                output = event.output if isinstance(event, ActionSucceeded) else None
                await notify(listeners, "after_step", context, output, step=action.name)
        except asyncio.CancelledError:
            if not self.draining:
                raise
            event = event or self._given_up(work, attempt)
        finally:
            if (call := attempt.runs_on) is not None:
                self._outlived(work, action, call)
        return event

    async def _begun_later(self, invocation: Invocation, error: NotBegunError, ends: float) -> Event | None:
        """Try again what could not begin, for as long as the step may take and the lease is ours.

        Args:
            invocation: the attempt.
            error: why it could not begin.
            ends: until when it may, on the monotonic clock.
        """
        attempt, told = invocation.attempt, False
        while True:
            if error.of_journal:
                self._journals.failed(attempt.action, str(error))
            if not told:
                await self._hear(attempt.work, attempt.context, error)
            told = True
            if self.draining or self._clock.monotonic() >= ends:
                return None
            await self._clock.sleep(JOURNAL_PAUSE_SECONDS)
            if self._renewal.expires(attempt.work.lease) is None:
                return None
            self._begins(attempt.work, attempt.context)
            try:
                return await invocation.run(min(attempt.timeout_seconds, attempt.seconds_left))
            except NotBegunError as again:
                error = again

    def _code(self, work: Granted) -> Action[..., Any]:
        key = work.lease.key
        return self._registry.steps[work.plan.owners_of[key.direction][key.step][1]]

    def _begins(self, work: Granted, context: StepContext) -> None:
        """Begin the time of the attempt now, and not when the work was granted."""
        now, timeout = self._clock.monotonic(), timeout_of(work, self._code(work))
        force_setattr(context, "deadline", now + seconds_of(work, timeout, self._clock))
        self._renewal.extend(work.lease, now + timeout + LEASE_MARGIN_SECONDS)

    def _outlived(self, work: Granted, action: Action[..., Any], call: Call) -> None:
        """Let the saga go on without the function, which still counts where the step's own limit bounds how many run at once."""
        limit = self._places.limit(action.name)
        if limit is not None:
            call.ends.append(work.place.part(limit).vacate)

    def _given_up(self, work: Granted, attempt: Attempt) -> Event | None:
        """Return the event of an attempt at the end of the drain; None where it is handed on.

        Our own run has ended here, and nobody can know what it did. Or its function runs on, and keeps its lease. Or none of its
        code was called, so that it is handed on.
        """
        if not attempt.begun or work.direction in SETTLEMENTS:
            return None
        if (call := attempt.runs_on) is not None:
            self.left.add(work.lease.token)
            call.ends.append(partial(self._renewal.drop, work.lease))
            return None
        return OutcomeUnknown(
            work.step,
            work.attempt,
            work.lease.key.round,
            direction=work.direction,
            reason="its instance was stopped in the middle",
        )
