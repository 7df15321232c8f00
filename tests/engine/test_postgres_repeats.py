"""A real process is killed in the middle of a turn: another one does the rest, and no turn's effect comes twice or is left."""

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
    bank = Participant("bank")
    async with asyncpg.create_pool(os.environ["GOCONDUCTOR_DATABASE_URL"], min_size=0, max_size=2) as pool:
        @bank.step(transaction=AsyncpgJournal(pool))
        async def charge(tx, turn: int, before: int | None) -> int:
            if turn == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            await tx.execute("INSERT INTO charged VALUES ($1)", turn)
            return (before or 0) + 1
        await bank.run()

asyncio.run(main())
"""


def healthy(pool: Any, *, ships: bool) -> Participant:
    bank = Participant("bank")

    @bank.step(transaction=AsyncpgJournal(pool))
    async def charge(tx: Connection, turn: int, before: int | None) -> int:
        await tx.execute("INSERT INTO charged VALUES ($1)", turn)
        return (before or 0) + 1

    @charge.compensation
    async def refund(tx: Connection, turn: int, before: int | None) -> None:
        await tx.execute("DELETE FROM charged WHERE turn = $1", turn)
        await tx.execute("INSERT INTO refunded (turn) VALUES ($1)", turn)

    @bank.step
    async def ship(parts: int) -> int:
        if not ships:
            raise ValueError("the address is wrong")
        return parts

    return bank


@pytest.mark.parametrize("ships", [True, False], ids=["forward", "back"])
async def test_the_other_turns_are_done_by_another_process(postgres_url: str, ships: bool) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("parts")
    turns = saga.repeat(until="steps.charge.output == 5", max=9)
    turns.step("bank.charge", inputs={"turn": turns.index, "before": turns.previous})
    saga.returns(saga.step("bank.ship", inputs={"parts": turns.output}).output)
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE charged (turn int PRIMARY KEY)")  # a second effect would be refused
        await pool.execute("CREATE TABLE refunded (number serial, turn int PRIMARY KEY)")
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ)
        async with connect(settings) as conductor:
            handle = await conductor.start(saga, {})
            assert await process.wait() == -9
            async with healthy(pool, ships=ships).running(settings):
                if ships:
                    assert await handle.result(timeout_seconds=300) == 5
                else:
                    with pytest.raises(Exception, match="the address is wrong"):
                        await handle.result(timeout_seconds=300)
        charged = {row["turn"] for row in await pool.fetch("SELECT turn FROM charged")}
        refunded = [row["turn"] for row in await pool.fetch("SELECT turn FROM refunded ORDER BY number")]
        assert (charged, refunded) == ((set(range(5)), []) if ships else (set(), [4, 3, 2, 1, 0]))
