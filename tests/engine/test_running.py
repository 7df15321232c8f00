"""Steps run where there is room, one after the other without a message where they can, and never too many at once."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from goconductor import CompensatedError, Conductor, PermanentError, Saga, SagaHandle, StuckError, TerminatedError
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import PauseRequested, ResumeRequested, TerminationRequested
from goconductor.ports.store import Known, Tail
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Trade, Unruly


class Crowd:
    """Counts how many are in at once; nobody leaves before told."""

    def __init__(self, full_at: int) -> None:
        self.now = self.most = self.all = 0
        self.full = asyncio.Event()
        self.leave = asyncio.Event()
        self._full_at = full_at

    async def visit(self) -> None:
        self.now += 1
        self.all += 1
        self.most = max(self.most, self.now)
        if self.now == self._full_at:
            self.full.set()
        await self.leave.wait()
        await asyncio.sleep(0)
        self.now -= 1


async def test_own_steps_follow_one_another_without_a_message(world: World) -> None:
    trade = Trade()
    bus = Unruly(world)
    bus.held = 1_000_000  # whatever is sent stays here
    node = await world.node(trade.shop, bus=bus)
    saga: Saga[Any] = Saga("own")
    last = saga.step("shop.reserve")
    for number in range(20):
        last = saga.step("shop.pack", id=f"pack{number}", after=[last])
    saga_id = await world.start(saga)
    assert (await world.end_of(saga_id)).status == "completed"
    assert bus.kept == []
    assert node.counts["steps_run"] == 21


@pytest.mark.parametrize(("of_participant", "of_step", "most"), [(3, None, 3), (50, 2, 2), (2, 5, 2), (50, 50, 30)])
async def test_limits_are_kept_whether_a_step_comes_by_message_or_by_itself(
    world: World, of_participant: int, of_step: int | None, most: int
) -> None:
    shop = StepRegistry("shop", concurrency=of_participant)
    crowd = Crowd(most)

    @shop.step(concurrency=of_step)
    async def pack() -> None:
        await crowd.visit()

    saga: Saga[Any] = Saga("two")
    saga.step(pack, id="second", after=[saga.step(pack, id="first")])
    node = await world.node(shop, drain_seconds=0)
    client = await world.node()
    saga_ids = [await world.start(saga, node=node if number % 2 else client) for number in range(30)]
    await crowd.full.wait()
    await world.clock.advance(1)
    assert crowd.now == most
    crowd.leave.set()
    for _ in range(40):
        await world.live(1)
    assert [(await world.state(saga_id)).status for saga_id in saga_ids] == ["completed"] * 30
    assert (crowd.most, crowd.all) == (most, 60)


async def test_plain_functions_run_in_threads_beside_the_loop(world: World) -> None:
    shop = StepRegistry("shop")
    barrier = threading.Barrier(3, timeout=300)
    threads: set[int] = set()

    @shop.step
    def pack() -> str:
        barrier.wait()
        threads.add(threading.get_ident())
        return "packed"

    await world.node(shop)
    saga: Saga[Any] = Saga("three")
    for number in range(3):
        saga.step(pack, id=f"s{number}")
    assert (await world.end_of(await world.start(saga))).status == "completed"
    assert len(threads) == 3
    assert threading.get_ident() not in threads


async def test_those_who_ask_for_sagas_at_once_share_one_look_into_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look for each waiter was what held up the sagas that end elsewhere, and what these waiters start next."""
    looks: list[int] = []
    read = MemoryLog.read

    async def counted(log: MemoryLog, known: Sequence[Known]) -> list[Tail]:
        looks.append(len(known))
        return await read(log, known)

    monkeypatch.setattr(MemoryLog, "read", counted)
    client = await world.node()
    saga_ids = [await world.start(Trade().saga(), node=client) for _ in range(20)]
    looks.clear()
    views = await asyncio.gather(*map(client.view, [*saga_ids, saga_ids[0]]))
    assert [view.state.saga_id for view in views] == [*saga_ids, saga_ids[0]]
    assert looks == [21]


async def test_several_instances_share_the_work(world: World) -> None:
    trade = Trade()
    banks = [await world.node(trade.bank) for _ in range(3)]
    client = await world.node()
    await world.node(trade.shop)
    saga_ids = [await world.start(trade.saga(), node=client) for _ in range(30)]
    for saga_id in saga_ids:
        assert (await world.end_of(saga_id)).status == "completed"
    assert all(node.counts["steps_run"] > 5 for node in banks)
    assert set(trade.effects.values()) == {1}


async def test_a_pause_holds_back_what_is_new_and_a_resume_goes_on(world: World) -> None:
    shop = StepRegistry("shop")
    gate, runs = asyncio.Event(), Counter[str]()

    @shop.step
    async def work(name: str) -> str:
        runs[name] += 1
        await gate.wait()
        return name

    node = await world.node(shop)
    saga: Saga[Any] = Saga("pausing")
    saga.step(work, id="b", inputs={"name": "b"}, after=[saga.step(work, id="a", inputs={"name": "a"})])
    saga_id = await world.start(saga)
    await settle()
    await node.request(saga_id, PauseRequested(reason="lunch"))
    gate.set()
    await world.live(120)
    state = await world.state(saga_id)
    assert (state.status, state.step("a").action.status, state.step("b").action.status) == ("paused", "succeeded", "pending")
    assert runs == {"a": 1}
    await node.request(saga_id, ResumeRequested())
    assert (await world.end_of(saga_id)).status == "completed"
    assert runs == {"a": 1, "b": 1}


async def test_a_saga_whose_last_step_ends_while_paused_has_ended(world: World) -> None:
    shop = StepRegistry("shop")
    gate = asyncio.Event()
    shop.step(name="work")(gate.wait)
    node = await world.node(shop)
    saga: Saga[Any] = Saga("pausing")
    saga.step("shop.work")
    saga_id = await world.start(saga)
    await settle()
    await node.request(saga_id, PauseRequested())
    gate.set()
    assert (await world.end_of(saga_id)).status == "completed"


def endings(how: str) -> tuple[StepRegistry, Saga[Any]]:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> str:
        if how != "completed":
            raise PermanentError("broken")
        return "packed"

    @pack.compensation
    async def unpack() -> None:
        if how == "stuck":
            raise PermanentError("glued")

    saga: Saga[Any] = Saga("ending")
    saga.returns(saga.step(pack).output)
    return shop, saga


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_waiting_for_the_end_tells_every_outcome(elsewhere: bool) -> None:
    raised: dict[str, type[Exception]] = {"compensated": CompensatedError, "stuck": StuckError}
    for how in ("completed", "compensated", "stuck"):
        async with World() as each:
            shop, saga = endings(how)
            at = await each.node() if elsewhere else None
            node = await each.node(shop)
            handle: SagaHandle[Any] = await Conductor(at or node).start(saga, None)
            if how == "completed":
                assert await handle.result(timeout_seconds=300) == "packed"
                continue
            with pytest.raises(raised[how], match="broken" if how == "compensated" else "step 'pack': PermanentError: glued"):
                await handle.result(timeout_seconds=300)
            assert (await handle.view()).status == how


async def test_waiting_for_what_is_terminated_or_takes_too_long(world: World) -> None:
    node = await world.node()
    saga: Saga[Any] = Saga("slow")
    saga.step("shop.nobody")
    handle: SagaHandle[Any] = await Conductor(node).start(saga, None)
    with pytest.raises(TimeoutError):
        await handle.result(timeout_seconds=0.01)
    waiting = asyncio.create_task(handle.result(timeout_seconds=300))
    await settle()
    await node.request(handle.saga_id, TerminationRequested(reason="enough", forced=True))
    with pytest.raises(TerminatedError, match="terminated: enough"):
        await waiting
    assert node._endings._waiters == {}
