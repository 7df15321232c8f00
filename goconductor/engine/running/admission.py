"""Admission: who may run a step whose limit counts over all instances, and who is next.

Nothing of such a step is begun without a permit. It is taken before the lease, which it outlives a little, and given back after
the lease has gone with the append. So wherever a lease of the step counts there is a permit, and whatever dies in between leaves
a permit that ends by itself.

Who is refused stands in the queue of the step, in the store, and its message is acknowledged: nothing spins on the bus, and a
refusal is no failure. Whoever gives a permit back wakes the head of the queue, which gets its message again. But a permit may
also end by itself, since its process died or its rate's time is over. So each instance that has refused something looks at that
queue, now and then, until it is empty. What both miss, a crash of the database above all, the sweep sends again as any other
message.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.engine.log.batch import Batcher
from goconductor.engine.work.renewal import PERMIT_MARGIN_SECONDS
from goconductor.errors import GoConductorError
from goconductor.ports.clock import Clock
from goconductor.ports.store import LeaseKey, Limit, Permit, PermitAnswer, Permits
from goconductor.ports.store.log.permits import WAKE_MAX
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

LOOK_SECONDS, LOOK_SECONDS_MAX = 0.1, 2.0
"""The shortest and the longest time, in seconds, until an instance looks again at a queue in which work of its waits."""
PAUSE_SECONDS = 0.25
"""Seconds between two attempts to give a permit back."""


class Admission:
    """The permits of one process.

    Args:
        permits: those of the store.
        limits: the limited steps of this process, by their names.
        clock: for waiting.
        lease_seconds: the life of a lease.
        counts: the counters of events.

    Attributes:
        again: sends the message of work that waits; answers whether the work is still wanted. Set by the node.
        taken: how many permits are held here.
    """

    def __init__(
        self,
        permits: Permits,
        limits: Mapping[str, Limit],
        clock: Clock,
        lease_seconds: float,
        counts: Counter[str],
    ) -> None:
        self._store = permits
        self._limits = limits
        self._clock = clock
        self._seconds = lease_seconds + PERMIT_MARGIN_SECONDS
        self.again: Callable[[LeaseKey], Awaitable[bool]]
        self._counts = counts
        self._takes: Batcher[Permit, PermitAnswer] = Batcher(self._take, unclaimed=self._unclaimed)
        self._back: dict[bool, list[Permit]] = {False: [], True: []}
        self._freeing: asyncio.Task[None] | None = None
        self._queues: dict[str, float] = {}
        """When to look at the queue of a step, on the monotonic clock."""
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self.taken = 0

    async def take(self, permit: Permit) -> PermitAnswer:
        """Ask for a permit. Who is refused is queued.

        Raises:
            StoreUnavailableError: the store is away; nothing is held.
        """
        answer = await self._takes.ask(permit)
        if answer is PermitAnswer.GRANTED:
            self.taken += 1
        elif answer is PermitAnswer.REFUSED:
            self._counts["steps_not_permitted"] += 1
            self._look_at(permit.limit.step, LOOK_SECONDS)
        return answer

    def give_back(self, permit: Permit, *, unused: bool = False) -> None:
        """Give a permit back that was granted, at once and in the background.

        Args:
            permit: which.
            unused: nothing was begun with it, so that it counts for no rate.
        """
        self.taken -= 1
        self._put_back([permit], unused=unused)

    def _put_back(self, permits: Sequence[Permit], *, unused: bool) -> None:
        self._back[unused] += permits
        if self._freeing is None:
            self._freeing = create_guarded_task(self._free(), name="permits given back", context=Context())

    def _unclaimed(self, permit: Permit, answer: PermitAnswer) -> None:
        """Give back what nobody waits for any more; the message comes again."""
        if answer is PermitAnswer.GRANTED:
            self._put_back([permit], unused=True)

    async def _take(self, permits: list[Permit]) -> list[PermitAnswer]:
        try:
            return await self._store.take(permits, self._seconds)
        except BaseException:  # they may have been taken; their messages come again
            self._put_back(permits, unused=True)
            raise

    async def _free(self) -> None:
        """Give back until nothing is left. What cannot be given back for a lease's life has ended by then."""
        latest = self._clock.monotonic() + self._seconds
        try:
            while any(self._back.values()):
                for unused in (False, True):
                    permits, self._back[unused] = self._back[unused], []
                    if not permits:
                        continue
                    try:
                        await self._wake(await self._store.give_back(permits, unused=unused))
                        latest = self._clock.monotonic() + self._seconds
                    except GoConductorError as error:
                        if self._closed or self._clock.monotonic() >= latest:
                            logger.warning("%d permits are not given back and end by themselves: %s", len(permits), error)
                            continue
                        self._back[unused] += permits
                        await self._clock.sleep(PAUSE_SECONDS)
        finally:
            self._freeing = None

    def _look_at(self, step: str, seconds: float) -> None:
        """Have the queue of a step looked at."""
        self._queues.setdefault(step, self._clock.monotonic() + seconds)
        if self._looking is None and not self._closed:
            self._looking = create_guarded_task(self._look(), name="queues for permits", context=Context())

    async def _look(self) -> None:
        try:
            while self._queues:
                wait_seconds = min(self._queues.values()) - self._clock.monotonic()
                if wait_seconds > 0:
                    await self._clock.sleep(max(wait_seconds, LOOK_SECONDS))
                now = self._clock.monotonic()
                due = [step for step, at in self._queues.items() if at <= now]
                try:
                    await self._wake(due)
                except GoConductorError as error:
                    logger.debug("the queues of %s are looked at later: %s", due, error)
                    self._queues |= dict.fromkeys(due, now + LOOK_SECONDS_MAX)
        finally:
            self._looking = None

    async def _wake(self, steps: Sequence[str] | set[str]) -> None:
        """Send again what there is room for, until all that was woken is still wanted."""
        asked = {limit.step: limit for limit in self._limits.values() if limit.step in steps}
        while asked:
            woken = await self._store.wake([asked[step] for step in sorted(asked)])
            now, asked_again = self._clock.monotonic(), dict[str, Limit]()
            for each in woken:
                if each.waiting:
                    free = LOOK_SECONDS_MAX if each.free_seconds is None else each.free_seconds
                    self._queues[each.step] = now + min(max(free, LOOK_SECONDS), LOOK_SECONDS_MAX)
                    self._look_at(each.step, LOOK_SECONDS_MAX)
                else:
                    self._queues.pop(each.step, None)
                wanted = await asyncio.gather(*(self.again(key) for key in each.works))
                self._counts["steps_woken"] += sum(wanted)
                if gone := [key for key, is_wanted in zip(each.works, wanted, strict=True) if not is_wanted]:
                    await self._store.forget(gone)
                if gone or len(each.works) >= WAKE_MAX:
                    asked_again[each.step] = asked[each.step]
            asked = asked_again

    async def close(self) -> None:
        """Give back what is left, and look at no queue any more."""
        await self._takes.close()
        self._closed = True
        await end(self._looking)
        while self._freeing is not None:
            await asyncio.wait([self._freeing])
