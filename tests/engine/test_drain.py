"""Who leaves takes nothing new, lets its steps finish, and says what it could not finish; others go on at once."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from goconductor import Retry, Saga, StepContext
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import BusUnavailableError, ConfigurationError, StoreUnavailableError
from goconductor.ports.bus import Message
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Trade, Unanswering, Unruly


def gated(retry: Retry | None = None) -> tuple[StepRegistry, Saga[Any], asyncio.Event, list[int]]:
    shop = StepRegistry("shop")
    gate, attempts = asyncio.Event(), list[int]()

    @shop.step(retry=retry)
    async def pack(ctx: StepContext) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            await gate.wait()
            if retry is not None:
                raise ValueError
        return f"packed in attempt {ctx.attempt}"

    saga: Saga[Any] = Saga("two")
    saga.step(pack, id="second", after=[saga.step(pack, id="first")])
    return shop, saga, gate, attempts


async def test_running_steps_finish_and_what_follows_is_another_instances(world: World) -> None:
    shop, saga, gate, attempts = gated()
    await world.node()
    leaving = await world.node(shop)
    saga_id = await world.start(saga, node=leaving)
    await settle()
    staying = await world.node(shop)
    closing = asyncio.create_task(world.leave(leaving))
    await settle()
    assert not closing.done()
    gate.set()
    await closing
    assert (await world.end_of(saga_id)).status == "completed"
    assert attempts == [1, 1]
    assert (leaving.counts["steps_run"], staying.counts["steps_run"]) == (1, 1)
    assert await world.store.recovery.leases([saga_id]) == []


async def test_steps_that_do_not_finish_are_unknown_and_taken_by_another_at_once(world: World) -> None:
    shop, saga, _, attempts = gated()
    await world.node()
    leaving = await world.node(shop, drain_seconds=0.05)
    saga_id = await world.start(saga, node=leaving)
    await settle()
    staying = await world.node(shop)
    await world.leave(leaving)
    assert "OutcomeUnknown first" in await world.events(saga_id)
    await settle()
    assert (await world.state(saga_id)).step("first").output == "packed in attempt 2"
    assert attempts[:2] == [1, 2]
    assert staying.counts["steps_run"] >= 1


async def test_a_retry_that_falls_into_the_drain_is_the_sweeps(world: World) -> None:
    shop, saga, gate, attempts = gated(Retry(initial_seconds=5.0, jitter=0.0))
    await world.node()
    leaving = await world.node(shop)
    saga_id = await world.start(saga, node=leaving)
    await settle()
    closing = asyncio.create_task(world.leave(leaving))
    await settle()
    gate.set()
    await closing
    assert (await world.state(saga_id)).step("first").action.status == "backoff"
    assert len(leaving._timers._running) == 0
    await world.node(shop)
    await world.live(7)
    assert (await world.state(saga_id)).step("first").output == "packed in attempt 2"
    assert attempts[:2] == [1, 2]


@pytest.mark.parametrize("finished", [True, False])
async def test_a_node_leaves_while_the_store_is_away(world: World, monkeypatch: pytest.MonkeyPatch, finished: bool) -> None:
    """It cannot say what became of its step, and does not wait for it for ever: the sweep finds it."""
    shop, saga, gate, _ = gated()
    await world.node()
    store = Unanswering(world)
    leaving = await world.node(shop, store=store, drain_seconds=0.05)
    saga_id = await world.start(saga, node=leaving)
    await settle()
    store.away = 10**9
    monkeypatch.setattr("goconductor.engine.running.draining.GIVING_UP_SECONDS", 0.05)
    if finished:
        gate.set()
    await settle()
    async with asyncio.timeout(300):
        await world.leave(leaving)
    assert leaving._executor._chains == set()
    assert "ActionSucceeded first" not in await world.events(saga_id)


async def test_a_store_that_does_not_know_us_any_more_is_no_reason_to_stay(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await world.node()

    async def away(serial: int) -> None:
        raise StoreUnavailableError

    monkeypatch.setattr(world.store.instances, "unregister", away)
    with caplog.at_level(logging.WARNING):
        await world.leave(node)
    assert "left without a word" in caplog.text


async def test_a_node_that_cannot_open_leaves_nothing_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, closed = Unruly(world), asyncio.Event()

    async def absent() -> None:
        raise ConfigurationError

    async def close() -> None:
        closed.set()

    monkeypatch.setattr(bus, "open", absent)
    monkeypatch.setattr(world.store, "close", close)
    with pytest.raises(ConfigurationError):
        await world.node(bus=bus)
    assert closed.is_set()


async def test_who_leaves_with_messages_unsent_is_found_by_the_leader_which_sends_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(messages: Sequence[Message]) -> None:
        raise BusUnavailableError

    monkeypatch.setattr("goconductor.engine.node.LAST_WORDS_SECONDS", 0.0)
    trade = Trade()
    await world.node(trade.shop)
    await world.node(trade.bank)
    bus = world.bus()
    client = await world.node(bus=bus)
    monkeypatch.setattr(bus, "send", away)
    saga_id = await world.start(trade.saga(), node=client)
    serial = client.instance.serial
    await world.leave(client)
    world.store.kill(serial)  # its process has ended
    assert (await world.state(saga_id)).status == "queued"
    await world.live(3)
    assert (await world.end_of(saga_id)).status == "completed"


async def test_a_plain_step_that_cannot_be_ended_keeps_its_lease_until_its_thread_has_returned(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    shop, others, runs = StepRegistry("shop"), StepRegistry("shop"), list[str]()
    began, gate = threading.Event(), threading.Event()

    @shop.step
    def pack() -> None:
        began.set()
        gate.wait()

    @others.step(name="pack")
    async def pack_again() -> None:
        runs.append("again")

    await world.node()
    leaving = await world.node(shop, drain_seconds=0)
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack", retry=Retry(attempts_max=3))
    saga_id = await world.start(saga, node=leaving)
    await asyncio.to_thread(began.wait)
    serial = leaving.instance.serial
    await world.leave(leaving)
    assert leaving.steps_left == 1
    assert "1 steps cannot be ended" in caplog.text
    await world.node(others)
    await world.live(5)
    (lease,) = await world.store.recovery.leases([saga_id])
    assert (lease.instance, runs) == (serial, [])
    assert "OutcomeUnknown pack" not in await world.events(saga_id)  # it lives, and may still have its effect
    gate.set()
    world.store.kill(serial)  # the process has ended
    await world.live(30)
    assert (await world.end_of(saga_id)).status == "completed"
    assert "OutcomeUnknown pack" in await world.events(saga_id)
    assert runs == ["again"]


async def test_a_step_that_swallows_its_cancellation_does_not_keep_its_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goconductor.engine.running.draining.GIVING_UP_SECONDS", 0.05)
    monkeypatch.setattr("goconductor.engine.running.draining.SWALLOWED_SECONDS", 0.05)
    shop, swallowed, gate = StepRegistry("shop"), list[int](), asyncio.Event()

    @shop.step
    async def pack() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                swallowed.append(1)

    await world.node()
    leaving = await world.node(shop, drain_seconds=0)
    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    saga_id = await world.start(saga, node=leaving)
    await settle()
    serial = leaving.instance.serial
    await world.leave(leaving)
    assert (swallowed, leaving.steps_left) == ([1, 1], 1)
    (chain,) = leaving._executor._chains
    assert chain not in asyncio.all_tasks()  # for which asyncio.run would wait
    (lease,) = await world.store.recovery.leases([saga_id])
    assert lease.instance == serial
    gate.set()
    await chain
    assert await world.events(saga_id) == ["SagaStarted"]


async def test_a_process_whose_steps_cannot_be_ended_ends() -> None:
    """A real one, whose interpreter would wait for its threads and its loop for its tasks."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HUNG, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.decode().splitlines()[-1]) == (0, "left 2 steps")


HUNG = """
import asyncio, threading
from goconductor import Saga
from goconductor.engine.running import draining
from goconductor.engine.steps.registry import StepRegistry
from goconductor.testing.world import World

draining.GIVING_UP_SECONDS = draining.SWALLOWED_SECONDS = 0.05
shop, begun = StepRegistry("shop"), threading.Semaphore(0)

@shop.step
def hang():
    begun.release()
    threading.Event().wait()

@shop.step
async def swallow():
    begun.release()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def main():
    async with World() as world:
        node = await world.node(shop, drain_seconds=0)
        for step in ("hang", "swallow"):
            saga = Saga(step)
            saga.step("shop." + step)
            await world.start(saga)
        for _ in range(2):
            await asyncio.to_thread(begun.acquire)
    print("left", node.steps_left, "steps", flush=True)

asyncio.run(main())
"""
