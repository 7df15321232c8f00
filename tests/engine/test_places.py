"""Nobody is granted more than can begin now: threads and pooled connections are places too. Waiting is no part of an attempt."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from goconductor import Listener, Retry, Saga, StepContext
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work import threads
from goconductor.engine.work.places import Capacity, Place
from goconductor.engine.work.threads import NotCalledError, Threads
from goconductor.journals.keys import T
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from goconductor.ports.journal import Pool
from goconductor.saga.ids import Direction
from goconductor.testing.clock import settle
from goconductor.testing.world import World

_ACTION = Direction.ACTION


class Pooled(MemoryJournal):
    """A journal with a few connections, whose transactions begin when the test lets them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.connected = asyncio.Event()
        self.connected.set()
        self.asked = asyncio.Event()

    @property
    def pool(self) -> Pool | None:
        return Pool(self, self.size)

    async def _transact(self, body: Callable[[MemoryTransaction], Awaitable[T]], timeout_seconds: float) -> T:
        self.asked.set()
        await self.connected.wait()
        return await super()._transact(body, timeout_seconds)


async def all_ended(world: World, saga_ids: list[UUID]) -> Counter[str]:
    """How they ended, while messages that were given back come again."""
    while True:
        statuses = [(await world.state(saga_id)).status for saga_id in saga_ids]
        if all(status.ended for status in statuses):
            return Counter(status.value for status in statuses)
        await world.clock.advance(0.5)


def of_one_step(target: str, name: str = "one", *, timeout: float | None = None) -> Saga[Any]:
    saga: Saga[Any] = Saga(name)
    saga.step(target, timeout=timeout)
    return saga


async def taken(node: Node) -> tuple[int, int, int, int]:
    await settle()
    metrics = node.metrics()
    return metrics["steps_running"], metrics["threads_taken"], metrics["connections_taken"], metrics["threads_lost"]


async def test_no_more_plain_steps_are_granted_than_there_are_threads(world: World) -> None:
    shop = StepRegistry("shop")
    began, gate, attempts = threading.Semaphore(0), threading.Event(), list[int]()

    @shop.step
    def pack(ctx: StepContext) -> None:
        attempts.append(ctx.attempt)
        began.release()
        gate.wait()

    node = await world.node(shop, threads=2)
    saga_ids = [await world.start(of_one_step("shop.pack")) for _ in range(12)]
    for _ in range(2):
        await asyncio.to_thread(began.acquire)
    assert await taken(node) == (2, 2, 0, 0)
    assert len(await world.store.recovery.leases(saga_ids)) == 2  # who waits has no lease that could run out
    gate.set()
    assert await all_ended(world, saga_ids) == {"completed": 12}
    assert attempts == [1] * 12
    assert await taken(node) == (0, 0, 0, 0)
    assert await world.store.recovery.leases(saga_ids) == []


async def test_no_more_transactional_steps_are_granted_than_their_pool_has_connections(world: World) -> None:
    shop, journal = StepRegistry("shop"), Pooled(2)
    gate, attempts = asyncio.Event(), list[int]()

    @shop.step(transaction=journal)
    async def pack(tx: MemoryTransaction, ctx: StepContext) -> None:
        attempts.append(ctx.attempt)
        await gate.wait()

    @shop.step
    async def look() -> str:
        return "looked"

    node = await world.node(shop)
    saga_ids = [await world.start(of_one_step("shop.pack")) for _ in range(8)]
    assert await taken(node) == (2, 0, 2, 0)
    assert len(await world.store.recovery.leases(saga_ids)) == 2
    other = await world.start(of_one_step("shop.look", "other"))
    assert (await world.end_of(other)).status == "completed"  # what needs none of it goes on
    gate.set()
    assert await all_ended(world, saga_ids) == {"completed": 8}
    assert attempts == [1] * 8
    assert await taken(node) == (0, 0, 0, 0)


async def test_a_message_that_waits_for_room_begins_as_soon_as_there_is_some(world: World) -> None:
    """Without time going on: it is not given back and taken again."""
    shop = StepRegistry("shop")
    gates = [asyncio.Event(), asyncio.Event()]
    begun: list[int] = []

    @shop.step(concurrency=1)
    async def pack() -> None:
        begun.append(len(begun))
        await gates[begun[-1]].wait()

    client = await world.node()
    await world.node(shop)
    saga_ids = [await world.start(of_one_step("shop.pack"), node=client) for _ in range(2)]
    await settle()
    assert begun == [0]
    gates[0].set()
    await settle()
    assert begun == [0, 1]
    gates[1].set()
    assert await all_ended(world, saga_ids) == {"completed": 2}


async def test_who_is_cancelled_while_waiting_for_room_passes_it_on(world: World) -> None:
    shop = StepRegistry("shop", concurrency=1)
    shop.step(name="pack")(asyncio.sleep)
    node = await world.node(shop)
    plan = await node.definitions.register(of_one_step("shop.pack").definition)
    places = node._executor.places
    (step,) = plan.steps
    place = places.reserve(plan, step, _ACTION)
    assert place is not None
    waiting = asyncio.create_task(places.wait(plan, step, _ACTION, 60))
    await settle()
    assert await places.wait(plan, step, _ACTION, 60) is None  # as many wait as there is room, and no more
    place.vacate()
    waiting.cancel()
    await asyncio.wait([waiting])
    again = await places.wait(plan, step, _ACTION, 60)
    assert again is not None
    again.vacate()
    again.vacate()
    assert places.steps.taken == 0


async def test_the_time_of_an_attempt_begins_where_its_code_begins(world: World) -> None:
    """A connection of the journal is waited for longer than the step may take."""
    shop, journal = StepRegistry("shop"), Pooled(1)
    left: list[float] = []

    @shop.step(transaction=journal, timeout=20)
    async def pack(tx: MemoryTransaction, ctx: StepContext) -> None:
        left.append(ctx.seconds_left)
        await world.clock.sleep(15)

    node = await world.node(shop)
    journal.connected.clear()
    saga_id = await world.start(of_one_step("shop.pack"))
    await journal.asked.wait()
    await world.clock.advance(19)
    journal.connected.set()
    await settle()
    (held,) = node._renewal._held.values()
    assert held.deadline > world.clock.monotonic() + 20  # the lease outlives the attempt
    await world.clock.advance(15)
    assert (await world.end_of(saga_id)).status == "completed"
    assert left == [20.0]


async def test_code_that_was_never_called_is_no_attempt_and_is_handed_on(world: World) -> None:
    shop, journal = StepRegistry("shop"), Pooled(1)
    attempts: list[int] = []

    @shop.step(transaction=journal, timeout=0.05, retry=Retry(attempts_max=1))
    async def pack(tx: MemoryTransaction, ctx: StepContext) -> None:
        attempts.append(ctx.attempt)

    class Hearing(Listener):
        async def on_error(self, context: StepContext, error: BaseException) -> None:
            heard.set()

    heard = asyncio.Event()
    shop.listen(Hearing())
    node = await world.node(shop)
    journal.connected.clear()
    saga_id = await world.start(of_one_step("shop.pack"))
    await heard.wait()
    assert await world.events(saga_id) == ["SagaStarted"]
    journal.connected.set()
    assert await all_ended(world, [saga_id]) == {"completed": 1}
    assert attempts == [1]
    assert await taken(node) == (0, 0, 0, 0)


async def test_hung_threads_starve_no_others_and_come_back(world: World, caplog: pytest.LogCaptureFixture) -> None:
    shop = StepRegistry("shop")
    gate, hung = threading.Event(), threading.Semaphore(0)

    @shop.step(timeout=0.05, retry=Retry(attempts_max=1))
    def hang() -> None:
        hung.release()
        gate.wait()

    @shop.step
    def pack() -> str:
        return "packed"

    node = await world.node(shop, threads=1)
    first = await world.start(of_one_step("shop.hang", "hangs"))
    assert (await world.end_of(first)).status == "compensated"
    assert await taken(node) == (0, 0, 0, 1)
    healthy = await world.start(of_one_step("shop.pack", "healthy"))
    assert (await world.end_of(healthy)).status == "completed"
    with caplog.at_level(logging.ERROR):
        second = await world.start(of_one_step("shop.hang", "hangs"))
        assert (await world.end_of(second)).status == "compensated"
    assert "raise participant.threads" in caplog.text
    assert node._executor.threads.room == 0
    waiting = await world.start(of_one_step("shop.pack", "healthy"))
    assert await taken(node) == (0, 0, 0, 2)
    assert (await world.state(waiting)).step("pack").action.status == "sent"
    gate.set()
    assert await all_ended(world, [waiting]) == {"completed": 1}
    assert await taken(node) == (0, 0, 0, 0)


async def test_a_step_of_its_own_limit_keeps_to_it_until_its_thread_has_returned(world: World) -> None:
    shop = StepRegistry("shop")
    gate, running, most = threading.Event(), list[int](), list[int]()

    @shop.step(timeout=0.05, concurrency=1, retry=Retry(attempts_max=1))
    def pack() -> None:
        running.append(1)
        most.append(len(running))
        gate.wait()
        running.pop()

    node = await world.node(shop)
    first = await world.start(of_one_step("shop.pack"))
    assert (await world.end_of(first)).status == "compensated"
    second = await world.start(of_one_step("shop.pack", timeout=3600))  # which this one is not to meet
    await world.clock.advance(5)
    assert (await world.state(second)).step("pack").action.status == "sent"
    assert await taken(node) == (0, 0, 0, 1)
    gate.set()
    assert await all_ended(world, [second]) == {"completed": 1}
    assert most == [1, 1]


async def test_a_call_that_is_cancelled_before_a_thread_has_begun_it_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LATE_SECONDS", -1.0)
    pool, gate, calls, late = Threads("test", 1), threading.Event(), list[str](), list[str]()
    pool._started = 1  # so that no thread is there to begin it
    call = pool.call(lambda: calls.append("one"), lambda: late.append("one"))
    waiting = asyncio.create_task(pool.answer(call))
    await settle()
    waiting.cancel()
    with pytest.raises(NotCalledError):
        await waiting
    pool._started = 0
    await pool.answer(pool.call(lambda: calls.append("two"), lambda: late.append("two")))
    assert calls == ["two"]
    assert late == ["two"]  # which says that its time begins only now
    gate.set()
    pool.close()


def test_a_part_of_a_place_is_given_back_by_itself() -> None:
    one, other = Capacity(lambda: 1), Capacity(lambda: None)
    place = Place((one, other))
    part = place.part(one)
    place.vacate()
    assert (one.taken, other.taken, one.full, other.full) == (1, 0, True, False)
    part.vacate()
    assert one.taken == 0
