"""A delay is nobody's work: no message, no lease, and while it is far away no timer, no task and no look of the sweep."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.world import World

DAY = 86_400.0


def shop_and_saga(seconds: float) -> tuple[StepRegistry, Saga[Any]]:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> str:
        return "packed"

    saga: Saga[Any] = Saga("order")
    rest = saga.delay(seconds)
    saga.returns(saga.step(pack, after=[rest]).output)
    return shop, saga


async def look(world: World, saga_id: Any) -> tuple[str, Any]:
    head = await world.store.sagas.head(saga_id)
    assert head is not None
    return head.status, head.wake_at


@pytest.mark.parametrize("seconds", [5.0, 30 * DAY], ids=["near", "far"])
async def test_a_delay_lets_its_time_pass_and_then_the_saga_goes_on(world: World, seconds: float) -> None:
    shop, saga = shop_and_saga(seconds)
    await world.node(shop)
    began = world.clock.now()
    saga_id = await world.start(saga)
    assert await look(world, saga_id) == ("waiting", pytest.approx(began + seconds, abs=0.1))
    state = await world.end_of(saga_id, within_seconds=31 * DAY)
    assert (state.status, state.outputs()) == (SagaStatus.COMPLETED, {"delay": None, "pack": "packed"})
    assert seconds <= world.clock.now() - began < seconds + 2


async def test_the_sweep_does_not_look_before_the_time_has_come(world: World) -> None:
    shop, saga = shop_and_saga(30 * DAY)
    await world.node(shop)
    saga_id = await world.start(saga)
    _, wake_at = await look(world, saga_id)
    await world.sweep()
    await world.live(DAY)
    assert (await look(world, saga_id)) == ("waiting", wake_at)
    assert await world.events(saga_id) == ["SagaStarted"]


async def test_whoever_looks_all_the_same_does_not_move_the_time(world: World) -> None:
    """After a crash that emptied the leases all live sagas are walked through."""
    shop, saga = shop_and_saga(30 * DAY)
    await world.node(shop)
    saga_id = await world.start(saga)
    _, wake_at = await look(world, saga_id)
    await world.sweep()
    world.store.truncate_leases()
    await world.live(60)
    assert wake_at is not None
    assert (await look(world, saga_id))[1] == pytest.approx(wake_at, abs=1)
    assert await world.events(saga_id) == ["SagaStarted"]


async def test_the_leader_fires_what_nobody_has_in_memory(world: World) -> None:
    shop, saga = shop_and_saga(5.0)
    starter = await world.node(shop)
    saga_id = await world.start(saga)
    world.kill(starter)
    starter._timers._near.clear()
    await world.node(shop)
    await world.live(10)
    assert (await world.state(saga_id)).status is SagaStatus.COMPLETED


async def test_ten_thousand_sagas_that_wait_cost_no_task_no_timer_and_no_view(world: World) -> None:
    shop, saga = shop_and_saga(30 * DAY)
    node = await world.node(shop)
    await world.start(saga)
    before = held(node)
    for _ in range(10_000):
        await world.start(saga)
    assert held(node) == before
    assert await world.store.recovery.due(10) == []


def held(node: Node) -> dict[str, int]:
    """What a process keeps of the sagas that it started."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "timers": len(node._timers._near),
        "views": len(node.appender._recent),
        "messages": node.metrics()["messages_waiting"],
        "places": node.metrics()["steps_running"],
    }


@pytest.mark.postgres
async def test_on_postgresql_a_delay_ends_by_its_timer(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    shop = Participant("shop")

    @shop.step
    async def pack(at: str) -> str:
        return at

    saga: Saga[Any] = Saga("order")
    first = saga.delay("100ms", id="moment")
    second = saga.delay(until=saga.input["at"], id="opening", after=[first])
    saga.returns(saga.step(pack, inputs={"at": saga.input["at"]}, after=[second]).output)
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    async with shop.running(settings) as conductor:
        handle = await conductor.start(saga, {"at": at})
        assert await handle.result(timeout_seconds=300) == at
        told = {entry.event + " " + (entry.step or ""): entry.at for entry in (await handle.history()).entries}
        assert told["TimerFired opening"] >= datetime.fromisoformat(at)
