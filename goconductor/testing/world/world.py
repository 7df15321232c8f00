"""Several services in one process: nodes on one store and one broker in memory, and one clock, moved by hand.

::

    async with World() as world:
        conductor = await world.conductor(payments)
        bought = await conductor.start(order, Order("o1", 500))
        assert await bought.result() == "receipt"

Nothing needs a server and nothing sleeps: where a saga waits for a retry, time jumps to it. While code of a step runs, time
passes as it does outside, so that a step that hangs ends a wait by its limit. Faults are made by hand:
:meth:`World.kill` ends an instance as kill -9 does, :meth:`World.live` lets time pass with a leader sweeping, and a node may be
given a store or a bus of its own that misbehaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import NoneType, TracebackType
from typing import Any, Self
from uuid import UUID

from typing_extensions import TypeVar

from goconductor.aio.tasks import end
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.actor import ANYBODY
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.doors.conductor import Conductor
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.sagas import starting
from goconductor.engine.node import Node
from goconductor.engine.observer import SILENT, Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import check_seconds, check_type
from goconductor.lifecycle.facts.state import SagaState
from goconductor.ports.bus import Bus
from goconductor.ports.clock import Clock
from goconductor.ports.store import Store
from goconductor.recovery.sweep import Sweeper
from goconductor.saga.ids import saga_id_of
from goconductor.saga.plan import Plan
from goconductor.saga.writing.builder import Saga
from goconductor.stores.memory import MemoryStore
from goconductor.testing.clock import ManualClock, settle
from goconductor.testing.world.signalling import WorldStore
from goconductor.testing.world.waiting import waits_for, waits_in_vain

SWEEP_SECONDS = 0.5
"""Seconds of the world's clock between two looks."""
PACE_SECONDS = 1.0
"""Seconds by which the world's clock is moved, each time that as many have passed outside, while code of steps runs."""

WITHIN_SECONDS = 86_400.0
"""Seconds that a saga's end is waited for, by the world's clock."""

R = TypeVar("R")
O = TypeVar("O", default=Any)  # noqa: E741


class StandsStillError(AssertionError):
    """A saga of a test waits for what cannot come."""


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
        self._paced_at = 0.0  # on the event loop's clock
        self._waiting = 0  # how many wait for an end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for node in reversed(self.nodes):
            await node.close()

    def bus(self) -> MemoryBus:
        """Return one process's end of the broker."""
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
        observer: Observer = SILENT,
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
            observer: called with what the engine does.
        """
        check_type("registry", registry, (StepRegistry, NoneType), "a Participant, or None for a client")
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
            observer=observer,
            fit=starting.fitted,
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
        check_type("saga", saga, Saga, "a saga written in Python")
        at = node or self.nodes[0]
        plan = await _registered(at, saga)
        return (await starting.start(ANYBODY, at, plan, input, key=key, reply=True, input_type=saga.input_type)).saga_id

    async def state(self, saga_id: UUID | str) -> SagaState:
        """Return the present state of a saga."""
        return (await self.nodes[0].view(saga_id_of(saga_id))).state

    async def end_of(self, saga_id: UUID | str, *, within_seconds: float = WITHIN_SECONDS) -> SagaState:
        """Wait until a saga has ended or is stuck.

        Where no code of a step runs and it waits for a moment, time jumps to that moment.

        Args:
            saga_id: the saga's id.
            within_seconds: how much time may pass, by the world's clock. While code of a step runs, as much passes as outside.

        Raises:
            StandsStillError: it waits for what cannot come here, as no node has the step or it is paused; names that.
            TimeoutError: it has not ended by then; names the steps that it waits for, and which of them hang.
        """
        check_seconds("within_seconds", within_seconds)
        latest = self.clock.now() + within_seconds
        with self._waits():
            while True:
                appended = self.store.appended  # before looking: what comes while we look is not missed
                state = await self.state(saga_id)
                if state.status.done or state.stuck_steps:
                    await settle()
                    return state
                await settle()
                plan = await self.nodes[0].plan_of(state)
                runs = self._runs()
                still = not (runs or appended.is_set())
                if still and (why := waits_in_vain(plan, state, self._offered())) is not None:
                    raise StandsStillError(f"saga {plan.name!r} stands still: {why}")
                if self.clock.now() >= latest:
                    leased = (
                        {lease.key.step for lease in await self.store.recovery.leases([saga_id_of(saga_id)])} if runs else set()
                    )
                    waits = waits_for(plan, state, leased)
                    raise TimeoutError(f"saga {plan.name!r} has not ended within {within_seconds:g} s: {waits}")
                if still:
                    await self._jump(state, latest, appended)
                else:
                    await self._keep_pace(latest, appended)

    @contextmanager
    def _waits(self) -> Iterator[None]:
        """Enter a wait; the first one begins to keep pace with the time outside."""
        if not self._waiting:
            self._paced_at = asyncio.get_running_loop().time()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _runs(self) -> bool:
        """Return whether time must not jump: code of steps runs, or a store or bus of the test's own may do anything."""
        return any(
            node.metrics()["steps_running"] or not isinstance(node.bus, MemoryBus) or not isinstance(node.store, MemoryStore)
            for node in self.nodes
        )

    async def _keep_pace(self, latest: float, appended: asyncio.Event) -> None:
        """Wait until something is appended, or until a while has passed outside; then as much passes here.

        A machine that was busy for longer moves the clock no further.
        """
        loop = asyncio.get_running_loop()
        seconds = min(PACE_SECONDS, latest - self.clock.now())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._paced_at + seconds):
                await appended.wait()
        if loop.time() >= self._paced_at + seconds:
            self._paced_at = loop.time()
            await self.live(seconds)

    def _offered(self) -> set[tuple[str, str]]:
        return {(node.registry.name, step) for node in self.nodes for step in node.registry.steps}

    async def _jump(self, state: SagaState, latest: float, appended: asyncio.Event) -> None:
        """Jump to the moment that a step waits for; where it waits for a message that was lost, to when the leader looks."""
        moments = [step.due_at for step in state.steps.values() if step.due_at is not None]
        now = self.clock.now()
        if (due := min(moments, default=None)) is not None and due > now:
            await self.clock.advance(min(due, latest) - now)
        if not appended.is_set():
            await self.sweep()  # timers that are far are the leader's
        if not appended.is_set():
            await self.live(min(SWEEP_SECONDS, latest - self.clock.now()))
        if self.clock.now() > now:
            self._paced_at = asyncio.get_running_loop().time()

    async def moving(self, asked: Coroutine[Any, Any, R]) -> R:
        """Await what looks at the world again and again; time moves meanwhile.

        Args:
            asked: what is awaited.
        """
        task = asyncio.ensure_future(asked)
        try:
            with self._waits():
                while True:
                    appended = self.store.appended
                    await settle()
                    if task.done():
                        return task.result()
                    if self._runs():
                        await self._keep_pace(self.clock.now() + WITHIN_SECONDS, appended)
                    else:
                        await self.live(SWEEP_SECONDS)
        finally:
            await end(task)

    async def events(self, saga_id: UUID | str) -> list[str]:
        """Return the names of what happened to a saga, with their steps: ``ActionSucceeded charge``."""
        return [f"{entry.event} {entry.step}".strip() for entry in await self.store.sagas.history(saga_id_of(saga_id))]

    async def sweep(self) -> None:
        """Run one round of a leader: declare the dead, and repair what is due."""
        if self._sweeper is None:
            node = await self.node()
            self._sweeper = Sweeper(node, lease_seconds=self._lease_seconds)
            term = await self.store.terms.raise_epoch(node.name, 1e9)
            self._epoch = term.epoch if term is not None else 0
        if await self._sweeper.may_judge(self._epoch):
            await self._sweeper.bury(self._epoch)
        await self._sweeper.sweep_once(self._epoch)

    async def live(self, seconds: float) -> None:
        """Let time pass while a leader sweeps. Where nothing is due, it jumps: an hour takes no time.

        Args:
            seconds: how long.
        """
        end = self.clock.now() + seconds
        while (now := self.clock.now()) < end:
            appended = self.store.appended
            waits = self.store.silent()
            await self.sweep()
            quiet = not (waits or self.store.silent() or appended.is_set())
            moments = [end, *self.store.wakings(), *([] if self.clock.next_moment is None else [self.clock.next_moment])]
            later = min(moments) if quiet else now
            await self.clock.advance(min(max(SWEEP_SECONDS, later - now), end - now))

    async def conductor(self, registry: StepRegistry | None = None) -> WorldConductor:
        """Open a node, as :meth:`node` does, and start sagas on it as a program does.

        Args:
            registry: a service's steps; None for a client.
        """
        return WorldConductor(self, await self.node(registry))


async def _registered(node: Node, saga: Saga[Any]) -> Plan:
    """Register a saga, and before it those that its steps start."""
    children = {each.name: (await _registered(node, each)).version for each in saga.sagas}
    return await node.definitions.register(saga.definition, children=children)


class WorldHandle(SagaHandle[O]):
    """A saga of a world: a wait for its result moves time where nothing else is to be done."""

    def __init__(self, world: World, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._world = world

    async def result(self, *, timeout_seconds: float = WITHIN_SECONDS) -> O:
        """Wait for the result, as :meth:`SagaHandle.result`.

        Args:
            timeout_seconds: how much time may pass, by the world's clock; while code of a step runs, as much passes as outside.

        Raises:
            StandsStillError: it waits for what cannot come in this world.
            TimeoutError: it has not ended by then; names the steps that it waits for, and which of them hang.
            CompensatedError, StuckError, TerminatedError: as there.
        """
        await self.begin()
        await self._world.end_of(self.saga_id, within_seconds=timeout_seconds)
        return await super().result()


class WorldConductor(Conductor):
    """Starts sagas in a world, and finds them."""

    def __init__(self, world: World, node: Node) -> None:
        super().__init__(node)
        self._world = world

    async def run(self, *args: Any, **kwargs: Any) -> DataflowRun:
        """Run a dataflow, as :meth:`Conductor.run`. Time moves where nothing else is to be done."""
        return await self._world.moving(super().run(*args, **kwargs))

    def _made(self, *args: Any, **kwargs: Any) -> WorldHandle[Any]:
        return WorldHandle(self._world, *args, **kwargs)
