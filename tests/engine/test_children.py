"""Steps that start a saga of their own, run by the engine: started once, told once, undone, and left by nobody."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import RefusedError, Retry, Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.models import StepStatus
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import saga_story
from goconductor.engine.children import Children
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    OutcomeDeclared,
    PauseRequested,
    RestartRequested,
    ResumeRequested,
    RetryRequested,
    SignalReceived,
    SkipRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key
from goconductor.testing.world import World

ONCE = Retry(attempts_max=1)


class Shop:
    """A shop whose parcels are sagas of their own."""

    def __init__(self) -> None:
        self.packed: list[str] = []
        self.unpacked: list[str] = []
        self.returned: list[Any] = []
        self.pack_fails = self.sell_fails = self.unpack_held = False
        self.steps = StepRegistry("shop")

        @self.steps.step(retry=ONCE)
        async def pack(name: str) -> str:
            if self.pack_fails:
                raise RefusedError("no box")
            self.packed.append(name)
            return f"box of {name}"

        @pack.compensation
        async def unpack(name: str) -> None:
            if self.unpack_held:
                raise TimeoutError("not now")
            self.unpacked.append(name)

        @self.steps.step(retry=ONCE)
        async def sell() -> None:
            if self.sell_fails:
                raise RefusedError("not sold")

        @self.steps.step
        async def take_back(box: str | None) -> None:
            self.returned.append(box)

    @property
    def parcel(self) -> Saga[Any, Any]:
        """Packs."""
        parcel: Saga[Any, Any] = Saga("parcel")
        return parcel.returns(parcel.step("shop.pack", inputs={"name": parcel.input.name}).output)

    @property
    def approved(self) -> Saga[Any, Any]:
        """Packs, and waits for somebody who approves."""
        parcel: Saga[Any, Any] = Saga("parcel")
        packed = parcel.step("shop.pack", inputs={"name": parcel.input.name})
        parcel.approval("Ship it?", after=[packed])
        return parcel.returns(packed.output)


def order_of(parcel: Saga[Any, Any] | str) -> Saga[Any, Any]:
    """Sends a parcel, and then sells."""
    order: Saga[Any, Any] = Saga("order")
    undo = Undo("shop.take_back", inputs={"box": order.later("parcel").output})
    sent = order.saga(parcel, inputs={"name": order.input.name}, undo=undo)
    order.step("shop.sell", after=[sent], pivot=True)
    return order.returns(sent.output)


async def child_of(node: Node, state: SagaState, step: str = "parcel", *, attempt: int = 1, round: int = 0) -> SagaState:
    key = child_key(state.saga_id, step, round, attempt)
    found = await node.store.sagas.started(CHILDREN_NAMESPACE, "parcel", key)
    assert found is not None
    return (await node.view(found)).state


async def test_a_child_ends_and_its_output_is_the_steps(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.parcel), {"name": "lamp"})
    state = await world.end_of(saga_id)
    assert (state.status, state.step("parcel").output) == (SagaStatus.COMPLETED, "box of lamp")
    child = await child_of(node, state)
    assert child.status is SagaStatus.COMPLETED
    assert child.parent is not None
    assert (child.parent.saga_id, child.parent.step) == (saga_id, "parcel")
    assert shop.packed == ["lamp"]


async def test_a_child_that_fails_turns_its_parent_back_and_there_is_nothing_to_undo(world: World) -> None:
    shop = Shop()
    shop.pack_fails = True
    await world.node(shop.steps)
    state = await world.end_of(await world.start(order_of(shop.parcel), {"name": "lamp"}))
    assert state.status is SagaStatus.COMPENSATED
    assert "SagaCompensatedError" in state.reason
    assert "no box" in state.reason
    assert shop.returned == []


async def test_a_child_that_has_completed_is_undone_with_its_output(world: World) -> None:
    shop = Shop()
    shop.sell_fails = True
    node = await world.node(shop.steps)
    state = await world.end_of(await world.start(order_of(shop.parcel), {"name": "lamp"}))
    assert state.status is SagaStatus.COMPENSATED
    assert shop.returned == ["box of lamp"]
    assert (await child_of(node, state)).status is SagaStatus.COMPLETED
    assert shop.unpacked == []


async def test_a_child_at_work_is_undone_before_its_parent_is(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    assert shop.packed == ["lamp"]
    await node.request(saga_id, AbortRequested(reason="changed my mind"))
    state = await world.end_of(saga_id)
    child = await child_of(node, state)
    assert (state.status, child.status) == (SagaStatus.COMPENSATED, SagaStatus.COMPENSATED)
    assert child.reason.startswith(f"aborted: step 'parcel' of saga {saga_id}")
    assert (shop.unpacked, shop.returned) == (["lamp"], [])


async def test_a_child_that_has_not_begun_when_its_parent_turns_back_never_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    with monkeypatch.context() as lost:
        lost.setattr(Children, "see_to", lambda *_, **__: None)  # the process that was to start it is stopped
        saga_id = await world.start(order_of(shop.parcel), {"name": "lamp"})
    await node.request(saga_id, AbortRequested())
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    child = await child_of(node, state)
    assert child.status is SagaStatus.COMPENSATED
    plan = await node.plan_of(child)
    late = await node._starter.start_child(plan, Parent(saga_id, "parcel", 0, 1), {"name": "lamp"}, traceparent="")
    assert (late.saga_id, late.existing) == (child.saga_id, True)
    await world.live(60.0)
    assert (shop.packed, shop.returned) == ([], [])


@pytest.mark.parametrize("lost", ["see_to", "has_ended"])
async def test_the_sweep_does_what_a_process_that_died_was_to_do(
    world: World, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    shop = Shop()
    await world.node(shop.steps)
    kept = getattr(Children, lost)
    calls: list[object] = []

    def first_is_lost(*given: object, **facts: object) -> None:
        calls.append(given)
        if len(calls) > 1 and (lost == "see_to" or given[2].state.parent is None):  # type: ignore[attr-defined]
            kept(*given, **facts)

    monkeypatch.setattr(Children, lost, first_is_lost)
    state = await world.end_of(await world.start(order_of(shop.parcel), {"name": "lamp"}))
    assert (state.status, shop.packed) == (SagaStatus.COMPLETED, ["lamp"])
    assert len(calls) > 1


async def test_a_paused_parent_learns_of_the_end_that_nobody_told_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    monkeypatch.setattr(Children, "has_ended", lambda *_: None)
    saga_id = await world.start(order_of(shop.parcel), {"name": "lamp"})
    await node.request(saga_id, PauseRequested())
    await world.live(120.0)
    state = await world.state(saga_id)
    assert (state.status, state.step("parcel").output, state.wake_at) == (SagaStatus.PAUSED, "box of lamp", None)
    await node.request(saga_id, ResumeRequested())
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_the_undo_of_a_child_that_somebody_terminated_finds_out_for_itself(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    child = await child_of(node, await world.state(saga_id))
    await node.request(child.saga_id, TerminationRequested(reason="by hand"))
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    assert "SagaTerminatedError" in state.reason
    assert (shop.unpacked, shop.returned) == ([], [None])


async def test_a_parent_is_terminated_after_its_child(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    await node.request(saga_id, TerminationRequested(reason="by hand"))
    state = await world.end_of(saga_id)
    child = await child_of(node, state)
    assert (state.status, child.status) == (SagaStatus.TERMINATED, SagaStatus.TERMINATED)
    assert (state.late_effects, child.late_effects) == (False, False)
    assert (shop.unpacked, shop.returned) == ([], [])


def sold_first(parcel: Saga[Any, Any]) -> Saga[Any, Any]:
    """Sells, and then sends a parcel, which nothing has to undo."""
    order: Saga[Any, Any] = Saga("order")
    sold = order.step("shop.sell", pivot=True)
    return order.returns(order.saga(parcel, inputs={"name": order.input.name}, after=[sold]).output)


async def test_behind_the_pivot_a_child_that_fails_is_left_to_an_operator_whose_retry_starts_another(world: World) -> None:
    shop = Shop()
    shop.pack_fails = True
    node = await world.node(shop.steps)
    saga_id = await world.start(sold_first(shop.parcel), {"name": "lamp"})
    state = await world.end_of(saga_id)
    assert (state.status, state.stuck_steps) == (SagaStatus.STUCK, ["parcel"])
    shop.pack_fails = False
    await node.request(saga_id, RetryRequested("parcel"))
    state = await world.end_of(saga_id)
    assert (state.status, state.step("parcel").output) == (SagaStatus.COMPLETED, "box of lamp")
    assert (await child_of(node, state)).status is SagaStatus.COMPENSATED
    assert (await child_of(node, state, attempt=2)).status is SagaStatus.COMPLETED


async def test_a_skip_has_the_child_end_first(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(sold_first(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    with pytest.raises(RequestRefusedError, match="see to that one"):
        await node.request(saga_id, OutcomeDeclared("parcel", happened=True, reason="I saw it"))
    await node.request(saga_id, SkipRequested("parcel", reason="nobody wants it"))
    state = await world.end_of(saga_id)
    assert (state.status, state.step("parcel").action.status) == (SagaStatus.COMPLETED, ActionStatus.SKIPPED)
    assert (await child_of(node, state)).status is SagaStatus.COMPENSATED
    assert shop.unpacked == ["lamp"]


async def test_a_restart_undoes_the_child_and_starts_another(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    await node.request(saga_id, RestartRequested(from_step="parcel", reason="another box"))
    await world.live(60.0)
    state = await world.state(saga_id)
    first, second = await child_of(node, state), await child_of(node, state, round=1)
    assert (first.status, second.status) == (SagaStatus.COMPENSATED, SagaStatus.WAITING)
    assert (shop.packed, shop.unpacked) == (["lamp", "lamp"], ["lamp"])
    await node.request(second.saga_id, SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes"))
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_a_child_that_may_fail_is_gone_on_without(world: World) -> None:
    shop = Shop()
    shop.pack_fails = True
    await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    order.saga(shop.parcel, inputs={"name": "lamp"}, undo=Undo("shop.take_back", inputs={"box": None}), allow_fail=True)
    state = await world.end_of(await world.start(order))
    assert (state.status, state.step("parcel").action.status) == (SagaStatus.COMPLETED, ActionStatus.GIVEN_UP)
    assert shop.returned == []


async def test_each_item_of_a_map_starts_a_child(world: World) -> None:
    shop = Shop()
    await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    sold = order.step("shop.sell", pivot=True)
    lines = order.map(order.input.names, id="lines", after=[sold])
    lines.saga(shop.parcel, inputs={"name": lines.item})
    order.returns(lines.output)
    conductor = await world.conductor()
    handle = await conductor.start(order, {"names": ["lamp", "lamp", "desk"]})
    assert await handle.result() == ["box of lamp", "box of lamp", "box of desk"]
    assert sorted(shop.packed) == ["desk", "lamp", "lamp"]


async def test_a_child_is_refused_an_input_that_does_not_fit_its_schema(world: World) -> None:
    shop = Shop()
    await world.node(shop.steps)
    parcel: Saga[Any, Any] = Saga("parcel", input_schema={"properties": {"name": {"type": "string"}}})
    parcel.step("shop.pack", inputs={"name": parcel.input.name})
    state = await world.end_of(await world.start(order_of(parcel), {"name": 7}))
    assert state.status is SagaStatus.COMPENSATED
    assert "its input was refused" in state.reason
    assert "$.name should be a string" in state.reason
    assert shop.packed == []


async def test_who_waits_for_a_parent_sees_what_its_child_is_and_stands_for(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    shown = await queries.saga_status(ANYBODY, node, saga_id)
    child = await child_of(node, await world.state(saga_id))
    (step,) = (each for each in shown.steps if each.id == "parcel")
    assert (step.status, step.started) == (StepStatus.RUNNING, child.saga_id)
    parent = (await queries.saga_status(ANYBODY, node, child.saga_id)).parent
    assert parent is not None
    assert (parent.saga_id, parent.step) == (saga_id, "parcel")
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert "parcel starts a saga 'parcel'" in lines


async def test_a_saga_of_which_nothing_but_a_child_has_begun_is_restarted(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    sent = order.saga(shop.approved, inputs={"name": order.input.name})
    order.step("shop.sell", after=[sent])
    saga_id = await world.start(order, {"name": "lamp"})
    await world.live(1.0)
    await node.request(saga_id, RestartRequested(reason="another lamp"))
    await world.live(30.0)
    state = await world.state(saga_id)
    assert (state.step("parcel").round, shop.packed, shop.unpacked) == (1, ["lamp", "lamp"], ["lamp"])
    assert (await child_of(node, state, round=1)).status is SagaStatus.WAITING


async def test_the_children_of_a_map_that_have_completed_are_undone_with_their_outputs(world: World) -> None:
    shop = Shop()
    shop.sell_fails = True
    await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    lines = order.map(order.input.names, id="lines")
    undo = Undo("shop.take_back", inputs={"box": lines.later("parcel").output})
    lines.saga(shop.parcel, inputs={"name": lines.item}, undo=undo)
    order.step("shop.sell", after=[lines], pivot=True)
    state = await world.end_of(await world.start(order, {"names": ["lamp", "desk"]}))
    assert state.status is SagaStatus.COMPENSATED
    assert sorted(shop.returned) == ["box of desk", "box of lamp"]
