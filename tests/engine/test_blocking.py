"""Code that blocks the event loop is found, and told once by the name of its step."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from goconductor import Saga
from goconductor.buses.memory import MemoryBus
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.blocking import BLOCKED_SECONDS, LoopWatch, no_step
from goconductor.stores.memory import MemoryStore
from goconductor.testing.clock import ManualClock


class Shop(NamedTuple):
    """A service on real time."""

    registry: StepRegistry
    node: Node
    run: Callable[[], Awaitable[None]]
    block: Callable[[], None]
    """Blocks until that was found."""


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    registry = StepRegistry("shop")
    node = Node(store=MemoryStore(), bus=MemoryBus(), registry=registry, lease_seconds=0.6)

    async def run() -> None:
        saga: Saga[Any] = Saga("one")
        saga.step(registry.steps["pack"])
        await node.definitions.register(saga.definition)
        started = await node.starting.start("one", None)
        await node.wait_for_end(started.saga_id, 300)

    def block() -> None:
        before = node.metrics()["loop_blocked"]
        while node.metrics()["loop_blocked"] == before:
            time.sleep(0.01)

    yield Shop(registry, node, run, block)
    await node.close()


class Standing(ManualClock):
    """A clock that goes on while the whole process stands still."""

    def skip(self, seconds: float) -> None:
        self._time += seconds


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for record in caplog.records if "blocks the event loop" in (text := record.getMessage())]


async def test_a_step_that_blocks_the_loop_is_told_once_and_counted_each_time(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    @shop.registry.step
    async def pack() -> None:
        shop.block()

    await shop.node.open()
    await shop.run()
    await shop.run()
    (line,) = lines(caplog)
    blocking_line = inspect.getsourcelines(pack.function)[1] + 2
    assert line.startswith("step 'shop.pack' blocks the event loop of this process, for ")
    assert f"at {__file__}:{blocking_line}: all else waits. Make the step a plain `def`" in line
    assert shop.node.metrics()["loop_blocked"] == 2


async def test_what_a_step_runs_beside_itself_is_told_by_its_place(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    async def beside() -> None:
        shop.block()

    @shop.registry.step
    async def pack() -> None:
        await asyncio.create_task(beside())

    await shop.node.open()
    await shop.run()
    (line,) = lines(caplog)
    assert line.startswith("code that is no step blocks the event loop")
    assert f"at {__file__}:" in line


async def test_a_loop_that_answers_and_a_process_that_stood_still_are_not_blocked() -> None:
    clock = Standing()
    watch = LoopWatch(no_step, clock)
    watch.start()
    for _ in range(5):
        watch.look()
        await asyncio.sleep(0)  # the loop answers
        await clock.advance(2 * BLOCKED_SECONDS)
    assert watch.blocked == 0
    watch.look()
    clock.skip(100 * BLOCKED_SECONDS)  # nobody ran, the thread that looks neither
    watch.look()
    await asyncio.sleep(0)
    assert watch.blocked == 0
    for _ in range(4):
        watch.look()
        clock.skip(BLOCKED_SECONDS)
    assert watch.blocked == 1
