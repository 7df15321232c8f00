"""Sub-sagas while their parents are paused, declared about, retried or terminated, and while processes leave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import Saga
from goconductor.engine import children
from goconductor.engine.children import Children
from goconductor.errors import RequestRefusedError, StoreUnavailableError
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    OutcomeDeclared,
    PauseRequested,
    ResumeRequested,
    RetryRequested,
    SignalReceived,
    SkipRequested,
)
from goconductor.lifecycle.facts.status import CompensationStatus, SagaStatus
from goconductor.ports.store import Outcome, Start
from goconductor.testing.world import World
from tests.engine.test_children import Shop, child_of, order_of, sold_first

HOUR_SECONDS = 3600.0
APPROVED = SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes")


async def test_a_process_leaves_also_where_the_store_is_away_and_the_sweep_tells_what_it_could_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "LAST_WORDS_SECONDS", 0.0)
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"}, node=node)
    await world.live(1.0)
    child = await child_of(node, await world.state(saga_id))
    append = node.store.log.append
    appended: list[object] = []

    async def once(*given: Any) -> Any:
        if appended:
            raise StoreUnavailableError("away")
        appended.append(given)
        return await append(*given)

    with monkeypatch.context() as away:
        away.setattr(node.store.log, "append", once)
        await node.request(child.saga_id, APPROVED)
        leaving = asyncio.create_task(world.leave(node))
        while not leaving.done():
            await world.clock.advance(1.0)
        await leaving
    await world.node(shop.steps)
    assert (await world.state(child.saga_id)).status is SagaStatus.COMPLETED
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_nothing_is_declared_of_a_child_that_is_asked_to_turn_back_but_it_can_be_left_by_force(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    await node.request(saga_id, AbortRequested())  # the child is told so later
    assert (await world.state(saga_id)).step("parcel").compensation.status is CompensationStatus.SETTLING
    with pytest.raises(RequestRefusedError, match="see to that one"):
        await node.request(saga_id, OutcomeDeclared("parcel", happened=True, reason="I believe so"))
    with pytest.raises(RequestRefusedError, match="see to that one, or skip the step by force"):
        await node.request(saga_id, SkipRequested("parcel", reason="nobody wants it"))
    await node.request(saga_id, SkipRequested("parcel", reason="nobody wants it", forced=True))
    state = await world.end_of(saga_id)
    assert (state.status, state.late_effects) == (SagaStatus.COMPENSATED, True)


async def test_a_paused_saga_starts_no_child_and_begins_when_it_is_resumed(world: World) -> None:
    shop = Shop()
    shop.pack_fails = True
    node = await world.node(shop.steps)
    saga_id = await world.start(sold_first(shop.parcel), {"name": "lamp"})
    assert (await world.end_of(saga_id)).stuck_steps == ["parcel"]
    shop.pack_fails = False
    await node.request(saga_id, PauseRequested(reason="hold everything"))
    await node.request(saga_id, RetryRequested("parcel"))
    await world.live(HOUR_SECONDS)
    assert shop.packed == []
    await node.request(saga_id, ResumeRequested())
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED
    assert shop.packed == ["lamp"]


async def test_a_child_that_runs_for_long_is_looked_at_ever_more_seldom_and_never_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    starts: list[Start] = []
    looks: list[bool] = []
    start, see_to = world.store.starts.start, Children.see_to

    async def counted(some: list[Start]) -> list[Outcome]:
        starts.extend(some)
        return await start(some)

    def looked(self: Children, *given: Any, again: bool = False) -> None:
        looks.append(again)
        see_to(self, *given, again=again)

    monkeypatch.setattr(world.store.starts, "start", counted)
    monkeypatch.setattr(Children, "see_to", looked)
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(6 * HOUR_SECONDS)
    assert len(starts) == 2  # the parent, and its child
    assert looks.count(False) == 1
    assert 3 < looks.count(True) < 20
    child = await child_of(node, await world.state(saga_id))
    await node.request(child.saga_id, APPROVED)
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_a_child_that_turned_back_and_was_paused_goes_on_when_its_parent_turns_back(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    parcel: Saga[Any, Any] = Saga("parcel")
    first = parcel.step("shop.pack", id="first", inputs={"name": "lamp"})
    second = parcel.step("shop.pack", id="second", inputs={"name": "bulb"}, after=[first])
    parcel.approval("Ship it?", after=[second])
    saga_id = await world.start(order_of(parcel), {"name": "lamp"})
    await world.live(1.0)
    child = await child_of(node, await world.state(saga_id))
    shop.unpack_held = True
    await node.request(child.saga_id, AbortRequested())
    await world.live(1.0)
    await node.request(child.saga_id, PauseRequested())
    shop.unpack_held = False
    await world.live(HOUR_SECONDS)
    assert (await world.state(child.saga_id)).status is SagaStatus.PAUSED
    assert shop.unpacked == []
    await node.request(saga_id, AbortRequested())
    state = await world.end_of(saga_id)
    assert (state.status, shop.unpacked, shop.returned) == (SagaStatus.COMPENSATED, ["bulb", "lamp"], [])
