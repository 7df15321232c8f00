"""Several services in one process: nodes on one store and one broker in memory, and one clock, moved by hand.

::

    async with World() as world:
        node = await world.node(payments)
        started = await world.start(order, Order("o1", 500))
        state = await world.end_of(started)
        assert state.status == "completed"

Nothing needs a server and nothing sleeps. Faults are made by hand: :meth:`World.kill` ends an instance as kill -9 does,
:meth:`World.live` lets time pass with a leader sweeping, and a node may be given a store or a bus of its own that misbehaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.lifecycle.state import SagaState
from goconductor.participant.node import Node, Store
from goconductor.participant.probe import SILENT, Probe
from goconductor.participant.registry import StepRegistry
from goconductor.ports.bus import Bus
from goconductor.ports.clock import Clock
from goconductor.ports.store import Append, Outcome
from goconductor.recovery.sweep import Sweeper
from goconductor.saga.builder import Saga
from goconductor.stores.memory import MemoryStore
from goconductor.testing.clock import ManualClock, settle

SWEEP_SECONDS = 0.5


class WorldStore(MemoryStore):
    """A store in memory that says when something was appended."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._up_since -= 3600  # else the leader would judge nobody at first, as after a crash of the database
        self.appended = asyncio.Event()

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append, and wake who waits for it."""
        outcomes = await super().append(appends)
        self.appended.set()
        return outcomes


class World:
    """Nodes that share a store, a broker and a clock.

    Args:
        lease_seconds: the life of a lease.

    Attributes:
        clock: everybody's time.
        store: everybody's log.
        broker: everybody's bus.
        nodes: those that are open, in the order in which they came.
    """

    def __init__(self, *, lease_seconds: float = 10.0) -> None:
        self.clock = ManualClock()
        self.store = WorldStore(self.clock)
        self.broker = MemoryBroker()
        self.nodes: list[Node] = []
        self._lease_seconds = lease_seconds
        self._sweeper: Sweeper | None = None
        self._epoch = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for node in reversed(self.nodes):
            await node.close()

    def bus(self) -> MemoryBus:
        """One process's end of the broker."""
        return MemoryBus(self.broker, clock=self.clock)

    async def node(
        self,
        registry: StepRegistry | None = None,
        *,
        store: Store | None = None,
        renewing: Store | None = None,
        bus: Bus | None = None,
        clock: Clock | None = None,
        drain_seconds: float = 5.0,
        threads: int = 32,
        prefetch: int = 200,
        payload_bytes_max: int = 1024 * 1024,
        baton_bytes_max: int = 16 * 1024,
        probe: Probe = SILENT,
    ) -> Node:
        """Open a node; the world closes it at its end.

        Args:
            registry: a service's steps; None for a client or server.
            store: in place of the world's, for faults.
            renewing: the store of the thread that renews leases; the same by default.
            bus: in place of the world's, for faults.
            clock: in place of the world's, for one that goes wrong.
            drain_seconds: as :class:`Node` has it, and the rest likewise.
            threads: how many plain functions may run at once.
            prefetch: how many messages are in hand at once.
            payload_bytes_max: larger inputs and outputs are refused.
            baton_bytes_max: a larger state is not carried by messages.
            probe: told of what the engine does.
        """
        own = store or self.store
        node = Node(
            store=own,
            bus=bus or self.bus(),
            open_store=lambda: renewing or own,
            registry=registry,
            clock=clock or self.clock,
            lease_seconds=self._lease_seconds,
            drain_seconds=drain_seconds,
            threads=threads,
            prefetch=prefetch,
            payload_bytes_max=payload_bytes_max,
            baton_bytes_max=baton_bytes_max,
            probe=probe,
        )
        await node.open()
        self.nodes.append(node)
        return node

    async def leave(self, node: Node) -> None:
        """Close a node as a deployment does: it drains first."""
        self.nodes.remove(node)
        await node.close()

    def kill(self, node: Node) -> None:
        """End a node's sign of life. Its code goes on running here, as that of a stopped process does when it wakes up again."""
        self.store.kill(node.instance.serial)

    async def start(self, saga: Saga[Any], input: Any = None, *, key: str | None = None, node: Node | None = None) -> UUID:
        """Register a saga if it is new, and start it on a node (the first one by default)."""
        at = node or self.nodes[0]
        at.registry.check_definition(saga.definition)
        plan = await at.definitions.register(saga.definition)
        return (await at.start_saga(plan.name, input, key=key, version=plan.version)).saga_id

    async def state(self, saga_id: UUID) -> SagaState:
        """Where a saga stands now."""
        return (await self.nodes[0].view(saga_id)).state

    async def end_of(self, saga_id: UUID) -> SagaState:
        """Wait, without moving time, until a saga has ended or is stuck."""
        while True:
            self.store.appended.clear()  # before looking: what comes while we look is not missed
            state = await self.state(saga_id)
            if state.status.ended or state.stuck_steps:
                await settle()
                return state
            await self.store.appended.wait()

    async def events(self, saga_id: UUID) -> list[str]:
        """The names of what happened to a saga, with their steps: ``ActionSucceeded charge``."""
        return [f"{entry.event} {entry.step}".strip() for entry in await self.store.history(saga_id)]

    async def sweep(self) -> None:
        """One round of a leader: bury the dead, and repair what is due."""
        if self._sweeper is None:
            node = await self.node()
            self._sweeper = Sweeper(node, lease_seconds=self._lease_seconds)
            term = await self.store.raise_epoch(node.name, 1e9)
            self._epoch = term.epoch if term is not None else 0
        if await self._sweeper.may_judge(self._epoch):
            await self._sweeper.bury(self._epoch)
        await self._sweeper.sweep_once(self._epoch)

    async def live(self, seconds: float) -> None:
        """Let time pass while a leader sweeps.

        Args:
            seconds: how long.
        """
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            await self.sweep()
            await self.clock.advance(min(SWEEP_SECONDS, end - self.clock.now()))
