"""A real process is killed in the middle of a step that may fail: another settles or undoes the step, and the saga goes on."""

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
import asyncio, os, signal, sys
import asyncpg
from goconductor import Participant
from goconductor.journals.asyncpg import AsyncpgJournal

async def main():
    shop = Participant("shop")
    async with asyncpg.create_pool(os.environ["GOCONDUCTOR_DATABASE_URL"], min_size=0, max_size=2) as pool:
        if sys.argv[1] == "journal":
            @shop.step(transaction=AsyncpgJournal(pool))
            async def discount(tx):
                await tx.execute("INSERT INTO discounts VALUES ('granted')")
                os.kill(os.getpid(), signal.SIGKILL)
        else:
            @shop.step
            async def discount():
                await pool.execute("INSERT INTO discounts VALUES ('granted')")
                os.kill(os.getpid(), signal.SIGKILL)
        await shop.run()

asyncio.run(main())
"""


def _with_journal(shop: Participant, journal: AsyncpgJournal) -> None:
    @shop.step(transaction=journal)
    async def discount(tx: Connection) -> None:
        raise AssertionError("one lost outcome was the limit")

    @discount.compensation
    async def take_back(tx: Connection) -> None:
        await tx.execute("DELETE FROM discounts")


def _plain(shop: Participant, pool: Any) -> None:
    @shop.step
    async def discount() -> None:
        raise AssertionError("one lost outcome was the limit")

    @discount.compensation
    async def take_back() -> None:
        await pool.execute("DELETE FROM discounts")


def healthy(pool: Any, kind: str) -> Participant:
    """The service as it comes back; its discount is never asked to run again."""
    shop = Participant("shop")
    if kind == "journal":
        _with_journal(shop, AsyncpgJournal(pool))
    else:
        _plain(shop, pool)

    @shop.step
    async def voucher() -> dict[str, int]:
        return {"percent": 3}

    @shop.step
    async def ship(percent: int) -> int:
        return percent

    return shop


@pytest.mark.parametrize("kind", ["journal", "plain"])
async def test_the_saga_goes_on_by_the_fallback_and_no_effect_stands(postgres_url: str, kind: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("order")
    voucher = saga.step("shop.voucher")
    discount = saga.step("shop.discount", fallback=voucher, unknowns_max=1)
    saga.returns(saga.step("shop.ship", inputs={"percent": discount.output["percent"]}).output)
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE discounts (what text)")
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, kind, env=environ)
        async with connect(settings) as conductor:
            handle = await conductor.start(saga, None)
            assert await process.wait() == -9
            async with healthy(pool, kind).running(settings):
                assert await handle.result(timeout_seconds=300) == 3
            view, history = await handle.view(), await handle.history()
        assert {step.id: step.status.value for step in view.steps} == {
            "discount": "given_up",
            "voucher": "succeeded",
            "ship": "succeeded",
        }
        undone = [entry.event for entry in history.entries].count("CompensationSucceeded")
        assert undone == (0 if kind == "journal" else 1)
        assert await pool.fetchval("SELECT count(*) FROM discounts") == 0
