"""Who waits for a saga waits through a restart of the database, and learns at the end what it waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from goconductor import Participant, Retry, Saga, Settings, StepContext, TemporaryError
from goconductor.app import migrate
from goconductor.engine import endings
from goconductor.engine.endings import POLL_SECONDS
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages import codec
from goconductor.messages.envelope import Baton, SagaEnded
from goconductor.ports.bus import Message
from goconductor.ports.store import Known, Tail
from goconductor.testing.clock import settle
from goconductor.testing.postgres import PostgresServer
from goconductor.testing.world import World
from tests.engine.test_postgres_start import Said


@pytest.mark.postgres
async def test_a_result_is_waited_for_through_a_restart_of_the_database(postgres_to_break: PostgresServer) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_to_break.create_database("sagas")})
    await migrate(settings)
    shop, running, gate = Participant("shop"), asyncio.Event(), asyncio.Event()

    @shop.step
    async def pack() -> str:
        running.set()
        await gate.wait()
        return "packed"

    saga: Saga[Any] = Saga("order")
    saga.returns(saga.step(pack).output)
    lost = Said("lost the connection")
    logging.getLogger("goconductor").addHandler(lost)
    try:
        async with shop.running(settings) as conductor:
            handle = await conductor.start(saga, None)
            await running.wait()
            waiting = asyncio.create_task(handle.result(timeout_seconds=300))
            await asyncio.to_thread(postgres_to_break._end, "fast")
            await lost.heard.wait()
            asked = asyncio.create_task(conductor.saga(handle.saga_id).result(timeout_seconds=300))
            await asyncio.sleep(0)
            gate.set()
            await asyncio.to_thread(postgres_to_break._launch)
            assert [await waiting, await asked] == ["packed", "packed"]
    finally:
        logging.getLogger("goconductor").removeHandler(lost)


async def test_who_waited_in_vain_learns_what_the_saga_waits_for(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step(retry=Retry(initial_seconds=1000.0, max_seconds=1000.0))
    async def pack() -> None:
        raise TemporaryError("the robot rests")

    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    node = await world.node()
    unserved = await world.start(saga)
    told = r"within 0\.1 s.*goes on.*queued and waits for step 'pack', attempt 1"
    with pytest.raises(TimeoutError, match=rf"{told}, which no living instance offers: .*'shop' that has 'shop\.pack'$"):
        await node.wait_for_end(unserved, 0.1)
    runner = await world.node(shop)
    failed = await world.start(saga)
    await world.live(1)
    with pytest.raises(TimeoutError, match=r"another attempt at step 'pack' .*the robot rests\)$"):
        await runner.wait_for_end(failed, 0.1)


class Gate:
    """A service with one step, which ends when it may."""

    def __init__(self) -> None:
        self.registry = StepRegistry("shop")
        self.began, self.may_end = asyncio.Event(), asyncio.Event()
        self.saga: Saga[Any] = Saga("order")

        @self.registry.step
        async def pack(number: int) -> int:
            self.began.set()
            await self.may_end.wait()
            return number

        self.saga.step(pack, inputs={"number": self.saga.input["number"]})


def tails_read(world: World) -> list[Tail]:
    """What the nodes that are opened from now on read, as they read it."""
    tails: list[Tail] = []
    read = world.store.log.read

    async def noting(known: Sequence[Known]) -> list[Tail]:
        answer = await read(known)
        tails.extend(answer)
        return answer

    world.store.log.read = noting  # type: ignore[method-assign]
    return tails


@pytest.mark.parametrize(("baton_bytes_max", "read"), [(16 * 1024, []), (0, ["ActionSucceeded"])], ids=["by baton", "by pointer"])
async def test_of_a_saga_whose_end_comes_with_its_state_the_head_alone_is_read(
    world: World, baton_bytes_max: int, read: list[str]
) -> None:
    tails, gate = tails_read(world), Gate()
    client = await world.node()
    await world.node(gate.registry, baton_bytes_max=baton_bytes_max)
    saga_id = await world.start(gate.saga, {"number": 7})
    waiting = asyncio.create_task(client.wait_for_end(saga_id, 300.0))
    async with asyncio.timeout(60):
        await gate.began.wait()
        tails.clear()
        gate.may_end.set()
        state = await waiting
    assert state.status is SagaStatus.COMPLETED
    assert [entry.event for tail in tails for entry in tail.entries] == read
    assert tails


async def test_who_waits_for_a_saga_that_backs_off_reads_its_log_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endings, "POLL_SECONDS", 0.01)
    tails, shop = tails_read(world), StepRegistry("shop")

    @shop.step
    async def pack(context: StepContext) -> None:
        if context.attempt == 1:
            raise TemporaryError(delay_seconds=10.0)

    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    node = await world.node(shop)
    saga_id = await world.start(saga)
    while not node._timers._near:
        await world.clock.advance(0)
    onlooker = await world.node()
    waiting = asyncio.create_task(onlooker.wait_for_end(saga_id, 300.0))
    async with asyncio.timeout(60):
        while len(tails) < 4:
            await settle()
    assert [bool(tail.entries) for tail in tails][:4] == [True, False, False, False]
    await world.live(12)
    assert (await waiting).status is SagaStatus.COMPLETED


async def test_an_end_that_the_log_does_not_have_is_not_believed(world: World) -> None:
    tails, gate = tails_read(world), Gate()
    client = await world.node()
    await world.node(gate.registry)
    saga_id = await world.start(gate.saga, {"number": 7})
    waiting = asyncio.create_task(client.wait_for_end(saga_id, 300.0))
    async with asyncio.timeout(60):
        await gate.began.wait()
        running = await world.state(saga_id)
        ended = structs.replace(running, phase=SagaStatus.COMPLETED)
        body = SagaEnded(saga_id=saga_id, saga="order", status=SagaStatus.COMPLETED, baton=Baton(9, 77, ended))
        tails.clear()
        payload = codec.encode(body, message_id="1", source="/shop/1")
        await client.bus.send([Message(topic=running.reply_to, key="", payload=payload)])
        await settle()
        assert len(tails) == 1
        assert not waiting.done()
        gate.may_end.set()
        await world.end_of(saga_id)
        await world.clock.advance(POLL_SECONDS)
        assert (await waiting).phase is SagaStatus.COMPLETED
