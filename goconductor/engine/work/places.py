"""Places: what this process can begin at once. A step is granted to it only where everything that the step needs has room.

A step needs a place of the process. It needs one of its own where its ``concurrency`` is limited, and a thread where it is a
plain ``def``. A transactional step needs a connection of its journal; there are as many as the service's own pool has. All that
it needs is taken together, or nothing is. So granted work begins at once, and nobody waits for a thread under a lease.

A place is given back once; a second time does nothing, so that code in doubt may do it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from goconductor.engine.steps.action import Action
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.deadlines import Deadlines
from goconductor.ports.journal import Journal
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.plan import Plan


class Waiting(msgspec.Struct, eq=False):
    """One who waits for room."""

    ready: asyncio.Future[None]
    priority: int


class Capacity:
    """One kind of room, and how much of it is taken.

    Args:
        size: how much there is, asked each time, since a pool may be resized; None is without bound.
    """

    __slots__ = ("_size", "taken", "waiting")

    def __init__(self, size: Callable[[], int | None]) -> None:
        self._size = size
        self.taken = 0
        self.waiting: deque[Waiting] = deque()
        """Who waits, by priority, and the longest first among equals."""

    @property
    def size(self) -> int | None:
        """How much there is; None is without bound."""
        return self._size()

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        size = self._size()
        return size is not None and self.taken >= size

    def give_back(self) -> None:
        """Free one place; the first waiter may look."""
        self.taken -= 1
        if self.waiting:
            self.wake()

    def wake(self) -> None:
        """Let the first waiter look."""
        while self.waiting:
            ready = self.waiting.popleft().ready
            if not ready.done():
                ready.set_result(None)
                return

    def queue(self, waiting: Waiting) -> bool:
        """Put one into the queue, unless as many wait as there is room for, and none of them comes after it. Else the last of
        them looks again, and finds itself without a place in the queue.
        """
        if len(self.waiting) >= max(1, self.size or 0):
            if self.waiting[-1].priority >= waiting.priority:
                return False
            last = self.waiting.pop().ready
            if not last.done():
                last.set_result(None)
        after = len(self.waiting)
        while after and self.waiting[after - 1].priority < waiting.priority:
            after -= 1
        self.waiting.insert(after, waiting)
        return True


class Place:
    """Room for one piece of work, kept until :meth:`vacate`."""

    __slots__ = ("_kept",)

    def __init__(self, kept: tuple[Capacity, ...]) -> None:
        self._kept = kept
        for capacity in kept:
            capacity.taken += 1

    def vacate(self) -> None:
        """Give it back; again does nothing."""
        kept, self._kept = self._kept, ()
        for capacity in kept:
            capacity.give_back()

    def part(self, capacity: Capacity) -> Place:
        """Take one capacity out of all that is kept, to be given back by itself."""
        part = Place(())
        part._kept = tuple(each for each in self._kept if each is capacity)
        self._kept = tuple(each for each in self._kept if each is not capacity)
        return part


class Places:
    """The places of one process.

    Args:
        registry: its steps.
        size: how many of them may run at once, at the moment.
        threads: how many threads there are for plain functions, at the moment.

    Attributes:
        closed: whether nothing more is begun here.
    """

    def __init__(self, registry: StepRegistry, size: Callable[[], int], threads: Callable[[], int]) -> None:
        self._registry = registry
        self.steps = Capacity(size)
        self.threads = Capacity(threads)
        self._needs: dict[tuple[str, Direction], tuple[Capacity, ...]] = {}
        self._limits: dict[str, Capacity] = {}
        self._pools: dict[int, Capacity] = {}
        self._deadlines = Deadlines()
        self.closed = False

    @property
    def connections(self) -> int:
        """How many connections of journals are granted."""
        return sum(pool.taken for pool in self._pools.values())

    def owns(self, plan: Plan, step: str, direction: Direction) -> bool:
        """Return whether this process has the code of a side of a step."""
        participant, name = plan.owners_of[direction].get(step, ("", ""))
        return participant == self._registry.name and name in self._registry.steps

    def limit(self, name: str) -> Capacity | None:
        """Return the step's own limit, if it has one."""
        return self._limits.get(name)

    def reserve(self, plan: Plan, step: str, direction: Direction) -> Place | None:
        """Return a place for one side of a step; None if the step is not ours, or something that it needs has no room."""
        if self.closed or not self.owns(plan, step, direction):
            return None
        needs = self._needed(plan, step, direction)
        for capacity in needs:
            if capacity.full:
                return None
        return Place(needs)

    async def wait(self, plan: Plan, step: str, direction: Direction, seconds: float, priority: int = 0) -> Place | None:
        """Reserve as :meth:`reserve`, but wait for room: as many may wait for something as there is of it, for ``seconds`` at
        most. Those of a greater ``priority`` come first, and take the place of others in a full queue.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while (place := self.reserve(plan, step, direction)) is None:
            if self.closed or not self.owns(plan, step, direction):
                return None
            full = next(each for each in self._needed(plan, step, direction) if each.full)
            left = ends - loop.time()
            ready = loop.create_future()
            waiting = Waiting(ready, priority)
            if left <= 0 or not full.queue(waiting):
                return None
            try:
                with suppress(TimeoutError), self._deadlines.within(left, once=left < seconds):
                    await ready
            except BaseException:
                if ready.done() and not ready.cancelled():
                    full.wake()  # what we were woken for is another's
                raise
            finally:
                if waiting in full.waiting:
                    full.waiting.remove(waiting)
        return place

    def close(self) -> None:
        """Begin nothing more here."""
        self.closed = True
        self.look_again()
        self._deadlines.close()

    def look_again(self) -> None:
        """Let all who wait look, as there may be more room."""
        for capacity in (self.steps, self.threads, *self._limits.values(), *self._pools.values()):
            for _ in range(len(capacity.waiting)):
                capacity.wake()

    def _needed(self, plan: Plan, step: str, direction: Direction) -> tuple[Capacity, ...]:
        name = plan.owners_of[direction][step][1]
        if direction is Direction.COMPENSATION and step in plan.undoes:
            direction = Direction.ACTION  # of another code
        needs = self._needs.get((name, direction))
        if needs is None:
            needs = self._needs[name, direction] = tuple(self._counted(self._registry.steps[name], direction))
        return needs

    def _counted(self, action: Action[..., Any], direction: Direction) -> Iterator[Capacity]:
        yield self.steps
        journal = action.journal
        if action.concurrency is not None:
            yield self._limits.setdefault(action.name, Capacity(lambda: action.concurrency))
        if journal is not None:
            pool = journal.pool
            if pool is not None:
                yield self._pools.setdefault(id(pool.of), Capacity(lambda: _size_of(journal)))
        elif direction not in SETTLEMENTS:
            signature = action.signature if direction is Direction.ACTION else action.compensation_signature
            if signature is not None and not signature.is_async:
                yield self.threads


def _size_of(journal: Journal[Any]) -> int | None:
    pool = journal.pool
    return None if pool is None else pool.size
