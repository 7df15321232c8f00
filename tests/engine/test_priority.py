"""The priority of a saga orders the queue of one process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import RequestInvalidError, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import starting
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.places import Capacity, Waiting
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.clock import settle
from goconductor.testing.world import World

order = Saga[Any]("order")
looked = order.step("shop.look")
order.step("shop.pack", inputs={"order": order.input["id"]}, after=[looked])


async def test_a_greater_priority_goes_first_where_messages_wait_for_room(world: World) -> None:
    shop, packed, gate = StepRegistry("shop"), list[str](), asyncio.Event()

    @shop.step
    async def look() -> None: ...

    @shop.step(concurrency=4)
    async def pack(order: str) -> None:
        packed.append(order)
        await gate.wait()

    node = await world.node(shop)
    plan = await node.definitions.register(order.definition)
    held = [await starting.start(ANYBODY, node, plan, {"id": f"held{number}"}) for number in range(4)]
    await settle()
    waiting = [
        await starting.start(ANYBODY, node, plan, {"id": f"p{priority}"}, priority=priority) for priority in (0, 5, -3, 5, 100)
    ]
    await settle()
    gate.set()
    for saga in (*held, *waiting):
        assert (await world.end_of(saga.saga_id)).status is SagaStatus.COMPLETED
    assert packed[4:] == ["p100", "p5", "p5", "p0", "p-3"]


async def test_a_greater_priority_takes_the_last_place_of_a_full_queue() -> None:
    capacity = Capacity(lambda: 2)
    loop = asyncio.get_running_loop()
    first, second, third, fourth = (Waiting(loop.create_future(), priority) for priority in (0, 0, 1, 0))
    assert capacity.queue(first)
    assert capacity.queue(second)
    assert not capacity.queue(fourth)
    assert capacity.queue(third)
    assert second.ready.done()
    assert [*capacity.waiting] == [third, first]


async def test_a_saga_that_a_step_starts_has_the_same(world: World) -> None:
    child = Saga[Any]("child")
    child.step("shop.look")
    parent = Saga[Any]("parent")
    first = parent.step("shop.look", pivot=True)
    parent.saga(child, after=[first])
    shop = StepRegistry("shop")

    @shop.step
    async def look() -> None: ...

    node = await world.node(shop)
    await node.definitions.register(child.definition)
    plan = await node.definitions.register(parent.definition, children={"child": child.definition.version})
    started = await starting.start(ANYBODY, node, plan, None, priority=7)
    await world.end_of(started.saga_id)
    states = [await world.state(saga_id) for saga_id in world.store.data.heads]
    assert [state.priority for state in states] == [7, 7]


@pytest.mark.parametrize("priority", [101, -101, True, "high", 1.5, 0.0, None])
async def test_nonsense_is_refused(world: World, priority: Any) -> None:
    node = await world.node(StepRegistry("shop"))
    plan = await node.definitions.register(order.definition)
    with pytest.raises(RequestInvalidError, match="whole number from -100 to 100"):
        await starting.start(ANYBODY, node, plan, {"id": "o"}, priority=priority)
