"""Listeners hear of everything, and can change nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from uuid import UUID

import pytest

from goconductor import Listener, PermanentError, RefusedError, Saga, StepContext
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.world import World


class Diary(Listener):
    def __init__(self, steps: frozenset[str] | None = None) -> None:
        self.steps = steps
        self.lines: list[str] = []

    def before_step(self, context: StepContext) -> None:
        self.lines.append(f"before {context.direction} {context.step}")

    async def after_step(self, context: StepContext, output: Any) -> None:
        await asyncio.sleep(0)
        self.lines.append(f"after {context.direction} {context.step}: {output}")

    def on_error(self, context: StepContext, error: BaseException) -> None:
        self.lines.append(f"error {context.direction} {context.step}: {error}")

    async def saga_started(self, saga_id: UUID, saga: str) -> None:
        self.lines.append(f"started {saga}")

    def saga_ended(self, saga_id: UUID, status: SagaStatus) -> None:
        self.lines.append(f"ended {status}")


class Raising(Listener):
    """It raises in everything, whatever it is."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def before_step(self, context: StepContext) -> None:
        raise self.error

    async def after_step(self, context: StepContext, output: Any) -> None:
        raise self.error

    on_error = saga_started = saga_ended = after_step  # type: ignore[assignment]


def registry() -> tuple[StepRegistry, Saga[Any]]:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> str:
        return "packed"

    @pack.compensation
    async def unpack() -> None: ...

    @shop.step
    async def ship() -> None:
        raise RefusedError("no")

    saga: Saga[Any] = Saga("order")
    saga.step(ship, id="last", after=[saga.step(pack)])
    return shop, saga


async def test_a_listener_hears_of_each_side_of_each_step_and_of_sagas(world: World) -> None:
    shop, saga = registry()
    diary = Diary()
    shop.listen(diary)
    await world.node(shop)
    await world.end_of(await world.start(saga))
    assert sorted(diary.lines[:2]) == ["before action pack", "started order"]
    assert diary.lines[2:] == [
        "after action pack: packed",
        "before action last",
        "error action last: no",
        "before compensation pack",
        "after compensation pack: None",
        "ended compensated",
    ]


async def test_a_listener_hears_nothing_of_a_compensation_without_code(world: World) -> None:
    shop, diary = StepRegistry("shop"), Diary()

    @shop.step
    async def weigh() -> None: ...

    @shop.step
    async def ship() -> None:
        raise RefusedError("no")

    saga: Saga[Any] = Saga("order")
    saga.step(ship, after=[saga.step("shop.weigh", compensation=True)])  # newer code has one
    shop.listen(diary)
    await world.node(shop)
    saga_id = await world.start(saga)
    await world.end_of(saga_id)
    assert "CompensationSucceeded weigh" in await world.events(saga_id)
    assert [line for line in diary.lines if "compensation" in line] == []


async def test_a_listener_of_some_steps_hears_of_no_other(world: World) -> None:
    shop, saga = registry()
    diary, other = Diary(frozenset({"pack"})), Diary(frozenset({"ship"}))
    shop.listen(diary)
    shop.listen(other)
    await world.node(shop)
    await world.end_of(await world.start(saga))
    assert [line for line in diary.lines if "last" in line] == []
    assert [line for line in other.lines if "pack" in line] == []
    assert "error action last: no" in other.lines


@pytest.mark.parametrize(
    "error", [ValueError("loud"), PermanentError("loud"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr
)
async def test_a_listener_that_raises_changes_nothing(world: World, error: BaseException) -> None:
    shop, saga = registry()
    diary = Diary()
    shop.listen(Raising(error))
    shop.listen(diary)
    await world.node(shop)
    assert (await world.end_of(await world.start(saga))).status == "compensated"
    assert diary.lines[-1] == "ended compensated"


async def test_listeners_take_nothing_from_a_steps_time(world: World) -> None:
    class Slow(Listener):
        async def before_step(self, context: StepContext) -> None:
            await world.clock.advance(1.0)

    shop = StepRegistry("shop")
    left: list[float] = []

    @shop.step(timeout=20)
    async def pack(context: StepContext) -> None:
        left.append(context.seconds_left)

    shop.listen(Slow())
    node = await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    for _ in range(20):
        await world.end_of(await world.start(saga))
    assert left == [20.0] * 20
    assert len(node._executor._performer._deadlines._queues) == 1


async def test_a_refusal_is_no_warning_unless_somebody_has_to_do_something(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None: ...

    @pack.compensation
    async def unpack() -> None:
        raise RefusedError("glued")

    @shop.step
    async def ship() -> None:
        raise RefusedError("no truck")

    await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step(ship, after=[saga.step(pack)])
    with caplog.at_level(logging.INFO, "goconductor.step"):
        assert (await world.end_of(await world.start(saga))).status == "stuck"
    said = {record.getMessage(): record.levelname for record in caplog.records if record.name.startswith("goconductor.step")}
    assert said == {
        "the action of step 'ship' raised RefusedError: no truck": "INFO",
        "the compensation of step 'pack' raised RefusedError: glued": "WARNING",
    }
