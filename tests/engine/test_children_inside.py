"""Sagas that are written inside the step that starts them, run by the engine under the names of their places."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import DefinitionError, Retry, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import versions
from goconductor.control.definitions.loading import read
from goconductor.control.sagas import queries
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RefusedError, RequestRefusedError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key
from goconductor.testing.world import World


class Shop:
    """Packs parcels, and may refuse to sell them."""

    def __init__(self, *, sells: bool = True) -> None:
        self.undone: list[str] = []
        self.steps = StepRegistry("shop")

        @self.steps.step
        async def pack(name: str) -> str:
            return f"box of {name}"

        @pack.compensation
        async def unpack(name: str) -> None:
            self.undone.append(name)

        @self.steps.step(retry=Retry(attempts_max=1))
        async def sell() -> None:
            if not sells:
                raise RefusedError("not sold")


def order_of(option: int = 0) -> Saga[Any, Any]:
    parcel: Saga[Any, Any] = Saga("parcel", priority=option)
    parcel.returns(parcel.step("shop.pack", inputs={"name": parcel.input.name}).output)
    order: Saga[Any, Any] = Saga("order")
    sent = order.saga(parcel, inside=True, inputs={"name": order.input.name})
    order.step("shop.sell", after=[sent], pivot=True)
    return order.returns(sent.output)


async def test_it_runs_under_the_name_of_its_place_and_ends_with_its_parent(world: World) -> None:
    node = await world.node(Shop().steps)
    saga_id = await world.start(order_of(), {"name": "lamp"})
    state = await world.end_of(saga_id)
    assert (state.status, state.step("parcel").output) == (SagaStatus.COMPLETED, "box of lamp")
    found = await node.store.sagas.started(CHILDREN_NAMESPACE, "order:parcel", child_key(saga_id, "parcel", 0, 1))
    assert found is not None
    child = await queries.saga_status(ANYBODY, node, found)
    assert (child.saga, child.status) == ("order:parcel", SagaStatus.COMPLETED)
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    assert next(step.saga for step in detail.steps if step.id == "parcel") == "order:parcel"
    assert child.version == (await versions.versions_of(ANYBODY, node, "order:parcel"))[0].version


async def test_it_undoes_itself_where_its_parent_turns_back(world: World) -> None:
    shop = Shop(sells=False)
    await world.node(shop.steps)
    state = await world.end_of(await world.start(order_of(), {"name": "lamp"}))
    assert state.status is SagaStatus.COMPENSATED
    assert shop.undone == ["lamp"]


async def test_a_change_of_it_is_a_change_of_its_parent_and_both_old_versions_stay(world: World) -> None:
    node = await world.node(Shop().steps)
    first = await node.definitions.register(order_of(1).definition)
    second = await node.definitions.register(order_of(2).definition)
    again = await Definitions(node.store.definitions).register(order_of(1).definition)
    assert (first.version == again.version, first.version == second.version) == (True, False)
    one, other = (plan.children["parcel"] for plan in (first, second))
    assert (one.name, one.held, one.version == other.version) == ("order:parcel", True, False)
    for child in (one, other):
        assert (await node.definitions.plan(child.name, child.version)).version == child.version


async def test_what_is_shown_of_it_can_be_registered_again_also_when_it_was_changed(world: World) -> None:
    node = await world.node()
    plan = await node.definitions.register(order_of().definition, activate=True)
    shown = (await versions.definition(ANYBODY, node, "order")).document
    assert (await versions.register(ANYBODY, node, read(shown))).version == plan.version
    shown["steps"][0]["saga"]["priority"] = 3
    changed = await versions.register(ANYBODY, node, read(shown))
    assert changed.version == (await Definitions(node.store.definitions).register(order_of(3).definition)).version


async def test_nobody_starts_or_activates_it_by_its_name(world: World) -> None:
    node = await world.node()
    plan = await node.definitions.register(order_of().definition, activate=True)
    version = plan.children["parcel"].version
    assert version is not None
    with pytest.raises(
        RequestRefusedError, match="is written inside another one, and is started by that one only; start 'order'"
    ):
        await node.definitions.plan("order:parcel")
    with pytest.raises(RequestRefusedError, match="which names its version; activate a version of 'order'"):
        await versions.activate(ANYBODY, node, "order:parcel", version)
    with pytest.raises(DefinitionError, match="starts saga 'order:parcel', which is no name"):
        read({"name": "other", "steps": [{"id": "a", "saga": {"name": "order:parcel", "version": version}}]})


async def test_its_features_count_for_its_parent(world: World) -> None:
    node = await world.node()
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.delay(1)
    order: Saga[Any, Any] = Saga("order")
    order.saga(parcel, inside=True)
    await node.definitions.register(order.definition, activate=True)
    summary = (await versions.versions_of(ANYBODY, node, "order"))[0]
    assert summary.features == ["delay", "held_saga", "saga", "saga_inside"]
    assert (await versions.versions_of(ANYBODY, node, "order:parcel"))[0].features == ["delay", "saga_inside"]


async def test_code_that_is_not_there_is_told_with_its_place(world: World) -> None:
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.step("shop.wrap")
    order: Saga[Any, Any] = Saga("order")
    order.saga(parcel, inside=True)
    conductor = await world.conductor(Shop().steps)
    with pytest.raises(DefinitionError, match=r"in the saga of step 'parcel': step 'wrap' runs 'shop\.wrap', but participant"):
        await conductor.start(order, {})
