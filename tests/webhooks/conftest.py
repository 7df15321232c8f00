"""A world with a shop, and a receiver of HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from goconductor import PermanentError
from goconductor.engine.steps.registry import StepRegistry
from goconductor.testing.world import World
from goconductor.webhooks.address import Rules
from tests.system.server import Server, serving
from tests.webhooks.shop import Shop


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with World() as world:
        yield world


@pytest.fixture
async def receiver() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
async def shop(world: World, receiver: Server) -> AsyncIterator[Shop]:
    registry = StepRegistry("shop")

    @registry.step
    async def pay(sku: str) -> str:
        return f"canary-4711 for {sku}"

    @pay.compensation
    async def pay_back(sku: str) -> None:
        if sku == "stone":
            raise PermanentError("it is too heavy")

    @registry.step
    async def pack(sku: str, receipt: str) -> None:
        if sku in ("nothing", "stone"):
            raise PermanentError("no canary-4711")

    node = await world.node(registry)
    guard = receiver.guard()
    rules = Rules(enabled=True, hosts=["localhost", f"localhost:{receiver.port}"], networks=guard._networks, plaintext=True)
    shop = Shop(world, node, rules)
    await shop.queue()  # a leader is there before the first webhook
    yield shop
    await shop.sending.stop()
