"""A shop with a real participant on memory leaves, and a server beside it, as the doors see them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.buses.postgres import PostgresBus
from goconductor.cli import completion, running
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import loading, versions
from goconductor.control.settings.doors import GrpcSettings
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import PermanentError, TemporaryError
from goconductor.ports.store import Append, Outcome
from goconductor.rest.app import create_app
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.stores.postgres import PostgresStore, migrate
from tests.doors.issuer import Issuer
from tests.doors.prompt import CANARY, Prompt

if TYPE_CHECKING:
    from goconductor.grpc.door import Door
    from tests.doors.over_grpc import Caller

ORDER: dict[str, Any] = {
    "name": "order",
    "steps": [
        {
            "id": "reserve",
            "run": "shop.reserve",
            "inputs": {"sku": {"ref": "$.input.sku"}, "quantity": {"ref": "$.input.quantity"}},
        },
        {"id": "charge", "run": "shop.charge", "after": ["reserve"], "inputs": {"card": {"ref": "$.input.card"}}},
        {"id": "ship", "run": "shop.ship", "inputs": {"receipt": {"ref": "$.steps.charge.output"}}, "pivot": True},
    ],
    "output": {"ref": "$.steps.ship.output"},
    "input_schema": {
        "type": "object",
        "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}, "card": {"type": "string"}},
        "required": ["sku", "quantity", "card"],
        "additionalProperties": False,
    },
}
INPUT: dict[str, Any] = {"sku": "tea", "quantity": 2, "card": "4242"}


class Store(MemoryStore):
    """A store that says when something was appended."""

    def __init__(self) -> None:
        super().__init__()
        self.appended = appended = asyncio.Event()

        class Log(MemoryLog):
            async def append(self, appends: Sequence[Append]) -> list[Outcome]:
                outcomes = await super().append(appends)
                appended.set()
                return outcomes

        self.log = Log(self.data, self._held)


class Shop:
    """What the tests hold in their hands."""

    def __init__(self) -> None:
        self.store = Store()
        self.broker = MemoryBroker()
        self.settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing"})
        self.open_gate = asyncio.Event()
        self.at_gate = asyncio.Event()
        self.reserved: list[str] = []
        self.server = self.node()
        self.participant = self.node(self.steps())

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """A client of REST. The application is made for who asks for it: that costs more than the rest of the shop."""
        transport = httpx.ASGITransport(create_app(self.server, self.settings))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")

    def node(self, registry: StepRegistry | None = None) -> Node:
        return Node(store=self.store, bus=MemoryBus(self.broker), open_store=lambda: self.store, registry=registry)

    def steps(self) -> StepRegistry:
        shop = StepRegistry("shop")

        @shop.step
        async def reserve(sku: str, quantity: int) -> dict[str, Any]:
            self.reserved.append(sku)
            return {"sku": sku, "quantity": quantity}

        @reserve.compensation
        async def release(sku: str) -> None:
            if sku == "glued":
                raise PermanentError("it cannot be put back")
            self.reserved.remove(sku)

        @shop.step
        async def charge(card: str) -> str:
            match card:
                case "declined":
                    raise PermanentError("the card was declined")
                case "busy":
                    raise TemporaryError("the bank is busy", delay_seconds=3600)
                case "slow":
                    self.at_gate.set()
                    await self.open_gate.wait()
            return f"receipt for {card}"

        @charge.compensation
        async def refund(card: str) -> None:
            pass

        @shop.step
        async def ship(receipt: str) -> dict[str, str]:
            return {"parcel": "p-1", "receipt": receipt}

        return shop

    async def register(self, definition: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.put(f"/v1/definitions/{definition['name']}", json=definition)
        assert answer.status_code == 200, answer.text
        registered: dict[str, Any] = answer.json()
        return registered

    async def start(self, saga: str = "order", wait_seconds: float = 0, **input: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/v1/sagas/{saga}", params={"wait_seconds": wait_seconds}, json={**INPUT, **input})
        assert answer.status_code in (200, 202), answer.text
        detail: dict[str, Any] = answer.json()
        return detail

    async def step(self, saga_id: str, step: str) -> dict[str, Any]:
        detail = (await self.client.get(f"/v1/sagas/{saga_id}")).json()
        (found,) = [each for each in detail["steps"] if each["id"] == step]
        shown: dict[str, Any] = found
        return shown

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Ask again after each append until it is so; the test's own timeout ends it."""
        while not await is_so():
            await self.store.appended.wait()
            self.store.appended.clear()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    await shop.server.open()
    await shop.participant.open()
    try:
        await versions.register(ANYBODY, shop.server, loading.read(ORDER))
        yield shop
    finally:
        shop.open_gate.set()
        if "client" in vars(shop):
            await shop.client.aclose()
        await shop.participant.close()
        await shop.server.close()


@pytest.fixture
async def door(shop: Shop) -> AsyncIterator[Door]:
    """A gRPC door to the shop."""
    from goconductor.grpc.door import Door

    door = Door(shop.settings.model_copy(update={"grpc": GrpcSettings(port=0)}))
    await door.start()
    door.serve(shop.server)
    yield door
    await door.stop(0)


@pytest.fixture
async def caller(door: Door) -> AsyncIterator[Caller]:
    from tests.doors.over_grpc import Caller

    caller = Caller(door.address)
    yield caller
    await caller.channel.close()


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Commands set the level of our log for their process, which here is the tests' own."""
    logger = logging.getLogger("goconductor")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """People do not wait long for a database; on a busy machine a command here does. A test of such a limit sets its own."""
    monkeypatch.setattr(running, "OPEN_SECONDS", 300.0)
    monkeypatch.setattr(completion, "PATIENCE_SECONDS", 300.0)


@pytest.fixture
def command_line(postgres_url: str) -> Prompt:
    """A command line on a database that is not migrated, with a password that must not be shown."""
    parts = urlsplit(postgres_url)
    password = parts.password or CANARY  # a server that trusts takes any
    user = f"{parts.username or 'postgres'}:{password}"
    url = urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))
    return Prompt(GOCONDUCTOR_DATABASE_URL=url)


@pytest.fixture
async def open_shop(command_line: Prompt, postgres_url: str) -> AsyncIterator[Node]:
    """A shop that offers its steps on that database, now migrated."""
    await migrate(postgres_url)
    node = Node(
        store=PostgresStore(postgres_url),
        bus=PostgresBus(postgres_url),
        open_store=lambda: PostgresStore(postgres_url),
        registry=Shop().steps(),
    )
    await node.open()
    try:
        await versions.register(ANYBODY, node, loading.read(ORDER))
        yield node
    finally:
        await node.close()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    await issuer.open()
    yield issuer
    await issuer.close()
