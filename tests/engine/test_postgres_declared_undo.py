"""A real process is killed in the middle of a declared undo: another one runs it again, and the effect is undone once."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import asyncpg
import pytest

from goconductor import CompensatedError, Participant, PermanentError, Saga, Settings, Undo, connect
from goconductor.app import migrate
from goconductor.journals.asyncpg import AsyncpgJournal, Connection

pytestmark = pytest.mark.postgres

KILLED = """
import asyncio, os, signal
import asyncpg
from goconductor import Participant
from goconductor.journals.asyncpg import AsyncpgJournal

async def main():
    ledger = Participant("ledger")
    async with asyncpg.create_pool(os.environ["GOCONDUCTOR_DATABASE_URL"], min_size=0, max_size=2) as pool:
        @ledger.step(transaction=AsyncpgJournal(pool))
        async def refund(tx, receipt):
            await tx.execute("INSERT INTO refunds VALUES ($1)", str(receipt))
            os.kill(os.getpid(), signal.SIGKILL)
        await ledger.run()

asyncio.run(main())
"""


def payments(pool: Any) -> Participant:
    """Charges, and cannot ship."""
    service = Participant("payments")

    @service.step(transaction=AsyncpgJournal(pool))
    async def charge(tx: Connection) -> dict[str, int]:
        await tx.execute("INSERT INTO charges VALUES (3)")
        return {"number": 3}

    @service.step
    async def ship() -> None:
        raise PermanentError("no such address")

    return service


def ledger(pool: Any) -> Participant:
    """The service as it comes back."""
    service = Participant("ledger")

    @service.step(transaction=AsyncpgJournal(pool))
    async def refund(tx: Connection, receipt: dict[str, int] | None) -> None:
        await tx.execute("INSERT INTO refunds VALUES ($1)", str(receipt))

    return service


async def test_the_undo_of_a_killed_process_is_run_again_and_has_its_effect_once(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("order")
    charged = saga.step("payments.charge", undo=Undo("ledger.refund", inputs={"receipt": saga.later("charge").output}))
    saga.step("payments.ship", after=[charged])
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=6) as pool:
        await pool.execute("CREATE TABLE charges (number int); CREATE TABLE refunds (receipt text)")
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        async with connect(settings) as conductor, payments(pool).running(settings):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ)
            handle = await conductor.start(saga, None)
            assert await process.wait() == -9
            assert await pool.fetchval("SELECT count(*) FROM refunds") == 0, "its transaction died with it"
            async with ledger(pool).running(settings):
                with pytest.raises(CompensatedError):
                    await handle.result(timeout_seconds=300)
            history = await handle.history()
        assert [entry.event for entry in history.entries].count("CompensationSucceeded") >= 1
        assert [row["receipt"] for row in await pool.fetch("SELECT receipt FROM refunds")] == ["{'number': 3}"]
