"""The priority of a saga orders the queue of one process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import ArgumentError, DefinitionError, RequestInvalidError, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import starting
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.places import Capacity, Waiting
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.comparing import compare
from goconductor.saga.plan import plan as plan_of
from goconductor.saga.writing.as_python import as_python
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


@pytest.mark.parametrize(("given", "own", "taken"), [(7, 0, 7), (7, -3, 7), (0, -3, -3)])
async def test_a_saga_that_a_step_starts_has_the_same_or_that_of_its_definition(
    world: World, given: int, own: int, taken: int
) -> None:
    child = Saga[Any]("child", priority=own)
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
    started = await starting.start(ANYBODY, node, plan, None, priority=given)
    await world.end_of(started.saga_id)
    states = [await world.state(saga_id) for saga_id in world.store.data.heads]
    assert [state.priority for state in states] == [given, taken]


@pytest.mark.parametrize("priority", [101, -101, True, "high", 1.5, 0.0])
async def test_nonsense_is_refused(world: World, priority: Any) -> None:
    node = await world.node(StepRegistry("shop"))
    plan = await node.definitions.register(order.definition)
    with pytest.raises(RequestInvalidError, match="whole number from -100 to 100"):
        await starting.start(ANYBODY, node, plan, {"id": "o"}, priority=priority)


async def test_a_definition_has_a_priority_for_starts_that_give_none(world: World) -> None:
    order: Saga[Any] = Saga("order", priority=20)
    order.step("shop.pack")
    node = await world.node()
    plan = await node.definitions.register(order.definition)
    assert plan.features == ("default_priority",)
    for given, taken in ((None, 20), (0, 0), (7, 7), (-1, -1)):
        started = await starting.start(ANYBODY, node, plan, None, priority=given)
        assert (await world.state(started.saga_id)).priority == taken


def test_the_priority_of_a_definition_is_written_and_read_in_each_form() -> None:
    order: Saga[Any] = Saga("order", priority=-5)
    order.step("shop.pack")
    made: dict[str, Any] = {}
    exec(as_python(order.definition), made)
    assert made["order"].definition.version == order.definition.version
    assert b'"priority":-5' in order.definition.document()
    without: Saga[Any] = Saga("order")
    without.step("shop.pack")
    assert b"priority" not in without.definition.document()
    assert compare(plan_of(without.definition), plan_of(order.definition)).stays == ""


@pytest.mark.parametrize("priority", [101, -101])
def test_a_definition_with_too_great_a_priority_is_refused(priority: int) -> None:
    order: Saga[Any] = Saga("order", priority=priority)
    order.step("shop.pack")
    with pytest.raises(DefinitionError, match=f"it has priority {priority}; give one from -100 to 100"):
        _ = order.definition
    with pytest.raises(ArgumentError, match="priority"):
        Saga("order", priority=True)
