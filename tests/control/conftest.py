"""A saga whose behaviour stands in its input, for tests of what is asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.queries import history
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import PermanentError, TemporaryError
from goconductor.saga.writing.builder import Saga
from goconductor.testing.clock import settle
from goconductor.testing.world import World


class Bench:
    """A saga of three steps whose behaviour stands in its input: ``stock``, ``card``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[tuple[str, Any]] = []
        shop = self.shop = StepRegistry("shop")

        @shop.step
        async def reserve(stock: str) -> str:
            self.seen.append(("reserve", stock))
            return stock

        @reserve.compensation
        async def release(stock: str) -> None:
            self.seen.append(("release", stock))
            if stock == "glued":
                raise PermanentError("it cannot be put back")

        @shop.step
        async def charge(card: str) -> str:
            self.seen.append(("charge", card))
            if card == "busy":
                raise TemporaryError("the bank is busy", delay_seconds=60)
            if card == "declined":
                raise PermanentError("declined")
            return card

        saga: Saga[Any] = Saga("order")
        self.saga = saga
        reserved = saga.step(reserve, inputs={"stock": saga.input.stock})
        saga.step(charge, inputs={"card": saga.input.card}, after=[reserved])

    @property
    def node(self) -> Node:
        return self.world.nodes[0]

    async def start(self, *, stock: str = "tea", card: str = "4242") -> UUID:
        saga_id = await self.world.start(self.saga, {"stock": stock, "card": card})
        await settle()
        return saga_id

    async def stuck(self) -> UUID:
        saga_id = await self.start(stock="glued", card="declined")
        await self.world.end_of(saga_id)
        return saga_id

    async def last(self, saga_id: UUID) -> tuple[str, dict[str, Any]]:
        entry = (await history(ANYBODY, self.node, saga_id)).entries[-1]
        return entry.event, entry.data


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with World() as world:
        bench = Bench(world)
        await world.node(bench.shop)
        yield bench
