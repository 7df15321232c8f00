"""Runs granted work: a place for each, its lease kept, its outcome appended, and the next step of the same saga at once.

One coroutine follows a saga from step to step for as long as the next lease comes with the append. Only what cannot go on here is
sent.

One run is performed by :mod:`goconductor.engine.running.performer`. What comes of no run is handed on.

What is promised of a process that leaves: a step that does not end within the drain's time is declared unknown, and others may
try it again, only once its code has ended. A plain function in a thread cannot be ended, nor can a coroutine that swallows its
cancellation: such a step keeps its lease until it has returned, or its time limit is over, or the process has ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextvars import Context
from sys import intern

from goconductor.aio.tasks import Tasks
from goconductor.engine.facts.orphans import Orphans
from goconductor.engine.log.append import Appender
from goconductor.engine.log.folding import Appended, EventRefusedError, Submission
from goconductor.engine.observer import SILENT, Observer
from goconductor.engine.running.admission import Admission
from goconductor.engine.running.draining import ended
from goconductor.engine.running.invoke import without_output
from goconductor.engine.running.journals import Journals
from goconductor.engine.running.performer import Performer
from goconductor.engine.steps.context import RUNNING, about
from goconductor.engine.steps.registry import StepRegistry, hooks, limits
from goconductor.engine.work.granted import Granted
from goconductor.engine.work.places import Place, Places
from goconductor.engine.work.renewal import Renewal
from goconductor.engine.work.threads import Threads
from goconductor.errors import FencedError, GoConductorError
from goconductor.lifecycle.facts.effects import Work
from goconductor.lifecycle.facts.events import Event
from goconductor.ports.clock import Clock
from goconductor.ports.store import Limit
from goconductor.redaction import logger_of
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.plan import Plan

logger = logger_of("goconductor.engine")

NOBODYS = Context()
"""The context of what ends a task; without one, each would keep a copy."""


class Executor:
    """The running steps of one process.

    Args:
        registry: the steps' code.
        journals: gets reports which journals can be used.
        orphans: frees leases that led to nothing.
        clock: monotonic time.
        renewal: keeps the leases of long steps.
        admission: has the permits of steps whose limit counts over all instances.
        concurrency: greatest number of steps that run at once; None leaves it to the registry, which may change it.
        threads: greatest number of them in threads, for plain functions.
        output_bytes_max: greatest size of an output, in bytes.
        counts: the counters of events.
        observer: called for each run.
    """

    def __init__(
        self,
        registry: StepRegistry,
        *,
        journals: Journals,
        orphans: Orphans,
        clock: Clock,
        renewal: Renewal,
        admission: Admission,
        concurrency: int | None,
        threads: int,
        output_bytes_max: int,
        counts: Counter[str],
        observer: Observer = SILENT,
    ) -> None:
        self._registry = registry
        self._journals = journals
        self._orphans = orphans
        self._renewal = renewal
        self.admission, self.limits = admission, limits(registry)
        self.threads = Threads(f"goconductor-{registry.name}", threads)
        self.places = Places(registry, lambda: concurrency or registry.concurrency, lambda: self.threads.room)
        self._hooks = hooks(registry)
        self._hooks.has_grown = self.places.look_again
        self._observer = observer
        self._performer = Performer(
            registry,
            journals=journals,
            clock=clock,
            renewal=renewal,
            places=self.places,
            threads=self.threads,
            output_bytes_max=output_bytes_max,
            counts=counts,
            observer=observer,
        )
        self._chains: set[asyncio.Task[None]] = set()
        self._forget = self._chains.discard
        """One method, bound once, for as many tasks as there are."""
        self._declining = Tasks()
        self._closed = False
        self.left = 0
        """Number of steps that ran on after the drain, as they cannot be ended."""
        self.appender: Appender
        """Set by the node, since each needs the other."""

    def metrics(self) -> dict[str, int]:
        """Return the places, threads and connections taken now, by runs and by what was given up."""
        return {
            "steps_running": self.places.steps.taken,
            "threads_taken": self.places.threads.taken,
            "threads_lost": self.threads.lost,
            "connections_taken": self.places.connections,
            "permits_taken": self.admission.taken,
        }

    def owns(self, plan: Plan, step: str, direction: Direction) -> bool:
        """Return whether this process has the code of a side of a step."""
        return self.places.owns(plan, step, direction)

    def limit(self, plan: Plan, step: str, direction: Direction) -> Limit | None:
        """Return the limit over all instances under which our side of a step runs; None where there is none."""
        if direction in SETTLEMENTS or not self.owns(plan, step, direction):
            return None
        return self.limits.get(plan.owners_of[direction][step][1])

    def reserve(self, plan: Plan, work: Work) -> Place | None:
        """Keep a place, if the step is ours and there is one, and it wants no permit."""
        if self.limits and self.limit(plan, work.step, work.direction) is not None:
            return None
        return self.places.reserve(plan, work.step, work.direction)

    def undoes_nothing(self, plan: Plan, step: str) -> bool:
        """Return whether the step is ours, and its compensation would run no code and write nothing.

        Not if the definition has a compensation: then newer instances have its code, and the lease decides which one runs it.
        """
        if not self.owns(plan, step, Direction.COMPENSATION) or plan.steps[step].compensation or step in plan.undoes:
            return False
        action = self._registry.steps[plan.owners[step][1]]
        return action.compensation_function is None and action.journal is None

    def spawn(self, works: Sequence[Granted]) -> None:
        """Run granted work, whose places are reserved. A process that leaves hands it on."""
        if self._performer.draining:
            self._decline(works)
            return
        for work in works:
            # in a context of its own: where a step runs is chance, so it gets nothing of the starter's context
            chain = asyncio.create_task(self._chain(work), name=intern(f"step {work.step}"), context=Context())
            self._chains.add(chain)
            chain.add_done_callback(self._forget, context=NOBODYS)

    async def _chain(self, work: Granted) -> None:
        """Run one piece of work after the other. Few coroutines wait for one that runs: each takes a quarter of a kilobyte."""
        current: Granted | None = work
        permit = None
        try:
            while current is not None:
                work, permit, event = current, current.permit, None
                try:
                    event = await self._performer.event_of(work)
                finally:
                    event, is_over = self._ended(work, event)
                current = None if is_over else await self._gone_on(work, event)
                if permit is not None and not is_over and event is not None:  # its lease has gone with the append
                    self.admission.give_back(permit)
                permit = None
        except Exception:  # asyncio would log it as well, but neither for which saga nor without passwords
            logger.exception("running step %r ended by an unexpected error", work.step, extra=about(work.lease.key))
            if permit is not None:  # nothing runs under it, and the lease ends by itself
                self.admission.give_back(permit)
            if self._hooks.on_kept is not None:
                self._hooks.on_kept(work.lease, False)

    def _ended(self, work: Granted, event: Event | None) -> tuple[Event | None, bool]:
        """Give back what a run has had; return what came of it, and whether this process says nothing of that any more."""
        event = self._observer.step_ended(work, event)
        RUNNING.set(None)
        is_left = work.lease.token in self._performer.left
        if not is_left:
            self._renewal.drop(work.lease)
        work.place.vacate()
        return event, is_left or self._closed

    async def _gone_on(self, work: Granted, event: Event | None) -> Granted | None:
        """Append the outcome; the first piece that follows is handed back, others get a chain each."""
        if event is None:
            await self._hand_on([work])
            return None
        try:
            appended = await self._kept(work, event)
        except FencedError:
            raise
        except GoConductorError:
            key = work.lease.key
            logger.exception("the outcome of step %r of saga %s could not be kept", work.step, key.saga_id, extra=about(key))
            self._orphans.add([work.lease])
            if self._hooks.on_kept is not None:
                self._hooks.on_kept(work.lease, False)
            return None
        if appended.dropped:
            self._orphans.add([work.lease])
        if self._hooks.on_kept is not None:
            self._hooks.on_kept(work.lease, not appended.dropped)
        if not appended.works:
            return None
        if self._performer.draining:
            self._decline(appended.works)
            return None
        first, *others = appended.works
        if others:
            self.spawn(others)
        return first

    async def _kept(self, work: Granted, event: Event) -> Appended:
        """Bring an outcome into the log. An output that the database refuses for good is left out, as the step has run."""
        saga_id = work.lease.key.saga_id
        try:
            return await self.appender.submit(
                Submission(saga_id, work.plan, event, view=work.view, lease=work.lease, follows=True)
            )
        except EventRefusedError as error:
            rejected = without_output(work, event, error)
            if rejected is None:
                raise
            logger.error("step %r ran, but %s", work.step, error, extra=about(work.lease.key))  # noqa: TRY400  (no traceback needed)
            return await self.appender.submit(
                Submission(saga_id, work.plan, rejected, view=work.view, lease=work.lease, follows=True)
            )

    def _decline(self, works: Sequence[Granted]) -> None:
        """Begin nothing more here: others are asked, and find neither a lease nor a place taken."""
        for work in works:
            work.place.vacate()
        if works:
            self._declining.start(self._hand_on(works), name="handing on", context=Context())

    async def _hand_on(self, works: Sequence[Granted]) -> None:
        self._orphans.add(work.lease for work in works)
        try:
            await self._orphans.free()
        except GoConductorError as error:
            logger.debug("%d leases are freed later: %s", len(works), error)
        for work in works:
            if work.permit is not None:
                self.admission.give_back(work.permit, unused=True)
            self.appender.hand_on(work)

    async def drain(self, within_seconds: float) -> None:
        """Begin nothing new, let running steps finish for ``within_seconds``, then give up the rest, and append that."""
        self._performer.draining = True
        self.places.close()
        mute = await ended(self._chains, within_seconds)
        self.left = len(mute) + len(self._performer.left)
        if self.left:
            logger.error(
                "%d steps cannot be ended and run on; they keep their leases until they return, or until this process has ended: "
                "give what they call a time limit of its own",
                self.left,
            )
        self._closed = True
        self._performer.close()
        self.threads.close()

    async def close(self) -> None:
        """Wait until the work of appends that were in flight during the drain is handed on."""
        await self._declining.join()
        await self.admission.close()
        await self._journals.close()
