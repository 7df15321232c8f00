"""One process of a simulation: the engine as services run it, with a candidate for the sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.engine.facts.clock import SystemClock
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.ports.bus import Bus
from goconductor.ports.election import Election
from goconductor.ports.store import Store
from goconductor.recovery.leadership import Leadership
from goconductor.recovery.sweep import Sweeper
from tests.simulation.simulated.leaves.store import Link
from tests.simulation.simulated.loop import Machine, SimulatedLoop

R = TypeVar("R")

LEASE_SECONDS = 10.0
TERM_SECONDS = 10.0
DRAIN_SECONDS = 4.0


class Process:
    """A process, from its start to its end.

    Args:
        name: in the transcript.
        registry: the steps that it offers; None for a client.
        loop: the simulation's.

    Attributes:
        machine: where its event loop runs.
        beside: where the renewal of its leases runs.
        link: its way to the database.
        node: its engine, once it was begun.
        is_open: whether it takes requests.
        gone: whether it has ended, by itself or by a fault.
    """

    def __init__(self, name: str, registry: StepRegistry | None, loop: SimulatedLoop) -> None:
        self.name, self._registry, self._loop = name, registry, loop
        self.machine = loop.machine(name, frail=True)
        self.beside = loop.machine(f"{name}, beside", frail=True)
        self.node: Node
        self.clock: SystemClock
        self.link = Link()
        self.is_open = self.gone = False
        self._leaving = asyncio.Event()

    @property
    def participant(self) -> str:
        """Whose steps it offers; empty for a client."""
        return "" if self._registry is None else self._registry.name

    @property
    def machines(self) -> tuple[Machine, Machine]:
        """Both of its machines."""
        return self.machine, self.beside

    def begin(self, *, store: Store, bus: Bus, election: Election, clock: SystemClock, observer: Observer) -> None:
        """Start it."""
        self.clock = clock
        with self._loop.on(self.machine):
            self.node = Node(
                store=store,
                bus=bus,
                registry=self._registry,
                clock=clock,
                lease_seconds=LEASE_SECONDS,
                drain_seconds=DRAIN_SECONDS,
                observer=observer,
                run_apart=self._run_apart,
            )
            self.node.name = self.name  # the real one has the number of our process in it
            self._loop.create_task(self._live(election), name=f"main of {self.name}")

    async def _live(self, election: Election) -> None:
        node = self.node
        await node.open()
        sweeper = Sweeper(node, lease_seconds=LEASE_SECONDS)
        leadership = Leadership(election, candidate=node.name, lead=sweeper.lead, clock=self.clock, term_seconds=TERM_SECONDS)
        await leadership.open()
        leading = create_guarded_task(leadership.run(), name="leadership")
        self.is_open = True
        await self._leaving.wait()
        self.is_open = False
        await end(leading)
        await node.close()
        self.gone = True

    def leave(self) -> None:
        """Have it leave as in a deployment."""
        self._leaving.set()

    def run(self, what: Callable[[], Coroutine[Any, Any, R]]) -> asyncio.Task[R]:
        """Run something in this process. Where it dies, that never ends."""
        with self._loop.on(self.machine):
            return self._loop.create_task(what())

    def _run_apart(self, main: Callable[[], Coroutine[Any, Any, None]], name: str) -> Callable[[], Awaitable[None]]:
        with self._loop.on(self.beside):
            task = self._loop.create_task(main(), name=name)

        async def ended() -> None:
            await asyncio.wait([task])

        return ended
