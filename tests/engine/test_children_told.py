"""What a parent learns of the end of its sub-sagas: soon, whoever dies; once, whoever asks again; and all that may stand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from goconductor import Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.engine.children import Children
from goconductor.engine.facts.definitions import Definitions
from goconductor.engine.facts.log import View
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    OutcomeDeclared,
    RetryRequested,
    SignalReceived,
    SkipRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import StoredDefinition
from goconductor.saga.plan import Plan
from goconductor.testing.world import World
from tests.engine.test_children import ONCE, Shop, child_of, order_of, sold_first
from tests.recovery.passing import cut_off

HOUR_SECONDS = 3600.0
APPROVED = SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes")


class Slow(Shop):
    """A shop that packs for as long as a test wants, and an end by force finds it at work."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

        @self.steps.step(retry=ONCE)
        async def pack_slowly(name: str) -> str:
            await self.goes_on.wait()
            return f"box of {name}"

    @property
    def parcel(self) -> Saga[Any, Any]:
        parcel: Saga[Any, Any] = Saga("parcel")
        return parcel.returns(parcel.step("shop.pack_slowly", inputs={"name": parcel.input.name}).output)


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.goes_on.set()


async def waiting_for_hours(world: World, shop: Shop, node: Node) -> tuple[Any, Any]:
    """Return a parent, and its child that waits for an approval since many hours: nobody looks at the parent soon."""
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"}, node=node)
    await world.live(6 * HOUR_SECONDS)
    return saga_id, (await child_of(node, await world.state(saga_id))).saga_id


@pytest.mark.parametrize("ends", [APPROVED, TerminationRequested(reason="by hand"), AbortRequested()])
async def test_an_end_that_a_process_did_not_tell_is_told_when_it_is_buried(
    world: World, monkeypatch: pytest.MonkeyPatch, ends: Any
) -> None:
    shop = Shop()
    client = await world.node()
    node = await world.node(shop.steps)
    saga_id, child_id = await waiting_for_hours(world, shop, client)
    has_ended = Children.has_ended
    dying = node.children

    def all_but_the_dying(self: Children, plan: Plan, view: View) -> None:
        if self is not dying:
            has_ended(self, plan, view)

    monkeypatch.setattr(Children, "has_ended", all_but_the_dying)
    await node.request(child_id, ends)
    while not (await world.state(child_id)).phase.ended:
        await world.clock.advance(0.01)
    await cut_off(world, node)
    await world.node(shop.steps)
    began = world.clock.now()
    assert (await world.end_of(saga_id)).phase.ended
    assert world.clock.now() - began < 20.0


async def test_who_has_told_an_end_lets_the_child_rest(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.parcel), {"name": "lamp"})
    state = await world.end_of(saga_id)
    await world.live(0.1)
    head = await world.store.sagas.head((await child_of(node, state)).saga_id)
    assert head is not None
    assert (head.status, head.wake_at) == ("completed", None)


async def test_the_end_of_a_child_whose_parent_is_gone_is_told_to_nobody(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child_id = await waiting_for_hours(world, shop, node)
    await node.request(saga_id, TerminationRequested(reason="over", forced=True))
    del world.store.data.heads[saga_id], world.store.data.logs[saga_id]
    await node.request(child_id, APPROVED)
    await world.live(60.0)
    head = await world.store.sagas.head(child_id)
    assert head is not None
    assert (head.status, head.wake_at) == ("completed", None)


async def test_a_retry_after_an_output_that_was_refused_starts_no_second_child(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps, payload_bytes_max=200)
    parcel: Saga[Any, Any] = Saga("parcel")
    packed = parcel.step("shop.pack", inputs={"name": parcel.input.name})
    parcel.step("shop.pack", id="wrap", inputs={"name": packed.output}, after=[packed])  # both outputs together are too large
    saga_id = await world.start(sold_first(parcel), {"name": "x" * 90})
    assert (await world.end_of(saga_id)).stuck_steps == ["parcel"]
    for _ in range(2):
        await node.request(saga_id, RetryRequested("parcel"))
        state = await world.end_of(saga_id)
        assert state.stuck_steps == ["parcel"]
        assert "declare that it happened" in str(state.step("parcel").failure)
    assert len(shop.packed) == 2
    first = await child_of(node, state)
    (shown,) = (each for each in (await queries.saga_status(ANYBODY, node, saga_id)).steps if each.id == "parcel")
    assert (state.step("parcel").action.attempt, shown.started) == (3, first.saga_id)
    await node.request(saga_id, OutcomeDeclared("parcel", happened=True, output="two boxes", reason="I looked"))
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_a_retry_of_an_output_that_was_refused_takes_it_where_there_is_room_now(world: World) -> None:
    shop = Shop()
    tight = await world.node(shop.steps, payload_bytes_max=100)
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.step("shop.pack", inputs={"name": parcel.input.name})
    parcel.step("shop.pack", id="another", inputs={"name": parcel.input.name})
    saga_id = await world.start(sold_first(parcel), {"name": "x" * 50})
    assert (await world.end_of(saga_id)).stuck_steps == ["parcel"]
    await world.leave(tight)
    roomy = await world.node(shop.steps)
    await roomy.request(saga_id, RetryRequested("parcel"))
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED
    assert len(shop.packed) == 2


async def test_late_effects_of_a_child_that_was_ended_by_force_reach_its_parent(world: World, slow: Slow) -> None:
    node = await world.node(slow.steps)
    saga_id = await world.start(order_of(slow.parcel), {"name": "lamp"})
    await world.live(1.0)
    child_id = (await child_of(node, await world.state(saga_id))).saga_id
    await node.request(child_id, TerminationRequested(reason="by hand", forced=True))
    slow.goes_on.set()
    state = await world.end_of(saga_id)
    child = await world.state(child_id)
    assert (state.status, child.status) == (SagaStatus.COMPENSATED, SagaStatus.TERMINATED)
    assert (state.late_effects, child.late_effects) == (True, True)
    assert slow.returned == [None]


@pytest.mark.parametrize("asks", ["abort", "terminate", "skip"])
async def test_late_effects_of_a_child_reach_a_parent_that_is_settling_it(world: World, slow: Slow, asks: str) -> None:
    node = await world.node(slow.steps)
    order = sold_first(slow.parcel) if asks == "skip" else order_of(slow.parcel)
    saga_id = await world.start(order, {"name": "lamp"})
    await world.live(1.0)
    child_id = (await child_of(node, await world.state(saga_id))).saga_id
    if asks == "skip":
        await node.request(saga_id, SkipRequested("parcel", reason="no"))
    elif asks == "abort":
        await node.request(saga_id, AbortRequested())
    else:
        await node.request(saga_id, TerminationRequested(reason="over"))
    await world.live(1.0)
    if asks != "terminate":
        await node.request(child_id, TerminationRequested(reason="by hand", forced=True))
    await world.live(60.0)
    assert (await world.state(saga_id)).late_effects
    if asks == "skip":
        await node.request(saga_id, OutcomeDeclared("parcel", happened=False, reason="I looked"))
        assert (await world.end_of(saga_id)).late_effects
    slow.goes_on.set()


async def test_a_version_is_not_active_before_all_know_what_its_children_use(world: World) -> None:
    node = await world.node()
    below: Saga[Any, Any] = Saga("parcel")
    below.delay(1.0)
    middle: Saga[Any, Any] = Saga("crate")
    middle.saga("parcel", undo=Undo("shop.take_back"))
    above: Saga[Any, Any] = Saga("order")
    above.saga("crate", undo=Undo("shop.take_back"))
    old = await world.store.instances.register("old", "old-1", {}, features=["saga", "declared_undo"])
    definitions: Definitions = node.definitions
    for saga in (below, middle):
        plan = await definitions.register(saga.definition, activate=False)
        found = await world.store.definitions.get("default", plan.name, plan.version)
        assert found is not None
        await world.store.definitions.put(found, activate=True)
    stored: StoredDefinition | None = await world.store.definitions.get(
        "default", "order", (await definitions.register(above.definition, activate=False)).version
    )
    assert stored is not None
    assert stored.features == ("declared_undo", "delay", "saga")
    assert await definitions.unready(stored.features) == ["old-1"]
    await world.store.instances.unregister(old.serial)
    assert await definitions.unready(stored.features) == []
