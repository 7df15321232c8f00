"""A saga is terminated by force while others of its tree are at work, held, or on their way: none is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Lock, Saga
from goconductor.engine.children import Children
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.events import SignalReceived, TerminationRequested
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key
from goconductor.testing.world import World
from tests.engine.test_children import Shop, child_of, order_of

FORCED = TerminationRequested(reason="the owner does not come back", forced=True)
APPROVED = SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes")


def kept(shop: Shop) -> Saga[Any, Any]:
    """An order that keeps its crate, which has a parcel of its own, and then waits for an approval."""
    crate: Saga[Any, Any] = Saga("crate")
    crate.returns(crate.saga(shop.parcel, inputs={"name": crate.input.name}).output)
    order: Saga[Any, Any] = Saga("order")
    crated = order.saga(crate, id="crate", inputs={"name": order.input.name})
    order.approval("Is it paid?", after=[crated])
    return order


async def test_a_child_at_work_goes_on_and_is_not_held(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    await node.request(saga_id, FORCED)
    state = await world.end_of(saga_id)
    child = await child_of(node, state)
    assert (state.status, state.late_effects, child.status) == (SagaStatus.TERMINATED, True, SagaStatus.WAITING)
    await node.request(child.saga_id, APPROVED)
    assert (await world.end_of(child.saga_id)).status is SagaStatus.COMPLETED
    assert (shop.packed, shop.unpacked, shop.returned) == (["lamp"], [], [])


async def test_what_is_held_is_released_down_to_the_leaves(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(kept(shop), {"name": "lamp"})
    await world.live(1.0)
    found = await world.store.sagas.started(CHILDREN_NAMESPACE, "crate", child_key(saga_id, "crate", 0, 1))
    assert found is not None
    crate = await world.state(found)
    parcel = await child_of(node, crate)
    assert (crate.status, parcel.status) == (SagaStatus.HELD, SagaStatus.HELD)
    await node.request(saga_id, FORCED)
    await world.live(1.0)
    assert [(await world.state(each.saga_id)).status for each in (crate, parcel)] == [SagaStatus.COMPLETED] * 2
    state = await world.state(saga_id)
    assert (state.status, state.late_effects, shop.unpacked) == (SagaStatus.TERMINATED, False, [])


async def test_a_start_that_was_on_its_way_may_come_late_and_the_saga_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    late: list[Any] = []
    with monkeypatch.context() as lost:
        lost.setattr(Children, "see_to", lambda _, *given, again=False: late.append(given))
        saga_id = await world.start(order_of(shop.parcel), {"name": "lamp"})
        await world.live(0.1)
        await node.request(saga_id, FORCED)
    assert (await world.end_of(saga_id)).late_effects
    node.children.see_to(*late[0])  # by a process that has not heard of the end
    await world.live(120.0)
    child = await child_of(node, await world.state(saga_id))
    assert (child.status, shop.packed) == (SagaStatus.COMPLETED, ["lamp"])


async def test_locks_are_not_given_up_while_a_child_works_under_them(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    order.saga(shop.approved, inputs={"name": order.input.name}, locks=[Lock("shelf")])
    saga_id = await world.start(order, {"name": "lamp"})
    await world.live(1.0)
    with pytest.raises(RequestRefusedError, match="would go on without them: terminate that one first"):
        await node.request(saga_id, FORCED)
    child = await child_of(node, await world.state(saga_id))
    await node.request(child.saga_id, FORCED)
    await world.live(1.0)
    assert (await world.state(child.saga_id)).status is SagaStatus.TERMINATED
    assert (await world.state(saga_id)).phase is not SagaStatus.RUNNING  # a child that was terminated is the failure of its step
