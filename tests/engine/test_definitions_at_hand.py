"""Only so many versions are kept compiled; those that are not are read again by whoever needs them."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Saga
from goconductor.control.doors.conductor import Conductor
from goconductor.engine.facts import definitions
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.testing.world import World


def order(version: int) -> Saga[Any]:
    saga: Saga[Any] = Saga(f"order-{version}")
    saga.step("shop.pack", id="pack", inputs={"version": version})
    return saga


def shop() -> StepRegistry:
    registry = StepRegistry("shop")

    @registry.step
    async def pack(version: int) -> int:
        return version

    return registry


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "KEPT_MAX", 2)


@pytest.mark.usefixtures("_few")
async def test_definitions_that_are_made_all_the_time_do_not_fill_the_memory(world: World) -> None:
    node = await world.node(shop())
    plans = [await node.definitions.register(order(version).definition, activate=True) for version in range(5)]
    assert [node.definitions.at_hand(plan.version) for plan in plans] == [None, None, None, *plans[3:]]
    assert (await node.definitions.plan("order-0")).version == plans[0].version


@pytest.mark.usefixtures("_few")
async def test_a_version_in_use_stays_at_hand(world: World) -> None:
    node = await world.node(shop())
    first = await node.definitions.register(order(0).definition)
    for version in range(1, 5):
        await node.definitions.register(order(version).definition)
        assert await node.definitions.plan(first.name, first.version) is first


@pytest.mark.usefixtures("_few")
async def test_the_result_of_a_saga_whose_version_is_not_at_hand_any_more(world: World) -> None:
    node = await world.node(shop())
    conductor = Conductor(node)
    handle = await conductor.start(order(0), None)
    state = await world.end_of(handle.saga_id)
    for version in range(1, 4):
        await node.definitions.register(order(version).definition)
    assert node.definitions.at_hand(state.version) is None
    assert await handle.result(timeout_seconds=300) == {"pack": 0}


@pytest.mark.usefixtures("_few")
async def test_after_a_failover_what_a_process_offers_is_put_again_also_where_it_is_not_at_hand(world: World) -> None:
    node = await world.node(shop())
    plans = [await node.definitions.register(order(version).definition) for version in range(4)]
    world.store.data.definitions.clear()
    world.store.data.active.clear()
    await node.definitions.put_again()
    stored = [await world.store.definitions.get(DEFAULT_NAMESPACE, plan.name, plan.version) for plan in plans]
    assert [each.version for each in stored if each is not None] == [plan.version for plan in plans]
