"""Undos that are sagas: started once for each attempt, and the step is undone when one of them has completed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor import DefinitionError, RefusedError, Retry, Saga, Undo
from goconductor.control.actor import ANYBODY
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
    ResumeRequested,
    RetryRequested,
    SignalReceived,
    SkipRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import CompensationStatus, SagaStatus
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key
from goconductor.testing.world import World


class Shop:
    """Charges a card. A charge is undone by a saga, which pays back and then tells somebody."""

    def __init__(self, *, refunds_fail: int = 0, asks: bool = False) -> None:
        self.paid_back: list[Any] = []
        self.taken_back: list[Any] = []
        self.told = 0
        self.refunds_fail = refunds_fail
        self.steps = StepRegistry("shop")

        @self.steps.step(retry=Retry(attempts_max=1))
        async def charge(cents: int) -> str:
            return f"receipt of {cents}"

        @self.steps.step(retry=Retry(attempts_max=1))
        async def ship() -> None:
            raise RefusedError("no truck")

        @self.steps.step(retry=Retry(attempts_max=1))
        async def pay_back(receipt: str | None) -> None:
            self.paid_back.append(receipt)

        @pay_back.compensation
        async def take_back(receipt: str | None) -> None:
            self.taken_back.append(receipt)

        @self.steps.step(retry=Retry(attempts_max=1))
        async def tell() -> None:
            if self.refunds_fail:
                self.refunds_fail -= 1
                raise RefusedError("nobody is there")
            self.told += 1

        self.refund: Saga[Any, Any] = Saga("refund")
        paid = self.refund.step("shop.pay_back", inputs={"receipt": self.refund.input.receipt})
        last = self.refund.approval("Pay back?", after=[paid]) if asks else paid
        self.refund.step("shop.tell", after=[last])

    def order(self, attempts: int | None = 1) -> Saga[Any, Any]:
        order: Saga[Any, Any] = Saga("order")
        charged = order.step(
            "shop.charge",
            inputs={"cents": order.input.cents},
            undo=Undo.saga(self.refund, inputs={"receipt": order.later("charge").output}),
            compensation_retry=None if attempts is None else Retry(attempts_max=attempts, initial_seconds=0),
        )
        order.step("shop.ship", after=[charged], pivot=True)
        return order


async def undo_of(node: Node, state: SagaState, attempt: int = 1) -> SagaState | None:
    key = child_key(state.saga_id, "charge", 0, attempt, undoes=True)
    found = await node.store.sagas.started(CHILDREN_NAMESPACE, "refund", key)
    return None if found is None else (await node.view(found)).state


async def at_rest(world: World, saga_id: UUID) -> SagaState:
    """Return where a saga stands when nothing goes on any more."""
    await world.live(120.0)
    return await world.state(saga_id)


async def test_the_step_is_undone_when_the_saga_has_completed(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(shop.order(), {"cents": 5})
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    assert (shop.paid_back, shop.told) == (["receipt of 5"], 1)
    undo = await undo_of(node, state)
    assert undo is not None
    assert (undo.status, undo.parent is not None and undo.parent.undoes) == (SagaStatus.COMPLETED, True)
    detail = await queries.saga_status(ANYBODY, node, saga_id)
    shown = next(step for step in detail.steps if step.id == "charge")
    assert (shown.undo, shown.started) == ("saga refund", undo.saga_id)
    parent = (await queries.saga_status(ANYBODY, node, undo.saga_id)).parent
    assert parent is not None
    assert (parent.saga_id, parent.step, parent.undoes) == (saga_id, "charge", True)
    assert "charge is to be undone by saga refund" in (await saga_story(ANYBODY, node, saga_id)).model_dump_json()


async def test_one_that_is_undone_itself_is_tried_again_as_another_saga_and_at_last_the_step_is_stuck(world: World) -> None:
    shop = Shop(refunds_fail=2)
    node = await world.node(shop.steps)
    saga_id = await world.start(shop.order(attempts=2), {"cents": 5})
    state = await at_rest(world, saga_id)
    assert state.step("charge").compensation.status is CompensationStatus.STUCK
    assert shop.paid_back == shop.taken_back == ["receipt of 5"] * 2
    assert [each.status for n in (1, 2) if (each := await undo_of(node, state, n)) is not None] == [SagaStatus.COMPENSATED] * 2
    assert "SagaCompensatedError" in str(state.step("charge").failure)
    await node.request(saga_id, RetryRequested("charge"))
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPENSATED
    assert (len(shop.paid_back), shop.told) == (3, 1)


async def test_a_skip_has_it_turn_back_and_its_end_is_awaited(world: World) -> None:
    shop = Shop(asks=True)
    node = await world.node(shop.steps)
    saga_id = await world.start(shop.order(), {"cents": 5})
    await world.live(1.0)
    with pytest.raises(RequestRefusedError, match="is undone by a saga that is at work: see to that one"):
        await node.request(saga_id, OutcomeDeclared("charge", happened=True, reason="seen"))
    await node.request(saga_id, SkipRequested("charge", reason="let him keep it"))
    state = await world.end_of(saga_id)
    assert (state.status, state.left_standing) == (SagaStatus.COMPENSATED, ["charge"])
    assert state.step("charge").compensation.status is CompensationStatus.SKIPPED
    undo = await undo_of(node, state)
    assert undo is not None
    assert (undo.status, state.late_effects, shop.taken_back) == (SagaStatus.COMPENSATED, False, ["receipt of 5"])


async def test_a_termination_terminates_it_first(world: World) -> None:
    shop = Shop(asks=True)
    node = await world.node(shop.steps)
    saga_id = await world.start(shop.order(), {"cents": 5})
    await world.live(1.0)
    await node.request(saga_id, TerminationRequested(reason="by hand"))
    state = await world.end_of(saga_id)
    undo = await undo_of(node, state)
    assert undo is not None
    assert (state.status, undo.status, state.late_effects) == (SagaStatus.TERMINATED, SagaStatus.TERMINATED, False)


async def test_one_that_is_terminated_leaves_the_step_stuck_at_once(world: World) -> None:
    shop = Shop(asks=True)
    node = await world.node(shop.steps)
    saga_id = await world.start(shop.order(attempts=9), {"cents": 5})
    await world.live(1.0)
    undo = await undo_of(node, await world.state(saga_id))
    assert undo is not None
    await node.request(undo.saga_id, TerminationRequested(reason="by hand"))
    state = await at_rest(world, saga_id)
    assert (state.step("charge").compensation.status, state.step("charge").compensation.attempt) == (CompensationStatus.STUCK, 1)
    assert "SagaTerminatedError" in str(state.step("charge").failure)


async def test_one_whose_input_is_refused_leaves_the_step_stuck_at_once(world: World) -> None:
    shop = Shop()
    shop.refund = Saga("refund", input_schema={"type": "object", "properties": {"receipt": {"type": ["null", "string"]}}})
    shop.refund.step("shop.tell")
    order: Saga[Any, Any] = Saga("order")
    undo = Undo.saga(shop.refund, inputs={"receipt": order.input.receipt})
    charged = order.step("shop.charge", inputs={"cents": 1}, undo=undo)
    order.step("shop.ship", after=[charged], pivot=True)
    await world.node(shop.steps)
    state = await at_rest(world, await world.start(order, {"receipt": 5}))
    assert state.step("charge").compensation.status is CompensationStatus.STUCK
    assert "its input was refused" in str(state.step("charge").failure)
    assert shop.told == 0


async def test_a_paused_saga_starts_none_and_a_pause_with_children_reaches_it(world: World) -> None:
    shop = Shop(asks=True)
    node = await world.node(shop.steps)
    saga_id = await world.start(shop.order(), {"cents": 5})
    await world.live(1.0)
    await node.request(saga_id, PauseRequested(reason="wait", children=True))
    await world.live(60.0)
    undo = await undo_of(node, await world.state(saga_id))
    assert undo is not None
    assert undo.paused
    await node.request(saga_id, ResumeRequested())
    await world.live(60.0)
    await node.request(undo.saga_id, SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes"))
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPENSATED


@pytest.mark.parametrize("lost", ["see_to", "has_ended"])
async def test_the_sweep_starts_it_and_tells_its_end_where_a_process_died(
    world: World, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    real, gone = getattr(Children, lost), list[Any]()

    def dies(self: Children, *args: Any, **others: Any) -> None:
        if not others and not gone:
            gone.append(args)
            return
        real(self, *args, **others)

    monkeypatch.setattr(Children, lost, dies)
    saga_id = await world.start(shop.order(), {"cents": 5})
    state = await world.end_of(saga_id)
    assert gone
    assert (state.status, shop.paid_back) == (SagaStatus.COMPENSATED, ["receipt of 5"])
    assert await undo_of(node, state, 2) is None


async def test_a_step_that_starts_a_saga_may_be_undone_by_another_also_in_a_map(world: World) -> None:
    shop = Shop()
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.returns(parcel.step("shop.charge", inputs={"cents": parcel.input.cents}, undo="none").output)
    order: Saga[Any, Any] = Saga("order")
    lines = order.map(order.input.lines, id="lines")
    undo = Undo.saga(shop.refund, inputs={"receipt": lines.later("parcel").output})
    lines.saga(parcel, inputs={"cents": lines.item}, undo=undo)
    order.step("shop.ship", after=[lines], pivot=True)
    await world.node(shop.steps)
    state = await world.end_of(await world.start(order, {"lines": [1, 2]}))
    assert state.status is SagaStatus.COMPENSATED
    assert sorted(shop.paid_back) == ["receipt of 1", "receipt of 2"]


@pytest.mark.parametrize("may_fail", [False, True])
@pytest.mark.parametrize("in_map", [False, True])
async def test_where_nobody_knows_whether_the_step_ran_the_saga_is_given_null(world: World, in_map: bool, may_fail: bool) -> None:
    shop = Shop()

    @shop.steps.step(retry=Retry(attempts_max=1))
    async def lose() -> None:
        raise RuntimeError("it may have happened")

    order: Saga[Any, Any] = Saga("order")
    holder: Any = order.map(order.input.lines, id="lines") if in_map else order
    undo = Undo.saga(shop.refund, inputs={"receipt": holder.later("lose").output})
    lost = holder.step("shop.lose", undo=undo, allow_fail=may_fail)
    order.step("shop.ship", after=[holder if in_map else lost], pivot=True)
    await world.node(shop.steps)
    state = await world.end_of(await world.start(order, {"lines": [1]}))
    assert (state.status, shop.paid_back, shop.told) == (SagaStatus.COMPENSATED, [None], 1)


async def test_of_what_never_happened_no_saga_is_started(world: World) -> None:
    shop = Shop()
    order: Saga[Any, Any] = Saga("order")
    asked = order.approval("Go?")
    order.step("shop.charge", inputs={"cents": 1}, undo=Undo.saga(shop.refund), after=[asked])
    node = await world.node(shop.steps)
    saga_id = await world.start(order, {})
    await world.live(1.0)
    await node.request(saga_id, AbortRequested(reason="no"))
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPENSATED
    assert await undo_of(node, await world.state(saga_id)) is None


async def test_what_registering_refuses(world: World) -> None:
    node = await world.node()
    with pytest.raises(DefinitionError, match="the undo of step 'charge' starts a saga that is not there"):
        await node.definitions.register(Shop().order().definition)
    schema = {"type": "object", "properties": {"receipt": {"type": "string"}}, "required": ["receipt"]}
    refund: Saga[Any, Any] = Saga("refund", input_schema=schema)
    refund.step("shop.tell")
    await node.definitions.register(refund.definition, activate=True)
    with pytest.raises(DefinitionError, match="Path: nobody knows whether charge ran"):
        await node.definitions.register(Shop().order().definition)
    order: Saga[Any, Any] = Saga("order")
    order.step("shop.charge", undo=Undo.saga("refund"))
    with pytest.raises(DefinitionError, match="the undo of step 'charge' gives the saga that it starts no 'receipt'"):
        await node.definitions.register(order.definition)
