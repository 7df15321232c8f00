"""Leases of long steps, renewed by a thread of their own with a store connection of its own.

A renewal must not depend on user code yielding: a step that blocks the event loop for a minute keeps its leases. Short
steps never write a renewal, since it begins at a third of a lease's life. None goes beyond the step's deadline, so a step
that hangs ends by its lease, whoever holds it.

A renewal brings nothing back: a step may end, and its lease be released, while a renewal of it is under way. Only where a
crash of the database has emptied the table are absent leases asserted again; one dropped meanwhile is released at once.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from goconductor.aio.apart import RunApart, in_thread
from goconductor.aio.reminders import Reminder
from goconductor.aio.tasks import create_guarded_task
from goconductor.engine.steps.context import about
from goconductor.engine.work.blocking import LoopWatch, StepIn, no_step
from goconductor.errors import GoConductorError
from goconductor.ports.clock import Clock
from goconductor.ports.store import Lease, LeaseKey, Permit, Store
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

LINGERING_SECONDS = 5.0
"""Seconds that a process that leaves waits for the session that outlives it."""

PERMIT_MARGIN_SECONDS = 1.0
"""Seconds for which a permit outlives its lease, which is taken and renewed a moment later."""
RESTING_LEASES = 2.0
"""Lives of a lease after the last renewal until the thread's store is closed; the next long step opens another one."""


class _Held(msgspec.Struct):
    lease: Lease
    expires: float
    deadline: float
    permit: Permit | None


class Renewal:
    """Keeps the leases that were handed to it.

    Args:
        open_store: makes a store for the thread's own event loop.
        clock: monotonic time.
        lease_seconds: the life of a lease.
        step_in: finds the step in a stack, where code blocks the event loop.
        run_apart: runs the renewals, in a thread by default.

    Attributes:
        watch: looks at each round of the thread, while leases are held, whether the event loop goes on.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        clock: Clock,
        lease_seconds: float,
        step_in: StepIn = no_step,
        *,
        run_apart: RunApart = in_thread,
    ) -> None:
        self._open_store = open_store
        self._run_apart = run_apart
        self.watch = LoopWatch(step_in, clock)
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._held: dict[LeaseKey, _Held] = {}
        self._stop = threading.Event()
        self._ended: Callable[[], Awaitable[None]] | None = None
        self._wake: Callable[[], object] = bool
        self._linger = False
        self._lingering = threading.Event()
        self.lost = 0
        self.renewed = 0

    def hold(self, lease: Lease, *, expires: float, deadline: float, permit: Permit | None = None) -> None:
        """Keep this lease until :meth:`drop`, and its permit with it; times are on the monotonic clock."""
        self._held[lease.key] = _Held(lease, expires, deadline, permit)

    def extend(self, lease: Lease, deadline: float) -> None:
        """Renew a lease until a deadline, as the step began only now."""
        held = self._held.get(lease.key)
        if held is not None and held.lease.token == lease.token:
            held.deadline = deadline

    def drop(self, lease: Lease) -> None:
        """Stop renewing a lease that is no longer wanted."""
        held = self._held.get(lease.key)
        if held is not None and held.lease.token == lease.token:
            self._held.pop(lease.key, None)  # the thread may have found it lost meanwhile

    def expires(self, lease: Lease) -> float | None:
        """Return until when the lease is ours, on the monotonic clock; None if it was lost."""
        held = self._held.get(lease.key)
        return held.expires if held is not None and held.lease.token == lease.token else None

    def start(self) -> None:
        """Start the thread."""
        self._stop.clear()
        self.watch.start()
        self._ended = self._run_apart(self._until_stopped, "goconductor-renewal")

    async def stop(self, *, linger: bool = False) -> None:
        """End the thread.

        Args:
            linger: leave it to itself, and keep what is held, until that is dropped or its time is over.
        """
        self._linger = linger
        self._stop.set()
        with suppress(RuntimeError):  # its loop has ended already
            self._wake()
        if linger:  # its session is the process's sign of life as soon as the others are closed
            await asyncio.to_thread(self._lingering.wait, LINGERING_SECONDS)
        elif self._ended is not None:
            await self._ended()
            self._ended = None

    async def _until_stopped(self) -> None:
        """Renew until the end; also a store that is being waited for is then let go."""
        stopped = asyncio.Event()
        self._wake = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set)
        renewing = create_guarded_task(self._run(stopped), name="renewal of leases")
        if not self._stop.is_set():  # no thread waits for it: Python would not end before such a thread does
            await stopped.wait()
        stopped.set()
        if not self._lingers():
            renewing.cancel()
        await asyncio.wait([renewing])

    async def _run(self, stopped: asyncio.Event) -> None:
        store: Store | None = None
        trouble = Reminder(monotonic=self._clock.monotonic)
        used_at = self._clock.monotonic()
        try:
            while not self._stop.is_set() or self._lingers():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._lease_seconds / 12):
                        await (asyncio.Event() if self._lingering.is_set() else stopped).wait()
                if self._held and not self._stop.is_set():
                    self.watch.look()
                due = self._due()
                if not due and not self._linger:
                    if store is not None and self._clock.monotonic() - used_at > RESTING_LEASES * self._lease_seconds:
                        resting, store = store, None
                        await resting.close()
                    continue
                used_at = self._clock.monotonic()
                try:
                    if store is None:
                        store = await self._opened()
                    await self._renew(store, due)
                    trouble.end()
                    if self._linger:
                        self._lingering.set()
                except GoConductorError as error:
                    if trouble.is_due():
                        logger.warning("cannot renew %d leases now, trying again: %s", len(due), error)
                except Exception:  # without renewals every long step would run twice
                    if trouble.is_due():
                        logger.exception("cannot renew %d leases now, trying again", len(due))
        finally:
            if store is not None:
                await store.close()

    async def _opened(self) -> Store:
        store = self._open_store()
        try:
            await store.open()
        except BaseException:  # the next try makes another one
            await store.close()
            raise
        return store

    def _lingers(self) -> bool:
        """Return whether there are leases of steps that run on though the process has left them."""
        now = self._clock.monotonic()
        return self._linger and any(held.deadline > now for held in list(self._held.values()))

    def _due(self) -> list[_Held]:
        now = self._clock.monotonic()
        renewable = [held for held in list(self._held.values()) if held.expires < held.deadline]
        return [held for held in renewable if held.expires - now < self._lease_seconds * 2 / 3]

    async def _renew(self, store: Store, due: list[_Held]) -> None:
        asked_at = self._clock.monotonic()
        by_length: dict[float, list[_Held]] = {}
        for held in due:
            length = min(self._lease_seconds, held.deadline - asked_at)
            by_length.setdefault(min(self._lease_seconds, length), []).append(held)
        for length, group in by_length.items():
            if length <= 0:
                continue
            permitted = await self._permitted(store, group, length)
            kept = await store.leases.renew([held.lease for held in permitted], length)
            kept |= await self._reasserted(store, [held for held in permitted if held.lease.key not in kept], length)
            for held in group:
                if held.lease.key in kept:
                    held.expires = asked_at + length
                    self.renewed += 1
                elif self._held.get(held.lease.key) is held:
                    self._held.pop(held.lease.key, None)
                    self.lost += 1
                    key = held.lease.key
                    logger.warning("the lease on %s of step %r was lost to another", key.saga_id, key.step, extra=about(key))

    async def _permitted(self, store: Store, group: list[_Held], length: float) -> list[_Held]:
        """Renew permits, and return those whose leases may be renewed: where a permit is another's by now, its lease ends too."""
        permits = [held.permit for held in group if held.permit is not None and held.permit.limit.total is not None]
        if not permits:
            return group
        kept = await store.permits.renew(permits, length + PERMIT_MARGIN_SECONDS)
        if absent := [permit for permit in permits if permit.lease.token not in kept]:
            kept |= await store.permits.reassert(absent, length + PERMIT_MARGIN_SECONDS)
        lost = {permit.lease.token for permit in permits} - kept
        return [held for held in group if held.lease.token not in lost]

    async def _reasserted(self, store: Store, absent: list[_Held], length: float) -> set[LeaseKey]:
        wanted = [held for held in absent if self._held.get(held.lease.key) is held]
        if not wanted:
            return set()
        back = await store.leases.reassert([held.lease for held in wanted], length)
        dropped = [held.lease for held in wanted if held.lease.key in back and self._held.get(held.lease.key) is not held]
        if dropped:
            await store.leases.release(dropped)
        return back
