"""Runs granted work: a place for each, its lease kept, its outcome appended, and the next step of the same saga at once.

One coroutine follows a saga from step to step for as long as the next lease comes with the append. Only what cannot go on here is
sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context

from goconductor.errors import FencedError, GoConductorError
from goconductor.lifecycle.effects import Work, direction_of
from goconductor.lifecycle.events import ActionSucceeded, CompensationSucceeded, Event, OutcomeUnknown
from goconductor.lifecycle.owed import is_overtaken
from goconductor.participant.append import Appender
from goconductor.participant.context import RUNNING, StepContext, about
from goconductor.participant.deadlines import Deadlines
from goconductor.participant.failures import is_refusal, is_unexpected, text_of, traceback_of
from goconductor.participant.folding import Submission
from goconductor.participant.invoke import Invocation, NotBegunError, timeout_of
from goconductor.participant.listeners import tell
from goconductor.participant.orphans import Orphans
from goconductor.participant.places import Place, Places
from goconductor.participant.probe import SILENT, Probe
from goconductor.participant.registry import StepRegistry
from goconductor.participant.renewal import Renewal
from goconductor.participant.work import Granted
from goconductor.ports.clock import Clock
from goconductor.saga.definition import StepKind
from goconductor.saga.graph import Plan
from goconductor.saga.ids import Direction

logger = logging.getLogger("goconductor.participant")

THREADS = 32
JUST_BEGUN_SECONDS = 0.01
"""What listeners take at most for a step to have all of its time, which it then shares with the others of its length."""
JOURNAL_PAUSE_SECONDS = 1.0
SAYING_SECONDS = 5.0
"""How long a drain waits for the log to take that a step was given up on."""


class Executor:
    """The running steps of one process.

    Args:
        registry: the steps' code.
        orphans: frees leases that led to nothing.
        clock: monotonic time.
        renewal: keeps the leases of long steps.
        concurrency: how many steps may run at once.
        output_bytes_max: a larger output is refused.
        counts: where what happened is counted.
        probe: told of each run.
    """

    def __init__(
        self,
        registry: StepRegistry,
        *,
        orphans: Orphans,
        clock: Clock,
        renewal: Renewal,
        concurrency: int,
        output_bytes_max: int,
        counts: Counter[str],
        probe: Probe = SILENT,
    ) -> None:
        self._registry = registry
        self._orphans = orphans
        self._clock = clock
        self._renewal = renewal
        self.places = Places(registry, concurrency)
        self._output_bytes_max = output_bytes_max
        self._counts = counts
        self._probe = probe
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"goconductor-{registry.name}")
        self._deadlines = Deadlines()
        self._chains: set[asyncio.Task[None]] = set()
        self._declining: set[asyncio.Task[None]] = set()
        self._draining = False
        self.appender: Appender
        """Set by the node, since each needs the other."""

    def owns(self, plan: Plan, step: str) -> bool:
        """Whether this process has the code of a step."""
        return self.places.owns(plan, step)

    def reserve(self, plan: Plan, work: Work) -> Place | None:
        """Keep a place, if the step is ours and there is one."""
        return self.places.reserve(plan, work.step, direction_of(work))

    def undoes_nothing(self, plan: Plan, step: str) -> bool:
        """Whether the step is ours, and compensating it would run no code and note nothing down.

        Not if the definition knows of a compensation: then newer instances have one, and the lease decides who is to run it.
        """
        if not self.owns(plan, step) or plan.steps[step].compensation:
            return False
        action = self._registry.steps[plan.owners[step][1]]
        return action.compensation_function is None and action.journal is None

    def spawn(self, works: Sequence[Granted]) -> None:
        """Run granted work, whose places are reserved. A process that leaves hands it on."""
        if self._draining:
            self._decline(works)
            return
        for work in works:
            # in a context of its own: where a step runs is chance, so it gets nothing of who started its saga
            chain = asyncio.create_task(self._chain(work), name=f"step {work.step}", context=Context())
            self._chains.add(chain)
            chain.add_done_callback(self._chains.discard)

    async def _chain(self, work: Granted) -> None:
        current: Granted | None = work
        while current is not None:
            current = await self._once(current)

    async def _once(self, work: Granted) -> Granted | None:
        """Run one piece of work and append its outcome; the first piece that follows is handed back, others get a chain each."""
        event: Event | None = None
        try:
            event = await self._event(work)
        except asyncio.CancelledError:
            event = self._given_up(work)
            if event is None:
                raise
        finally:
            event = self._probe.step_ended(work, event)
            RUNNING.set(None)
            self._renewal.drop(work.lease)
            work.place.vacate()
        if event is None:
            await self._hand_on([work])
            return None
        state = work.view.state
        submission = Submission(state.saga_id, work.plan.name, event, view=work.view, lease=work.lease, follows=True)
        try:
            appended = await self.appender.submit(submission)
        except FencedError:
            raise
        except GoConductorError:
            logger.exception(
                "the outcome of step %r of saga %s could not be kept", work.step, state.saga_id, extra=about(work.lease.key)
            )
            self._orphans.add([work.lease])
            return None
        if appended.dropped:
            self._orphans.add([work.lease])
        if not appended.works:
            return None
        if self._draining:
            self._decline(appended.works)
            return None
        self.spawn(appended.works[1:])
        return appended.works[0]

    async def _event(self, work: Granted) -> Event | None:
        """What came of the work; None if it must not begin any more."""
        now = self._clock.monotonic()
        if now >= work.expires:
            self._counts["leases_expired_before_start"] += 1
            return None
        key = work.lease.key
        if key.direction is Direction.ACTION and is_overtaken(work.view.state, key.step, work.attempt, key.round):
            self._counts["actions_overtaken"] += 1
            return OutcomeUnknown(key.step, work.attempt, key.round, reason="its saga turned back before it began")
        action = self._registry.steps[work.plan.owners[key.step][1]]
        seconds = timeout_of(work, action)
        deadline = now + seconds
        context = StepContext(
            saga_id=key.saga_id,
            saga=work.plan.name,
            step=key.step,
            direction=key.direction,
            attempt=work.attempt,
            round=key.round,
            deadline=deadline,
            clock=self._clock,
            participant=self._registry.name,
            traceparent=work.view.state.traceparent,
        )
        self._renewal.hold(work.lease, expires=work.expires, deadline=deadline)
        listeners = self._registry.listeners
        invocation = Invocation(
            work,
            action,
            context,
            threads=self._threads,
            deadlines=self._deadlines,
            output_bytes_max=self._output_bytes_max,
            hear=self._heard,
        )
        RUNNING.set(context)
        self._probe.step_begins(work, context)
        if listeners:
            await tell(listeners, "before_step", context, step=action.name)
            left = self._left(work, context)
            seconds = seconds if left > 0 and seconds - left < JUST_BEGUN_SECONDS else left
        self._counts["steps_run"] += 1
        event = await self._begun(invocation, work, context, seconds)
        if listeners and isinstance(event, ActionSucceeded | CompensationSucceeded):
            output = event.output if isinstance(event, ActionSucceeded) else None
            await tell(listeners, "after_step", context, output, step=action.name)
        return event

    async def _begun(self, invocation: Invocation, work: Granted, context: StepContext, seconds: float) -> Event | None:
        """Do it. While the journal's database is away nothing has begun: it is tried again for as long as the lease is ours."""
        told = False
        while seconds > 0:
            try:
                return await invocation.run(seconds)
            except NotBegunError as error:
                if not told:
                    await self._heard(work, context, error)
                told = True
                await self._clock.sleep(JOURNAL_PAUSE_SECONDS)
            seconds = self._left(work, context)
        return None

    def _left(self, work: Granted, context: StepContext) -> float:
        """In how many seconds it may still begin; none once its lease is lost."""
        return 0.0 if self._renewal.expires(work.lease) is None else context.seconds_left

    async def _heard(self, work: Granted, context: StepContext, error: BaseException) -> None:
        self._counts["step_errors"] += 1
        self._probe.step_raised(context, error)
        forward = work.plan.kinds[work.step] is StepKind.RETRIABLE
        answer = is_refusal(error) and context.direction is Direction.ACTION and not forward
        level = logging.INFO if answer else logging.WARNING  # a saga that is refused turns back, and nobody is at fault
        if context.logger.isEnabledFor(level):
            side = "compensation" if context.direction is Direction.COMPENSATION else "action"
            said = "the %s of step %r raised %s: %s"
            shown = error if is_unexpected(error) and self._is_news(work, error) else None
            context.logger.log(level, said, side, context.step, type(error).__name__, text_of(error), exc_info=shown)
        await tell(self._registry.listeners, "on_error", context, error, step=work.plan.owners[work.step][1])

    def _is_news(self, work: Granted, error: BaseException) -> bool:
        """Whether this attempt failed in another way than the one before, whose traceback has been logged."""
        action = self._registry.steps[work.plan.owners[work.step][1]]
        function = action.compensation_function if work.direction is Direction.COMPENSATION else action.function
        before = work.view.state.step(work.step).failure
        return before is None or before.traceback != traceback_of(error, function)

    def _given_up(self, work: Granted) -> Event | None:
        """The drain's time was over: our own run has ended here, and nobody can know what it did."""
        if not self._draining or work.direction is Direction.SETTLE:
            return None
        return OutcomeUnknown(
            work.step,
            work.attempt,
            work.lease.key.round,
            direction=work.direction,
            reason="its instance was stopped in the middle",
        )

    def _decline(self, works: Sequence[Granted]) -> None:
        """Nothing more is begun here: others are asked, and find neither a lease nor a place taken."""
        for work in works:
            work.place.vacate()
        if works:
            declining = asyncio.create_task(self._hand_on(works), name="handing on", context=Context())
            self._declining.add(declining)
            declining.add_done_callback(self._declining.discard)

    async def _hand_on(self, works: Sequence[Granted]) -> None:
        self._orphans.add(work.lease for work in works)
        try:
            await self._orphans.free()
        except GoConductorError as error:
            logger.debug("%d leases are freed later: %s", len(works), error)
        for work in works:
            self.appender.hand_on(work)

    async def drain(self, within_seconds: float) -> None:
        """Begin nothing new; let what runs finish, for so long; then give up on the rest, and say so in the log."""
        self._draining = True
        self.places.close()
        if self._chains:
            logger.info("draining: %d steps run", len(self._chains))
            await asyncio.wait(list(self._chains), timeout=within_seconds)
        late = list(self._chains)
        for chain in late:
            chain.cancel()
        if late:
            logger.warning("draining: %d steps did not finish within %.0f s and are given up", len(late), within_seconds)
            _, mute = await asyncio.wait(late, timeout=SAYING_SECONDS)
            for chain in mute:  # the store is away: the sweep finds out by their leases
                chain.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._deadlines.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def close(self) -> None:
        """What appends brought that were in flight while this drained is handed on by now."""
        while self._declining:
            await asyncio.wait(self._declining)
