"""Sub-sagas that are held: done, until the saga that has started them ends or has them undo themselves."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import CompensatedError, Conductor, DefinitionError, Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
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
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.ports.store import Forgettable
from goconductor.recovery.retention import OVER
from goconductor.saga.ids import CHILDREN_NAMESPACE, child_key
from goconductor.testing.world import World
from tests.engine.test_children import Shop, child_of

HOUR_SECONDS = 3600.0
GO = SignalReceived(name="approval", id="go", approves="approval", by="me", reason="yes")


class Counter(Shop):
    """A shop that waits at its counter for a yes before it sells, so that its parcels are held meanwhile."""

    def order(self, parcel: Saga[Any, Any] | None = None, **options: Any) -> Saga[Any, Any]:
        """Sends a parcel, which undoes itself; waits for a yes; sells."""
        order: Saga[Any, Any] = Saga("order")
        sent = order.saga(parcel or self.parcel, inputs={"name": order.input.name}, **options)
        yes = order.approval("Sell?", after=[sent])
        order.step("shop.sell", after=[yes], pivot=True)
        return order.returns(sent.output)


async def begun(world: World, order: Saga[Any, Any]) -> Any:
    """Start an order, and wait until it waits."""
    saga_id = await world.start(order, {"name": "lamp"})
    await world.live(2.0)
    return saga_id


async def test_a_child_is_held_until_its_parent_ends_and_then_completed(world: World) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    state = await world.state(saga_id)
    child = await child_of(node, state)
    assert (state.status, state.step("parcel").output) == (SagaStatus.WAITING, "box of lamp")
    assert (child.status, child.parent) == (SagaStatus.HELD, Parent(saga_id, "parcel", 0, 1, held=True))
    await world.live(2 * HOUR_SECONDS)
    assert (await world.state(child.saga_id)).status is SagaStatus.HELD
    await node.request(saga_id, GO)
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED
    await world.live(1.0)
    head = await world.store.sagas.head(child.saga_id)
    assert head is not None
    assert (head.status, head.wake_at, shop.unpacked) == ("completed", None, [])


async def test_a_parent_that_turns_back_has_its_child_undo_itself(world: World) -> None:
    shop = Counter()
    shop.sell_fails = True
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    await node.request(saga_id, GO)
    state = await world.end_of(saga_id)
    child = await child_of(node, state)
    assert (state.status, child.status) == (SagaStatus.COMPENSATED, SagaStatus.COMPENSATED)
    assert (shop.packed, shop.unpacked) == (["lamp"], ["lamp"])
    assert child.reason == f"step 'parcel' of saga {saga_id} goes back"
    assert "UndoRequested" in await world.events(child.saga_id)


@pytest.mark.parametrize("stage", ["not begun", "at work"])
async def test_a_child_that_is_not_done_turns_back_or_never_begins(
    world: World, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    with monkeypatch.context() as lost:
        if stage == "not begun":
            lost.setattr(Children, "see_to", lambda *_, **__: None)
        saga_id = await world.start(shop.order(shop.approved), {"name": "lamp"})
        if stage == "at work":
            await world.live(1.0)
    await node.request(saga_id, AbortRequested())
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPENSATED
    child = await child_of(node, state)
    assert child.status is SagaStatus.COMPENSATED
    assert shop.packed == shop.unpacked == ([] if stage == "not begun" else ["lamp"])


async def test_what_is_held_answers_with_its_output_and_says_so_and_refuses_requests(world: World) -> None:
    shop = Counter()
    await world.node(shop.steps)
    conductor = await world.conductor()
    saga_id = await begun(world, shop.order())
    node = world.nodes[0]
    child = await child_of(node, await world.state(saga_id))
    handle = conductor.saga(child.saga_id)
    assert await handle.result() == "box of lamp"
    detail = await queries.saga_status(ANYBODY, node, child.saga_id)
    assert (detail.status, detail.output, detail.allowed) == ("held", "box of lamp", [])
    for request in (PauseRequested(), AbortRequested(), TerminationRequested(reason="x"), RestartRequested(reason="x")):
        with pytest.raises(
            RequestRefusedError, match=f"is held: all its steps are done, and saga {saga_id}, whose step 'parcel'"
        ):
            await node.request(child.saga_id, request)


async def test_retention_leaves_what_is_held(world: World) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    child = await child_of(node, await world.state(saga_id))
    await world.live(HOUR_SECONDS)
    term = await world.store.terms.raise_epoch("me", 1e9)
    assert term is not None
    for kind in (Forgettable.START_KEYS, Forgettable.SAGAS):
        before = world.clock.now() + HOUR_SECONDS
        step = await world.store.retention.forget(kind, before=before, ended=OVER, after=None, limit=100, epoch=term.epoch)
        assert step.taken == 0
    assert (await world.state(child.saga_id)).status is SagaStatus.HELD


@pytest.mark.parametrize("settles", ["completed", "compensated", "terminated", "gone"])
async def test_what_nobody_released_is_released_by_its_own_look_at_its_parent(
    world: World, monkeypatch: pytest.MonkeyPatch, settles: str
) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    child = await child_of(node, await world.state(saga_id))
    with monkeypatch.context() as lost:
        lost.setattr(Children, "has_ended", lambda *_: None)
        lost.setattr(Children, "see_to", lambda *_, **__: None)
        if settles == "completed":
            await node.request(saga_id, GO)
        elif settles == "compensated":
            await node.request(saga_id, AbortRequested())
            await node.request(saga_id, SkipRequested("parcel", reason="leave it", forced=True))
        else:
            await node.request(saga_id, TerminationRequested(reason="over", forced=True))
        ended = await world.end_of(saga_id)
        assert ended.phase.ended
    if settles == "gone":
        del world.store.data.heads[saga_id], world.store.data.logs[saga_id]
    assert (await world.state(child.saga_id)).status is SagaStatus.HELD
    await world.live(HOUR_SECONDS + 60.0)
    assert (await world.state(child.saga_id)).status is SagaStatus.COMPLETED
    assert shop.unpacked == []


def tree(shop: Counter) -> tuple[Saga[Any, Any], Saga[Any, Any]]:
    """Return an order whose crate is a saga with a parcel, and that crate."""
    crate: Saga[Any, Any] = Saga("crate")
    inner = crate.saga(shop.parcel, inputs={"name": crate.input.name})
    crate.returns(inner.output)
    return shop.order(crate, id="crate"), crate


async def grandchild_of(node: Node, state: SagaState) -> tuple[SagaState, SagaState]:
    found = await node.store.sagas.started(CHILDREN_NAMESPACE, "crate", child_key(state.saga_id, "crate", 0, 1))
    assert found is not None
    child = (await node.view(found)).state
    return child, await child_of(node, child)


@pytest.mark.parametrize("goes_back", [True, False])
async def test_a_held_parent_has_not_settled(world: World, goes_back: bool) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    order, _ = tree(shop)
    saga_id = await begun(world, order)
    await world.live(HOUR_SECONDS)
    child, grandchild = await grandchild_of(node, await world.state(saga_id))
    assert (child.status, grandchild.status) == (SagaStatus.HELD, SagaStatus.HELD)
    await node.request(saga_id, AbortRequested() if goes_back else GO)
    await world.end_of(saga_id)
    await world.live(1.0)  # one releases the next at once
    child, grandchild = await grandchild_of(node, await world.state(saga_id))
    ended = SagaStatus.COMPENSATED if goes_back else SagaStatus.COMPLETED
    assert (child.status, grandchild.status) == (ended, ended)
    assert shop.unpacked == (["lamp"] if goes_back else [])


async def test_a_child_that_cannot_undo_itself_leaves_its_step_stuck_until_an_operator_decides(world: World) -> None:
    shop = Counter()
    shop.unpack_held = True
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    await node.request(saga_id, AbortRequested())
    await world.live(60.0)
    child = await child_of(node, await world.state(saga_id))
    assert child.status is SagaStatus.COMPENSATING
    with pytest.raises(RequestRefusedError, match="see to that one"):
        await node.request(saga_id, OutcomeDeclared("parcel", happened=True, reason="I believe so"))
    await node.request(child.saga_id, TerminationRequested(reason="by hand"))
    state = await world.end_of(saga_id)
    assert (state.status, state.stuck_steps) == (SagaStatus.STUCK, ["parcel"])
    assert "effects of it may stand" in str(state.step("parcel").failure)
    await node.request(saga_id, RetryRequested("parcel"))
    assert (await world.end_of(saga_id)).stuck_steps == ["parcel"]
    await node.request(saga_id, SkipRequested("parcel", reason="I looked"))
    state = await world.end_of(saga_id)
    assert (state.status, state.left_standing) == (SagaStatus.COMPENSATED, ["parcel"])


async def test_a_pause_holds_the_undo_back(world: World) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    await node.request(saga_id, PauseRequested())
    await world.live(1.0)
    await node.request(saga_id, ResumeRequested())
    await node.request(saga_id, AbortRequested())
    await world.end_of(saga_id)
    assert shop.unpacked == ["lamp"]


async def test_a_child_that_has_not_heard_yet_that_it_goes_back_hears_it_after_the_pause_of_its_parent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    with monkeypatch.context() as lost:
        lost.setattr(Children, "see_to", lambda *_, **__: None)
        await node.request(saga_id, AbortRequested())
        await node.request(saga_id, PauseRequested())
    await world.live(60.0)
    state = await world.state(saga_id)
    assert (state.stuck_steps, (await child_of(node, state)).status) == ([], SagaStatus.HELD)
    await node.request(saga_id, ResumeRequested())
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPENSATED
    assert shop.unpacked == ["lamp"]


def keeper(name: str) -> StepRegistry:
    """A participant that gives its name, and takes it back."""
    steps = StepRegistry(name)

    @steps.step
    async def give() -> str:
        return name

    @give.compensation
    async def take_back() -> None: ...

    return steps


async def test_who_has_held_a_child_does_not_answer_with_its_output_when_another_process_has_undone_it(world: World) -> None:
    shop = Counter()
    first, second = await world.node(keeper("first")), await world.node(keeper("second"))
    await world.node(shop.steps)
    parcel: Saga[Any, Any] = Saga("parcel")
    begins = parcel.step("first.give", id="begins")
    parcel.returns(parcel.step("second.give", id="ends", after=[begins]).output)
    order: Saga[Any, Any] = Saga("order")
    yes = order.approval("Sell?", after=[order.saga(parcel)])
    order.step("shop.sell", after=[yes], pivot=True)
    saga_id = await begun(world, order)
    child = Conductor(second).saga((await child_of(second, await world.state(saga_id))).saga_id)
    assert await child.result() == "second"
    await first.request(saga_id, AbortRequested())
    await world.end_of(saga_id)
    with pytest.raises(CompensatedError):
        await child.result()


async def test_a_termination_of_the_parent_lets_what_is_held_stand(world: World) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    await node.request(saga_id, TerminationRequested(reason="over"))
    state = await world.end_of(saga_id)
    await world.live(1.0)
    assert (state.status, (await child_of(node, state)).status) == (SagaStatus.TERMINATED, SagaStatus.COMPLETED)


async def test_a_termination_while_the_child_undoes_itself_terminates_it(world: World) -> None:
    shop = Counter()
    shop.unpack_held = True
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    await node.request(saga_id, AbortRequested())
    await world.live(2.0)
    await node.request(saga_id, TerminationRequested(reason="over"))
    state = await world.end_of(saga_id)
    assert (state.status, (await child_of(node, state)).status) == (SagaStatus.TERMINATED, SagaStatus.TERMINATED)
    assert state.step("parcel").compensation.status is CompensationStatus.SKIPPED


async def test_a_restart_undoes_what_is_held_and_starts_another(world: World) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order())
    await node.request(saga_id, RestartRequested(from_step="parcel", reason="another box"))
    await world.live(60.0)
    state = await world.state(saga_id)
    first, second = await child_of(node, state), await child_of(node, state, round=1)
    assert (first.status, second.status) == (SagaStatus.COMPENSATED, SagaStatus.HELD)
    assert (shop.packed, shop.unpacked) == (["lamp", "lamp"], ["lamp"])


async def test_a_child_whose_output_is_refused_is_undone(world: World) -> None:
    shop = Counter()
    node = await world.node(shop.steps, payload_bytes_max=100)
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.step("shop.pack", inputs={"name": parcel.input.name})
    parcel.step("shop.pack", id="another", inputs={"name": parcel.input.name})
    saga_id = await world.start(shop.order(parcel), {"name": "x" * 50})
    state = await world.end_of(saga_id)
    assert (state.status, (await child_of(node, state)).status) == (SagaStatus.COMPENSATED, SagaStatus.COMPENSATED)
    assert len(shop.unpacked) == 2


@pytest.mark.parametrize("fails", [True, False])
async def test_a_held_child_that_may_fail(world: World, fails: bool) -> None:
    shop = Counter()
    shop.pack_fails = fails
    node = await world.node(shop.steps)
    saga_id = await begun(world, shop.order(allow_fail=True))
    await node.request(saga_id, GO)
    state = await world.end_of(saga_id)
    assert state.status is SagaStatus.COMPLETED
    assert state.step("parcel").action.status is (ActionStatus.GIVEN_UP if fails else ActionStatus.SUCCEEDED)


@pytest.mark.parametrize("goes_back", [True, False])
async def test_each_item_of_a_map_before_the_pivot_starts_a_child_that_is_held(world: World, goes_back: bool) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    lines = order.map(order.input.names, id="lines")
    lines.saga(shop.parcel, inputs={"name": lines.item})
    yes = order.approval("Sell?", after=[lines])
    order.step("shop.sell", after=[yes], pivot=True)
    names = [f"lamp {number}" for number in range(60)]
    saga_id = await world.start(order, {"names": names})
    await world.live(2.0)
    heads = [head for head in world.store.data.heads.values() if head.saga == "parcel"]
    assert [head.status for head in heads] == ["held"] * 60
    await node.request(saga_id, AbortRequested() if goes_back else GO)
    ended = await world.end_of(saga_id)
    assert ended.status is (SagaStatus.COMPENSATED if goes_back else SagaStatus.COMPLETED)
    await world.live(1.0)
    heads = [head for head in world.store.data.heads.values() if head.saga == "parcel"]
    assert {head.status for head in heads} == {"compensated" if goes_back else "completed"}
    assert sorted(shop.unpacked) == (sorted(names) if goes_back else [])


async def test_a_saga_with_a_pivot_cannot_undo_itself_so_its_step_declares_an_undo(world: World) -> None:
    node = await world.node()
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.step("shop.pack", pivot=True)
    await node.definitions.register(parcel.definition, activate=True)
    shop = Counter()
    order: Saga[Any, Any] = Saga("order")
    order.step("shop.sell", after=[order.saga("parcel")], pivot=True)
    with pytest.raises(DefinitionError, match="cannot undo itself once its pivot 'pack' has succeeded"):
        await node.definitions.register(order.definition)
    undone: Saga[Any, Any] = Saga("order")
    undone.step("shop.sell", after=[undone.saga("parcel", undo=Undo("shop.take_back"))], pivot=True)
    behind: Saga[Any, Any] = Saga("behind")
    behind.saga("parcel", after=[behind.step("shop.sell", pivot=True)])
    for saga in (undone, behind):
        plan = await node.definitions.register(saga.definition)
        assert (plan.holds, "held_saga" in plan.features) == (frozenset(), False)
    await node.definitions.register(shop.parcel.definition, activate=True)
    found = await node.store.definitions.get("default", "parcel", shop.parcel.definition.version)
    assert found is not None
    await node.store.definitions.put(found, activate=True)
    plan = await node.definitions.register(shop.order().definition)
    assert ([*plan.holds], "held_saga" in plan.features) == (["parcel"], True)
