"""A step's total timeout: no attempt begins after it, and the one that runs is cut short by it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import DefinitionError, Retry, Saga, StepContext
from goconductor.control.definitions.loading import read
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.plan import Plan
from goconductor.testing.world import World


def saga_of(total: float | str | None, *, retry: Retry | None = None, **options: Any) -> Saga[Any]:
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack", total_timeout=total, retry=retry, **options)
    return saga


async def test_no_attempt_begins_after_it(world: World) -> None:
    shop = StepRegistry("shop")
    began = world.clock.now()
    at: list[float] = []

    @shop.step
    async def pack() -> None:
        at.append(world.clock.now() - began)
        raise ConnectionError("away")

    await world.node(shop)
    saga_id = await world.start(saga_of("25s", retry=Retry(attempts_max=None, initial_seconds=10, factor=1, jitter=0)))
    await world.clock.advance(20)
    state = await world.end_of(saga_id)
    assert at == [0, pytest.approx(10), pytest.approx(20)]
    assert state.status == "compensated"
    assert state.reason == "step 'pack': ConnectionError: away; its total timeout of 25 s leaves no time for another attempt"


async def test_an_attempt_is_cut_short_by_it(world: World) -> None:
    shop = StepRegistry("shop")
    left: list[float] = []

    @shop.step(timeout="1h")
    async def pack(ctx: StepContext) -> None:
        left.append(ctx.seconds_left)
        await asyncio.Event().wait()

    await world.node(shop)
    state = await world.end_of(await world.start(saga_of(0.05)))
    assert left[0] <= 0.05
    assert state.reason.startswith(
        "step 'pack': TimeoutError: the action took longer than what was left of its total timeout of 0.05 s; "
        "give step 'shop.pack' a longer one, or find what it waits for; "
    )


async def test_a_step_whose_time_is_over_before_somebody_takes_it_is_not_called(world: World) -> None:
    """Its participant was away for too long."""
    await world.node()  # it starts the saga, and has none of its code
    saga_id = await world.start(saga_of(30))
    await world.clock.advance(31)
    shop = StepRegistry("shop")
    calls = []

    @shop.step
    async def pack() -> None:
        calls.append(1)

    await world.node(shop)
    state = await world.end_of(saga_id)
    assert (state.status, calls) == ("compensated", [])
    assert state.reason == "step 'pack': TimeoutError: its total timeout of 30 s was over before this attempt could begin"


async def test_a_compensation_has_the_time_of_its_own_policy(world: World) -> None:
    shop = StepRegistry("shop")
    undone = []

    @shop.step
    async def pack() -> None:
        raise ConnectionError("away")

    @pack.compensation
    async def unpack() -> None:
        undone.append(1)
        if len(undone) < 5:
            raise ConnectionError("away")

    await world.node(shop)
    saga: Saga[Any] = Saga("one")
    saga.step(pack, total_timeout=5, compensation_retry=Retry(attempts_max=9, initial_seconds=30), retry=Retry(attempts_max=1))
    state = await world.end_of(await world.start(saga))
    assert (state.status, len(undone)) == ("compensated", 5)


@pytest.mark.parametrize("total", [0.0, -1.0, float("inf"), float("nan")])
def test_it_is_above_zero_and_finite(total: float) -> None:
    with pytest.raises(ValueError, match="above zero and finite"):
        saga_of(total)


def test_only_code_has_one() -> None:
    with pytest.raises(DefinitionError, match=r"is a delay, which nobody runs, but has total_timeout_seconds; leave that out"):
        read({"name": "one", "steps": [{"id": "d", "delay": {"seconds": 1}, "total_timeout_seconds": 5}]})
    with pytest.raises(DefinitionError, match=r"a total timeout of 0 seconds; it must be above zero"):
        read({"name": "one", "steps": [{"id": "a", "run": "shop.pack", "total_timeout_seconds": 0}]})


def test_a_definition_with_one_is_one_that_older_code_does_not_know() -> None:
    assert Plan(saga_of("5m").definition).features == ("total_timeout",)
    assert Plan(saga_of(None).definition).features == ()
