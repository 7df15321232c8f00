"""Testing in memory: time jumps to what a saga waits for, and a saga that waits in vain says for what."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from goconductor import CompensatedError, PermanentError, Retry, Saga, StepContext, StuckError
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import PauseRequested
from goconductor.ports.store import Head
from goconductor.testing.world import StandsStillError, World, step_context

HOURLY = Retry(attempts_max=3, initial_seconds=3600.0, factor=1.0, max_seconds=3600.0, jitter=0.0)
WITHOUT_END = Retry(attempts_max=None, initial_seconds=3600.0, factor=1.0, max_seconds=3600.0, jitter=0.0)


def failing(times: int, retry: Retry = HOURLY) -> tuple[StepRegistry, Saga[Any], list[int]]:
    """A service whose only step fails so often, and its saga."""
    shop, attempts = StepRegistry("shop"), list[int]()

    @shop.step(retry=retry)
    async def pack(context: StepContext) -> str:
        attempts.append(context.attempt)
        if len(attempts) <= times:
            raise ValueError("not yet")
        return "packed"

    saga: Saga[Any] = Saga("order")
    saga.returns(saga.step(pack).output)
    return shop, saga, attempts


async def test_the_end_of_a_saga_that_waits_for_hours_is_there_at_once(world: World) -> None:
    shop, saga, attempts = failing(2)
    await world.node(shop)
    began = world.clock.now()
    state = await world.end_of(await world.start(saga))
    assert (state.status, attempts) == ("completed", [1, 2, 3])
    assert world.clock.now() - began == pytest.approx(7200, abs=2)  # the leader's sweep fires far timers, half a second late


async def test_a_conductor_in_memory_answers_as_a_real_one(world: World) -> None:
    shop, saga, _ = failing(2)
    conductor = await world.conductor(shop)
    assert await (await conductor.start(saga, None, key="k")).result() == "packed"
    again = await conductor.start(saga, None, key="k")
    assert again.existing
    assert await conductor.saga(again.saga_id).result() == "packed"


async def test_a_result_in_memory_raises_as_a_real_one(world: World) -> None:
    shop, saga, _ = failing(9)
    with pytest.raises(CompensatedError, match="ValueError: not yet"):
        await (await (await world.conductor(shop)).start(saga, None)).result()


async def test_a_stuck_saga_is_no_wait(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pay() -> None: ...

    @shop.step
    async def send() -> None:
        raise PermanentError("no such address")

    saga: Saga[Any] = Saga("order")
    saga.step(send, after=[saga.step(pay, pivot=True)])
    with pytest.raises(StuckError, match="no such address"):
        await (await (await world.conductor(shop)).start(saga, None)).result()


async def test_a_step_that_nobody_has_is_said_instead_of_waited_for(world: World) -> None:
    shop, _, _ = failing(0)
    await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step("shp.pack")
    with pytest.raises(StandsStillError, match=r"step 'pack' runs 'shp.pack', and no node of this world has it"):
        await world.end_of(await world.start(saga))


async def test_a_paused_saga_is_said_instead_of_waited_for(world: World) -> None:
    shop, saga, _ = failing(1)
    node = await world.node(shop)
    saga_id = await world.start(saga)
    await node.request(saga_id, PauseRequested(reason="to look at it"))
    with pytest.raises(StandsStillError, match=r"it is paused \(to look at it\); resume it"):
        await world.end_of(saga_id)


async def test_a_retry_without_end_is_waited_for_so_long_and_then_said(world: World) -> None:
    shop, saga, attempts = failing(10**6, WITHOUT_END)
    await world.node(shop)
    says = "has not ended within 36000 s: step 'pack' is to be tried again after ValueError: not yet"
    with pytest.raises(TimeoutError, match=says):
        await world.end_of(await world.start(saga), within_seconds=36_000)
    assert attempts == list(range(1, 11))


async def test_a_step_that_hangs_ends_the_wait_and_is_named(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None:
        await asyncio.Event().wait()

    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    handle = await (await world.conductor(shop)).start(saga, None)
    with pytest.raises(TimeoutError, match="'order' has not ended within 2 s: step 'pack' is run by 'shop' and has not returned"):
        await handle.result(timeout_seconds=2)
    with pytest.raises(TimeoutError, match=r"within 0\.1 s: step 'pack' is run by 'shop'"):
        await world.end_of(handle.saga_id, within_seconds=0.1)


async def test_a_plain_function_that_hangs_ends_the_wait_too(world: World) -> None:
    shop, returns = StepRegistry("shop"), threading.Event()

    @shop.step
    def pack() -> None:
        returns.wait()

    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    handle = await (await world.conductor(shop)).start(saga, None)
    try:
        with pytest.raises(TimeoutError, match="step 'pack' is run by 'shop' and has not returned"):
            await handle.result(timeout_seconds=1)
    finally:
        returns.set()


async def test_time_goes_on_for_other_sagas_while_a_step_hangs(world: World) -> None:
    shop, saga, attempts = failing(1, Retry(initial_seconds=2.0, jitter=0.0))
    never: Saga[Any] = Saga("never")

    @shop.step
    async def hang() -> None:
        await asyncio.Event().wait()

    never.step(hang)
    conductor = await world.conductor(shop)
    await conductor.start(never, None)
    assert await (await conductor.start(saga, None)).result() == "packed"
    assert attempts == [1, 2]


async def test_a_saga_that_fails_at_once_without_end_ends_the_wait(world: World) -> None:
    shop, saga, _ = failing(10**9, Retry(attempts_max=None, initial_seconds=0.0))
    await world.node(shop)
    with pytest.raises(TimeoutError, match=r"step 'pack' .* after ValueError: not yet"):
        await world.end_of(await world.start(saga), within_seconds=1)


async def test_two_who_wait_at_once_never_turn_time_back(world: World) -> None:
    shop, saga, _ = failing(2)
    conductor = await world.conductor(shop)
    handles = [await conductor.start(saga, None, key=str(number)) for number in range(2)]
    seen = [world.clock.now()]
    advance = world.clock.advance

    async def watched(seconds: float) -> None:
        await advance(seconds)
        seen.append(world.clock.now())

    world.clock.advance = watched  # type: ignore[method-assign]
    await asyncio.gather(*(handle.result() for handle in handles))
    assert seen == sorted(seen)


async def test_a_saga_whose_process_was_killed_ends_without_a_call_of_live(world: World) -> None:
    shop, saga, attempts = failing(0)
    asks = await world.node()
    first = await world.node(StepRegistry("other"))
    saga_id = await world.start(saga, node=asks)
    world.kill(first)
    await world.node(shop)
    assert (await world.end_of(saga_id)).status == "completed"
    assert attempts == [1]


async def test_an_hour_of_life_looks_at_the_store_a_few_times_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, saga, attempts = failing(1)
    await world.node(shop)
    saga_id = await world.start(saga)
    looks, due = list[int](), world.store.recovery.due

    async def counted(limit: int) -> list[Head]:
        looks.append(limit)
        return await due(limit)

    monkeypatch.setattr(world.store.recovery, "due", counted)
    began = world.clock.now()
    await world.live(3601)
    assert world.clock.now() - began == pytest.approx(3601)
    assert attempts == [1, 2]
    assert (await world.state(saga_id)).status == "completed"
    assert len(looks) < 600  # one each half a second would be 7,200


async def test_a_context_for_a_step_that_is_called_as_a_function() -> None:
    context = step_context("charge", saga="order", attempt=2, timeout_seconds=5)
    assert (context.step, context.saga, context.attempt, context.seconds_left) == ("charge", "order", 2, 5.0)
    assert context.idempotency_key == step_context("charge").idempotency_key
    context.logger.info("it can be logged by")


CONFTEST = 'pytest_plugins = ["goconductor.testing.fixtures"]'
TESTS = """
from goconductor import Participant, Saga, StepContext

shop = Participant("shop")

@shop.step
async def pack(context: StepContext, box: str) -> str:
    return f"{box} by {context.step}"

order = Saga("order")
order.step(pack, inputs={"box": order.input["box"]})

async def test_whole(world):
    handle = await (await world.conductor(shop)).start(order, {"box": "b"})
    assert await handle.result() == {"pack": "b by pack"}

async def test_alone(step_context):
    assert await pack(step_context("pack"), box="c") == "c by pack"
"""


@pytest.mark.parametrize("conftest", ["", CONFTEST], ids=["found", "named"])
def test_a_project_has_the_fixtures_by_itself_and_may_name_them(tmp_path: Path, conftest: str) -> None:
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_shop.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
