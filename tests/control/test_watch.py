"""Watching a saga: from where one was, through an absence of the database, to its end."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from goconductor.control.actor import ANYBODY
from goconductor.control.watching.changes import changes
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import SagaNotFoundError, StoreUnavailableError
from goconductor.ports.store import Head
from goconductor.saga.writing.builder import Saga
from goconductor.testing.clock import settle
from goconductor.testing.world import World


class Bench:
    """A saga whose one step waits at a gate."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.gate = asyncio.Event()
        shop = StepRegistry("shop")

        @shop.step
        async def reserve() -> None:
            await self.gate.wait()

        self.shop = shop
        self.saga: Saga[object] = Saga("order")
        self.saga.step(reserve)

    async def watch(self, saga_id: UUID, after: int, seen: list[str]) -> None:
        async for entry in changes(ANYBODY, self.world.nodes[0], saga_id, after):
            seen.append(entry.event)  # noqa: PERF401  (as they come)


async def begun(world: World) -> tuple[Bench, UUID]:
    bench = Bench(world)
    await world.node(bench.shop)
    saga_id = await world.start(bench.saga)
    await settle()
    return bench, saga_id


async def test_events_are_told_as_they_come_until_the_saga_has_ended() -> None:
    async with World() as world:
        bench, saga_id = await begun(world)
        seen: list[str] = []
        watching = asyncio.create_task(bench.watch(saga_id, 0, seen))
        await world.clock.advance(5)
        assert (seen, watching.done()) == (["SagaStarted"], False)
        bench.gate.set()
        await world.end_of(saga_id)
        await world.clock.advance(2)
        await watching
        assert seen == ["SagaStarted", "ActionSucceeded"]
        again: list[str] = []
        await bench.watch(saga_id, 1, again)
        assert again == ["ActionSucceeded"]


async def test_an_absence_of_the_database_is_waited_for_once_it_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World() as world:
        bench, saga_id = await begun(world)
        head, away = world.store.sagas.head, True

        async def asked(saga_id: UUID) -> Head | None:
            if away:
                raise StoreUnavailableError
            return await head(saga_id)

        monkeypatch.setattr(world.store.sagas, "head", asked)
        with pytest.raises(StoreUnavailableError):
            await bench.watch(saga_id, 0, [])
        away = False
        seen: list[str] = []
        watching = asyncio.create_task(bench.watch(saga_id, 0, seen))
        await world.clock.advance(1)
        away = True
        bench.gate.set()
        await world.end_of(saga_id)
        await world.clock.advance(5)
        assert seen == ["SagaStarted"]
        away = False
        await world.clock.advance(5)
        await watching
        assert seen == ["SagaStarted", "ActionSucceeded"]


async def test_an_unknown_saga_cannot_be_watched() -> None:
    async with World() as world:
        bench, _ = await begun(world)
        bench.gate.set()
        with pytest.raises(SagaNotFoundError):
            await bench.watch(UUID(int=1), 0, [])
