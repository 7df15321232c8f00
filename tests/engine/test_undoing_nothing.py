"""A step that has nothing to undo needs no run, no lease and no append of its own on the way back."""

from __future__ import annotations

import asyncio
from typing import Any

from goconductor import RefusedError, Saga
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import PauseRequested, ResumeRequested
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Unruly


def shop() -> tuple[StepRegistry, asyncio.Event, list[str]]:
    """A step that can be undone, one that need not be, and one that is refused; what ran, and when the last may end."""
    registry = StepRegistry("shop")
    ran: list[str] = []
    gate = asyncio.Event()

    @registry.step
    async def reserve() -> None:
        ran.append("reserve")

    @reserve.compensation
    async def release() -> None:
        ran.append("release")

    @registry.step
    async def look() -> None:
        ran.append("look")

    @registry.step
    async def refuse() -> None:
        ran.append("refuse")
        await gate.wait()
        raise RefusedError("no truck")

    return registry, gate, ran


def in_turn(*targets: str) -> Saga[Any]:
    saga: Saga[Any] = Saga("in-turn")
    before: list[Any] = []
    for target in targets:
        before = [saga.step(target, after=before)]
    return saga


async def test_it_is_compensated_in_the_append_of_the_failure(world: World) -> None:
    registry, gate, ran = shop()
    gate.set()
    bus = Unruly(world)
    node = await world.node(registry, bus=bus)
    saga_id = await world.start(in_turn("shop.reserve", "shop.look", "shop.refuse"))
    assert (await world.end_of(saga_id)).status == "compensated"
    assert ran == ["reserve", "look", "refuse", "release"]
    assert await world.events(saga_id) == [
        "SagaStarted",
        "ActionSucceeded reserve",
        "ActionSucceeded look",
        "ActionFailed refuse",
        "CompensationSucceeded refuse",
        "CompensationSucceeded look",
        "CompensationSucceeded reserve",
    ]
    assert (node.counts["appends"], node.counts["steps_run"]) == (4, 4)
    assert bus.kept == []


async def test_a_saga_that_has_nothing_else_ends_with_the_failure(world: World) -> None:
    registry, gate, ran = shop()
    gate.set()
    node = await world.node(registry)
    saga_id = await world.start(in_turn("shop.look", "shop.refuse"))
    assert (await world.end_of(saga_id)).status == "compensated"
    assert ran == ["look", "refuse"]
    assert node.counts["appends"] == 2


async def test_what_another_service_owns_is_for_it_to_say(world: World) -> None:
    registry, gate, ran = shop()
    gate.set()
    node = await world.node(registry)
    bank = StepRegistry("bank")

    @bank.step
    async def charge() -> None:
        ran.append("charge")

    @charge.compensation
    async def refund() -> None:
        ran.append("refund")

    other = await world.node(bank)
    saga_id = await world.start(in_turn("shop.reserve", "bank.charge", "shop.refuse"), node=node)
    assert (await world.end_of(saga_id)).status == "compensated"
    assert ran == ["reserve", "charge", "refuse", "refund", "release"]
    assert other.counts["steps_run"] == 2


async def test_while_it_is_paused_nothing_is_compensated_not_even_that(world: World) -> None:
    registry, gate, ran = shop()
    node = await world.node(registry)
    saga_id = await world.start(in_turn("shop.reserve", "shop.refuse"))
    await settle()
    await node.request(saga_id, PauseRequested(reason="lunch"))
    gate.set()
    await world.live(60)
    assert (await world.events(saga_id))[-1] == "ActionFailed refuse"
    await node.request(saga_id, ResumeRequested())
    assert (await world.end_of(saga_id)).status == "compensated"
    assert (await world.events(saga_id))[-3:] == [
        "ResumeRequested",
        "CompensationSucceeded refuse",
        "CompensationSucceeded reserve",
    ]
    assert ran == ["reserve", "refuse", "release"]


async def test_a_compensation_that_the_definition_knows_of_is_left_to_who_takes_its_lease(world: World) -> None:
    newer = StepRegistry("shop")

    @newer.step
    async def look() -> None: ...

    @look.compensation
    async def look_away() -> None: ...

    saga: Saga[Any] = Saga("in-turn")
    saga.step("shop.refuse", after=[saga.step(look)])
    registry, gate, ran = shop()  # this instance is an older one, whose step has no compensation
    gate.set()
    node = await world.node(registry)
    saga_id = await world.start(saga)
    assert (await world.end_of(saga_id)).status == "compensated"
    assert ran == ["look", "refuse"]
    assert (node.counts["appends"], node.counts["steps_run"]) == (3, 3)
