"""A real process is killed in the middle of a map: another one does the other items, and no item's effect comes twice."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import asyncpg
import pytest

from goconductor import Participant, Saga, Settings, connect
from goconductor.app import migrate
from goconductor.journals.asyncpg import AsyncpgJournal, Connection

pytestmark = pytest.mark.postgres

KILLED = """
import asyncio, os, signal
import asyncpg
from goconductor import Participant
from goconductor.journals.asyncpg import AsyncpgJournal

async def main():
    shop = Participant("shop", concurrency=1)
    done = 0
    async with asyncpg.create_pool(os.environ["GOCONDUCTOR_DATABASE_URL"], min_size=0, max_size=2) as pool:
        @shop.step(transaction=AsyncpgJournal(pool))
        async def reserve(tx, sku: str) -> str:
            nonlocal done
            if done == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            await tx.execute("INSERT INTO reserved VALUES ($1)", sku)
            return sku
        await shop.run()

asyncio.run(main())
"""


def healthy(pool: Any, *, ships: bool) -> Participant:
    shop = Participant("shop")

    @shop.step(transaction=AsyncpgJournal(pool))
    async def reserve(tx: Connection, sku: str) -> str:
        await tx.execute("INSERT INTO reserved VALUES ($1)", sku)
        return sku

    @reserve.compensation
    async def put_back(tx: Connection, sku: str) -> None:
        await tx.execute("DELETE FROM reserved WHERE sku = $1", sku)

    @shop.step
    async def ship(skus: list[str | None]) -> list[str | None]:
        if not ships:
            raise ValueError("the address is wrong")
        return skus

    return shop


async def test_only_the_items_that_are_needed_have_effects_after_a_process_was_killed(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("order")
    lines = saga.map(saga.input["lines"], id="lines", join=5)
    lines.step("shop.reserve", inputs={"sku": lines.item})
    saga.returns(saga.step("shop.ship", inputs={"skus": lines.output}).output)
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE reserved (sku text PRIMARY KEY)")
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ)
        async with connect(settings) as conductor:
            handle = await conductor.start(saga, {"lines": [f"sku {number}" for number in range(10)]})
            assert await process.wait() == -9
            async with healthy(pool, ships=True).running(settings):
                skus = await handle.result(timeout_seconds=300)
        kept = {sku for sku in skus if sku is not None}
        assert len(skus) == 10
        assert len(kept) >= 5
        assert {row["sku"] for row in await pool.fetch("SELECT sku FROM reserved")} == kept


@pytest.mark.parametrize("ships", [True, False], ids=["forward", "back"])
async def test_the_other_items_are_done_by_another_process(postgres_url: str, ships: bool) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("order")
    lines = saga.map(saga.input["lines"], id="lines")
    lines.step("shop.reserve", inputs={"sku": lines.item})
    saga.returns(saga.step("shop.ship", inputs={"skus": lines.output}).output)
    skus = [f"sku {number}" for number in range(10)]
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE reserved (sku text PRIMARY KEY)")  # a second effect would be refused
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ)
        async with connect(settings) as conductor:
            handle = await conductor.start(saga, {"lines": skus})
            assert await process.wait() == -9
            async with healthy(pool, ships=ships).running(settings):
                if ships:
                    assert await handle.result(timeout_seconds=300) == skus
                else:
                    with pytest.raises(Exception, match="the address is wrong"):
                        await handle.result(timeout_seconds=300)
            view = await handle.view()
        assert len([step for step in view.steps if step.id.startswith("lines[")]) == 10
        assert await pool.fetchval("SELECT count(*) FROM reserved") == (10 if ships else 0)
