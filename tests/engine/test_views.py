"""Views are kept by their bytes as well as by their number, and what is folded into one append is bounded likewise."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor import Saga, StepContext, TemporaryError
from goconductor.engine.facts.log import View
from goconductor.engine.facts.views import Views
from goconductor.engine.log import folding
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.ports.store import Append, Outcome
from goconductor.testing.world import World

MEGABYTE = 1_000_000


def view(number: int, size: int = 0, steps: int = 1) -> View:
    return View(SagaState(UUID(int=number), "v1", steps={str(n): StepState() for n in range(steps)}), 1, number, size)


def kept(views: Views, numbers: range) -> list[int]:
    return [number for number in numbers if views.get(UUID(int=number)) is not None]


def test_small_views_are_kept_by_their_number() -> None:
    views = Views(count_max=3, bytes_max=MEGABYTE)
    for number in range(5):
        views.keep(view(number))
    views.keep(view(2))
    views.keep(view(5))
    assert kept(views, range(6)) == [2, 4, 5]


def test_large_views_are_kept_by_their_bytes_and_the_newest_always() -> None:
    views = Views(count_max=1_000, bytes_max=10 * MEGABYTE)
    for number in range(100):
        views.keep(view(number, MEGABYTE))
        assert views.bytes <= 10 * MEGABYTE
    assert kept(views, range(100)) == list(range(91, 100))
    views.keep(view(100, 20 * MEGABYTE))
    assert kept(views, range(101)) == [100]
    views.keep(view(101, steps=100_000))
    assert kept(views, range(102)) == [101]
    views.keep(view(101))
    views.keep(view(102))
    assert kept(views, range(103)) == [101, 102]
    for number in (101, 102, 103):
        views.drop(UUID(int=number))
    assert (len(views), views.bytes) == (0, 0)


async def test_a_view_is_as_large_as_its_events_however_it_came_about(world: World) -> None:
    """By our own appends, by a message, and by reading the log."""
    shop, bank = StepRegistry("shop"), StepRegistry("bank")

    @shop.step
    async def pack(what: str) -> str:
        return what * 2

    @bank.step
    async def charge(what: str, context: StepContext) -> None:
        if context.attempt == 1:
            raise TemporaryError("again", delay_seconds=3600)

    saga: Saga[Any] = Saga("one")
    packed = saga.step(pack, inputs={"what": saga.input})
    saga.step(charge, inputs={"what": packed.output})
    client, *others = [await world.node(), await world.node(shop), await world.node(bank)]
    saga_id = await world.start(saga, "x" * 1000)
    await world.live(1)
    log = sum(len(entry.data) for entry in await world.store.sagas.history(saga_id))
    read = await client.view(saga_id)
    sizes = [read.bytes, *(seen.bytes for node in others if (seen := node.appender.latest(saga_id)) is not None)]
    assert len(sizes) > 1
    assert log > 3000
    assert all(0.5 * log < size < 2 * log for size in sizes), (log, sizes)


@pytest.fixture
def appended(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Append]:
    """All appends, as the store was asked."""
    asked: list[Append] = []
    append = world.store.log.append

    async def recorded(appends: list[Append]) -> list[Outcome]:
        asked.extend(appends)
        return await append(appends)

    monkeypatch.setattr(world.store.log, "append", recorded)
    return asked


async def test_large_outputs_of_one_saga_go_in_several_appends(
    world: World, appended: list[Append], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "FOLDED_BYTES_MAX", 40_000)
    shop = StepRegistry("shop", concurrency=100)

    @shop.step
    async def pack() -> str:
        return "x" * 10_000

    saga: Saga[Any] = Saga("wide")
    for number in range(40):
        saga.step(pack, id=f"s{number}")
    await world.node(shop)
    state = await world.end_of(await world.start(saga))
    assert state.status == "completed"
    sizes = [sum(len(entry.data) for entry in append.entries) for append in appended]
    assert max(sizes) < 60_000
    assert sum(sizes) > 400_000


async def test_timers_of_one_saga_that_are_due_are_a_few_appends(world: World, appended: list[Append]) -> None:
    """Their process has gone, so the sweep fires them; the world's own clock wakes sleepers one by one."""
    shop = StepRegistry("shop", concurrency=1000)

    @shop.step
    async def pack(context: StepContext) -> None:
        if context.attempt == 1:
            raise TemporaryError(delay_seconds=5)

    saga: Saga[Any] = Saga("wide")
    for number in range(300):
        saga.step(pack, id=f"s{number}")
    await world.node()
    first = await world.node(shop)
    saga_id = await world.start(saga)
    while (await world.events(saga_id)).count("ActionFailed s0") == 0 or len(await world.events(saga_id)) < 301:
        await world.clock.advance(0)
    await world.leave(first)
    await world.live(8)
    fired = [append for append in appended if any(entry.event == "TimerFired" for entry in append.entries)]
    assert sum(entry.event == "TimerFired" for append in fired for entry in append.entries) == 300
    assert len(fired) <= 6
    await world.node(shop)
    await world.live(30)
    assert (await world.end_of(saga_id)).status == "completed"


async def test_a_timer_that_is_not_yet_due_does_not_hold_up_one_that_is(world: World, appended: list[Append]) -> None:
    shop = StepRegistry("shop")
    delays = {"soon": 2.0, "late": 40.0}

    @shop.step
    async def pack(which: str, context: StepContext) -> float:
        if context.attempt == 1:
            raise TemporaryError(delay_seconds=delays[which])
        return world.clock.now()

    saga: Saga[Any] = Saga("two")
    for which in delays:
        saga.step(pack, id=which, inputs={"which": which})
    await world.node(shop)
    began = world.clock.now()
    saga_id = await world.start(saga)
    await world.live(60)
    state = await world.end_of(saga_id)
    ran = {which: state.step(which).output - began for which in delays}
    assert 2.0 <= ran["soon"] < 4.0
    assert 40.0 <= ran["late"] < 42.0
