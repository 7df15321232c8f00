"""A saga that is paused with its children: they pause and resume with it, whoever dies in between."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor import Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.queries import saga_status
from goconductor.control.sagas.requests import ask
from goconductor.control.sagas.story import saga_story
from goconductor.engine.children import Children
from goconductor.engine.node import Node
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    PauseRequested,
    ResumeRequested,
    SignalReceived,
    TerminationRequested,
)
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import PausedWith, SagaStatus
from goconductor.saga.features import PAUSE_OF_CHILDREN
from goconductor.testing.world import World
from tests.engine.test_children import Shop, child_of, order_of

ALL = PauseRequested(children=True, reason="stocktaking")


async def begun(world: World, node: Node, shop: Shop) -> tuple[UUID, UUID]:
    """An order whose parcel waits for an approval."""
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(1.0)
    return saga_id, (await child_of(node, await world.state(saga_id))).saga_id


async def approve(node: Node, child: UUID) -> None:
    await node.request(child, SignalReceived(name="approval", id="1", approves="approval", by="me", reason="yes"))


async def pauses(world: World, *sagas: UUID) -> list[tuple[SagaStatus, PausedWith]]:
    states: list[SagaState] = [await world.state(each) for each in sagas]
    return [(state.status, state.paused_with) for state in states]


PAUSED = [(SagaStatus.PAUSED, PausedWith.CHILDREN), (SagaStatus.PAUSED, PausedWith.PARENT)]
ON = [(SagaStatus.QUEUED, PausedWith.ITSELF), (SagaStatus.WAITING, PausedWith.ITSELF)]


async def test_its_children_pause_and_resume_with_it(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(0.1)
    assert await pauses(world, saga_id, child) == PAUSED
    assert (await world.state(child)).features.count(PAUSE_OF_CHILDREN) == 1
    with pytest.raises(RequestRefusedError, match=f"is paused with saga {saga_id}, whose step 'parcel'"):
        await ask(ANYBODY, node, child, ResumeRequested())
    await world.live(4000.0)
    assert await pauses(world, saga_id, child) == PAUSED
    await ask(ANYBODY, node, saga_id, ResumeRequested())
    await world.live(0.1)
    assert await pauses(world, saga_id, child) == ON
    assert PAUSE_OF_CHILDREN not in (await world.state(child)).features
    lines = [line.text for line in (await saga_story(ANYBODY, node, child)).lines]
    assert f"The saga was paused with the one whose step has started it: step 'parcel' of saga {saga_id}." in lines
    await approve(node, child)
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_whoever_is_asked_twice_in_a_moment_does_what_was_asked_last(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await ask(ANYBODY, node, saga_id, ALL)
    await ask(ANYBODY, node, saga_id, ResumeRequested())  # while the child is still being asked to pause
    await world.live(0.5)
    assert await pauses(world, saga_id, child) == ON
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(0.5)
    await ask(ANYBODY, node, saga_id, ResumeRequested())
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(0.5)
    assert await pauses(world, saga_id, child) == PAUSED


async def test_a_pause_alone_leaves_its_children_at_work(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await ask(ANYBODY, node, saga_id, PauseRequested())
    await world.live(120.0)
    assert await pauses(world, saga_id, child) == [(SagaStatus.PAUSED, PausedWith.ITSELF), ON[1]]


async def test_whoever_was_to_pause_or_resume_them_may_die(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await world.live(86_400.0)  # so that the leader looks once an hour
    see_to = Children.see_to

    def by_the_sweep_only(self: Children, *given: Any, again: bool = False) -> None:
        if again:
            see_to(self, *given, again=True)

    monkeypatch.setattr(Children, "see_to", by_the_sweep_only)
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(120.0)
    assert await pauses(world, saga_id, child) == PAUSED
    await ask(ANYBODY, node, saga_id, ResumeRequested())
    await world.live(120.0)
    assert await pauses(world, saga_id, child) == ON


async def test_a_child_that_starts_late_is_paused_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    late: list[Any] = []
    see_to = Children.see_to
    monkeypatch.setattr(Children, "see_to", lambda _, *given, again=False: late.append(given))
    saga_id = await world.start(order_of(shop.approved), {"name": "lamp"})
    await world.live(0.1)
    monkeypatch.setattr(Children, "see_to", see_to)
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(0.1)
    node.children.see_to(*late[0])  # by a process that has not heard of the pause
    await world.live(120.0)
    child = (await child_of(node, await world.state(saga_id))).saga_id
    assert await pauses(world, saga_id, child) == PAUSED


async def test_they_go_on_where_it_ends_without_them(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(0.1)
    await ask(ANYBODY, node, saga_id, TerminationRequested(reason="enough", forced=True))
    await world.live(120.0)
    assert await pauses(world, child) == ON[1:]


@pytest.mark.parametrize("request_", [AbortRequested(), TerminationRequested(reason="enough")], ids=["abort", "terminate"])
async def test_what_lifts_its_pause_reaches_them(world: World, request_: AbortRequested | TerminationRequested) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(0.1)
    await ask(ANYBODY, node, saga_id, request_)
    ends = SagaStatus.COMPENSATED if isinstance(request_, AbortRequested) else SagaStatus.TERMINATED
    assert (await world.end_of(saga_id)).status is ends
    assert await pauses(world, child) == [(ends, PausedWith.ITSELF)]


async def test_an_operators_own_pause_of_a_child_stays(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    saga_id, child = await begun(world, node, shop)
    await ask(ANYBODY, node, child, PauseRequested())
    await ask(ANYBODY, node, saga_id, ALL)
    await world.live(60.0)
    await ask(ANYBODY, node, saga_id, ResumeRequested())
    await world.live(4000.0)
    assert await pauses(world, child) == [(SagaStatus.PAUSED, PausedWith.ITSELF)]
    await ask(ANYBODY, node, child, ResumeRequested())
    assert await pauses(world, child) == ON[1:]


async def test_it_reaches_the_children_of_children(world: World) -> None:
    shop = Shop()
    node = await world.node(shop.steps)
    middle: Saga[Any, Any] = Saga("middle")
    middle.saga(shop.approved, inputs={"name": middle.input.name})
    top: Saga[Any, Any] = Saga("top")
    top.saga(middle, inputs={"name": top.input.name})
    top_id = await world.start(top, {"name": "lamp"})
    await world.live(1.0)

    async def below(saga_id: UUID) -> UUID:
        (found,) = [step.started for step in (await saga_status(ANYBODY, node, saga_id)).steps]
        assert found is not None
        return found

    middle_id = await below(top_id)
    leaf_id = await below(middle_id)
    await ask(ANYBODY, node, top_id, ALL)
    await world.live(0.5)
    assert await pauses(world, top_id, middle_id, leaf_id) == [*PAUSED, PAUSED[1]]
    await ask(ANYBODY, node, top_id, ResumeRequested())
    await world.live(0.5)
    assert await pauses(world, top_id, middle_id, leaf_id) == [ON[0], *ON]
    await approve(node, leaf_id)
    assert (await world.end_of(top_id)).status is SagaStatus.COMPLETED
