"""Places: what this process can begin at once. A step is granted to it only where everything that the step needs has room.

A step needs a place of the process, one of its own where its ``concurrency`` is limited. All that it needs is taken together, or
nothing is. Who reserved a place gives it back exactly once: a second time does nothing, so that whoever is in doubt may do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from goconductor.participant.registry import Action, StepRegistry
from goconductor.saga.graph import Plan
from goconductor.saga.ids import Direction


class Capacity:
    """One kind of room, and how much of it is taken.

    Args:
        size: how much there is, asked each time, since a pool may be resized; None is without bound.
    """

    __slots__ = ("_size", "taken")

    def __init__(self, size: Callable[[], int | None]) -> None:
        self._size = size
        self.taken = 0

    @property
    def size(self) -> int | None:
        """How much there is; None is without bound."""
        return self._size()

    @property
    def full(self) -> bool:
        """Whether nothing more fits."""
        size = self._size()
        return size is not None and self.taken >= size


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
            capacity.taken -= 1


class Places:
    """The places of one process.

    Args:
        registry: its steps.
        size: how many of them may run at once.
    """

    def __init__(self, registry: StepRegistry, size: int) -> None:
        self._registry = registry
        self.steps = Capacity(lambda: size)
        self._needs: dict[tuple[str, Direction], tuple[Capacity, ...]] = {}
        self._limits: dict[str, Capacity] = {}
        self._closed = False

    def owns(self, plan: Plan, step: str) -> bool:
        """Whether this process has the code of a step."""
        participant, name = plan.owners[step]
        return participant == self._registry.name and name in self._registry.steps

    def reserve(self, plan: Plan, step: str, direction: Direction) -> Place | None:
        """A place for one side of a step; None if the step is not ours, or something that it needs has no room."""
        if self._closed or not self.owns(plan, step):
            return None
        needs = self._needed(plan.owners[step][1], direction)
        for capacity in needs:
            if capacity.full:
                return None
        return Place(needs)

    def close(self) -> None:
        """Nothing more is begun here."""
        self._closed = True

    def _needed(self, name: str, direction: Direction) -> tuple[Capacity, ...]:
        needs = self._needs.get((name, direction))
        if needs is None:
            needs = self._needs[name, direction] = tuple(self._counted(self._registry.steps[name]))
        return needs

    def _counted(self, action: Action[..., Any]) -> Iterator[Capacity]:
        yield self.steps
        limit = action.concurrency
        if limit is not None:
            yield self._limits.setdefault(action.name, Capacity(lambda: limit))
