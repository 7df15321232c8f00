"""A server with a gateway on memory leaves and a real gRPC port, and sagas to give its workers something to do."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID

import grpc.aio
import pytest

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.settings.doors import GatewaySettings, GrpcSettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.gateway.gateway import Gateway
from goconductor.grpc.channel import client_options
from goconductor.grpc.door import Door
from goconductor.grpc.v1 import workers_pb2 as pb
from goconductor.grpc.v1.values_pb2 import Nothing, Value
from goconductor.lifecycle.facts.state import SagaState
from goconductor.stores.memory import MemoryStore
from goconductor.worker import Worker

PATIENCE_SECONDS = 300.0


async def eventually(is_so: Callable[[], Any]) -> None:
    """Look until it is so."""
    while not (so := is_so()) or (inspect.isawaitable(so) and not await so):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


class Server:
    """One server: a node for the doors, and a gateway."""

    def __init__(self, store: MemoryStore, broker: MemoryBroker, **limits: Any) -> None:
        self.store, self.broker, self.drain_seconds = store, broker, 0.1
        self.settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing"}).model_copy(
            update={"grpc": GrpcSettings(port=0), "gateway": GatewaySettings(enabled=True, **limits)}
        )
        self.node = self.make()
        self.gateway = Gateway(self.make, store.instances.registered, self.settings.gateway)
        self.node.definitions.checks.append(self.gateway.check)

    @staticmethod
    def leaves() -> tuple[MemoryStore, MemoryBroker]:
        return MemoryStore(), MemoryBroker()

    def make(self, registry: StepRegistry | None = None) -> Node:
        return Node(
            store=self.store,
            bus=MemoryBus(self.broker),
            open_store=lambda: self.store,
            registry=registry,
            drain_seconds=self.drain_seconds,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        await self.node.open()
        self.door = Door(self.settings)
        await self.door.start()
        self.door.serve(self.node, self.gateway)
        self.gateway.start()
        try:
            yield self
        finally:
            await self.gateway.close()
            await self.door.stop(5)
            await self.node.close()

    @contextlib.asynccontextmanager
    async def opened(self, registry: StepRegistry) -> AsyncIterator[Node]:
        """A participant with its steps in code, in another process as it were."""
        node = self.make(registry)
        await node.open()
        try:
            yield node
        finally:
            await node.close()

    @property
    def address(self) -> str:
        return self.door.address

    async def start(self, definition: Any, input: Any = None) -> UUID:
        return (await self.node.starting.start(await self.node.definitions.register(definition), input)).saga_id

    async def ended(self, saga_id: UUID) -> SagaState:
        state = (await self.node.view(saga_id)).state
        return state if state.phase.ended else await self.node.wait_for_end(saga_id, PATIENCE_SECONDS)

    async def events(self, saga_id: UUID) -> list[str]:
        return [each.event for each in await self.store.sagas.history(saga_id)]


class Hand:
    """A worker by hand, message by message."""

    def __init__(self, address: str, metadata: Any = None) -> None:
        self.channel = grpc.aio.insecure_channel(address, options=client_options())
        self.call: Any = self.channel.stream_stream(
            "/goconductor.v1.Workers/Work",
            request_serializer=pb.FromWorker.SerializeToString,
            response_deserializer=pb.ToWorker.FromString,
        )(metadata=metadata)
        self.session = ""

    async def hello(self, participant: str = "payments", *steps: str, credit: int = 1, **more: Any) -> pb.Welcome:
        offered = [pb.OfferedStep(name=name, compensation=True) for name in steps or ("charge",)]
        await self.call.write(pb.FromWorker(hello=pb.Hello(participant=participant, steps=offered, credit=credit, **more)))
        welcome: pb.Welcome = (await self.call.read()).welcome
        self.session = welcome.session
        return welcome

    async def say(self, **said: Any) -> None:
        await self.call.write(pb.FromWorker(**said))

    async def done(self, fence: str, output: bytes = b"null", **failure: Any) -> None:
        if failure:
            await self.say(outcome=pb.Outcome(fence=fence, failure=pb.TaskFailure(**failure)))
        else:
            await self.say(outcome=pb.Outcome(fence=fence, output=Value(data=output)))

    async def next(self, wanted: str) -> Any:
        """The next message of a kind; signs of life are passed over."""
        while True:
            message = await self.call.read()
            assert message is not grpc.aio.EOF, "the stream has ended"
            if (said := message.WhichOneof("said")) != "alive":
                assert said == wanted, message
                return getattr(message, said)

    async def alive(self) -> None:
        await self.say(alive=Nothing())

    async def close(self) -> None:
        await self.channel.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server(*Server.leaves(), grace_seconds=3600.0).running() as server:
        yield server


@contextlib.asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[asyncio.Event]:
    stopping = asyncio.Event()
    task = asyncio.create_task(worker.serve(stopping))
    try:
        yield stopping
    finally:
        stopping.set()
        await task


@pytest.fixture
async def hands(server: Server) -> AsyncIterator[Iterator[Hand]]:
    made: list[Hand] = []

    def more() -> Iterator[Hand]:
        while True:
            made.append(Hand(server.address))
            yield made[-1]

    yield more()
    for hand in made:
        await hand.close()
