"""Near timers are kept in memory, at most so many; the sweep has the others. Nothing is kept of a saga that only waits."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Saga, StepContext, TemporaryError
from goconductor.engine.log import timers
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import StoreUnavailableError
from goconductor.testing.clock import ManualClock
from goconductor.testing.world import World


def failing(world: World, delays: dict[str, float], tried_at: dict[str, float]) -> StepRegistry:
    """A step whose first attempt fails; it notes when its second one began."""
    shop = StepRegistry("shop", concurrency=100)

    @shop.step
    async def pack(which: str, context: StepContext) -> None:
        if context.attempt == 1:
            raise TemporaryError(delay_seconds=delays[which])
        tried_at[which] = world.clock.now()

    return shop


def one(which: str) -> Saga[Any]:
    saga: Saga[Any] = Saga(f"one-{which}")
    saga.step("shop.pack", inputs={"which": which})
    return saga


async def waits(world: World, node: Node, count: int) -> None:
    """Live on until so many first attempts have failed."""
    while node.counts["steps_run"] < count or node.metrics()["steps_running"]:
        await world.clock.advance(0)
    for _ in range(20):
        await world.clock.advance(0)


async def test_timers_fire_in_the_order_of_their_moments_however_they_were_set(world: World) -> None:
    delays = {"late": 50.0, "soon": 2.0, "between": 20.0, "soonest": 1.0}
    tried_at: dict[str, float] = {}
    node = await world.node(failing(world, delays, tried_at))  # a sweep would be later
    began = world.clock.now()
    for which in delays:
        await world.start(one(which))
    await waits(world, node, len(delays))
    assert len(node._timers._near) == len(delays)
    assert len(node._timers._running) == 1
    await world.live(51)
    assert {which: at - began for which, at in tried_at.items()} == pytest.approx(delays, abs=0.3)
    assert list(tried_at) == sorted(delays, key=lambda which: delays[which])


async def test_timers_beyond_the_number_that_is_kept_are_the_sweeps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "NEAR_MAX", 3)
    monkeypatch.setattr(timers, "VIEWS_MAX", 1)
    delays = {str(number): 5.0 for number in range(12)}
    tried_at: dict[str, float] = {}
    await world.node()  # it leads
    node = await world.node(failing(world, delays, tried_at))
    began = world.clock.now()
    for which in delays:
        await world.start(one(which))
    await waits(world, node, len(delays))
    assert [view is None for *_, view, _ in node._timers._near] == [False, True, True]
    await world.live(8)
    assert set(tried_at) == set(delays)
    assert all(5.0 <= at - began < 7.5 for at in tried_at.values())


async def test_a_timer_that_goes_soon_is_kept_beyond_that_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "NEAR_MAX", 2)
    monkeypatch.setattr(timers, "VIEWS_MAX", 0)
    delays = {"far": 50.0, "farther": 55.0, "soon": 0.5, "late": 40.0, "also_soon": 0.5}
    tried_at: dict[str, float] = {}
    node = await world.node(failing(world, delays, tried_at))
    began = world.clock.now()
    for number, which in enumerate(delays, 1):
        await world.start(one(which))
        await waits(world, node, number)
    assert len(node._timers._near) == 4
    await world.live(0.6)
    assert {which: at - began for which, at in tried_at.items()} == pytest.approx({"soon": 0.5, "also_soon": 0.5}, abs=0.3)


async def test_no_view_is_kept_of_a_saga_that_only_waits(world: World) -> None:
    tried_at: dict[str, float] = {}
    node = await world.node(failing(world, {"a": 5.0, "b": 30.0}, tried_at))
    both: Saga[Any] = Saga("both")
    both.step("shop.pack", id="a", inputs={"which": "a"})
    both.step("elsewhere.ship")
    waiting, working = await world.start(one("b")), await world.start(both)
    await waits(world, node, 2)
    assert node.appender.latest(waiting) is None
    assert node.appender.latest(working) is not None  # a step of it is under way, and its outcome will be appended
    await world.live(31)
    assert set(tried_at) == {"a", "b"}
    assert (await world.end_of(waiting)).status == "completed"


class Ahead(ManualClock):
    """The world's clock, seen by a process whose idea of the database's time is some seconds ahead."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds = clock, seconds

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> float:
        return self._clock.now() + self._seconds

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


async def test_a_timer_that_is_early_while_the_store_goes_away_is_the_sweeps(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def away() -> float:
        raise StoreUnavailableError("the connection broke")

    tried_at: dict[str, float] = {}
    node = await world.node(failing(world, {"soon": 10.0}, tried_at), clock=Ahead(world.clock, 5.0))
    monkeypatch.setattr(world.store.terms, "database_time", away)
    saga_id = await world.start(one("soon"))
    await waits(world, node, 1)
    await world.clock.advance(11.0)  # it is due by the process's clock, and not by the database's
    assert len(node._timers._near) == len(node._timers._running) == 0
    monkeypatch.undo()
    assert (await world.end_of(saga_id)).status == "completed"
    assert not [record for record in caplog.records if record.exc_info]
