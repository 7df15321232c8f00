"""Who waits for a saga waits through a restart of the database, and learns at the end what it waits for."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from goconductor import Participant, Retry, Saga, Settings, TemporaryError
from goconductor.app import migrate
from goconductor.engine.steps.registry import StepRegistry
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
            waiting = asyncio.create_task(handle.result(timeout_seconds=100))
            await asyncio.to_thread(postgres_to_break._end, "fast")
            await lost.heard.wait()
            asked = asyncio.create_task(conductor.saga(handle.saga_id).result(timeout_seconds=100))
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
