"""A real process is killed in the middle of a step that is restarted: another undoes it, and runs it again, once."""

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
    trip = Participant("trip")
    async with asyncpg.create_pool(os.environ["GOCONDUCTOR_DATABASE_URL"], min_size=0, max_size=2) as pool:
        @trip.step(transaction=AsyncpgJournal(pool))
        async def hotel(tx):
            await tx.execute("INSERT INTO bookings VALUES ('hotel, first')")
            return 1

        @trip.step(transaction=AsyncpgJournal(pool))
        async def ticket(tx):
            await tx.execute("INSERT INTO bookings VALUES ('ticket, first')")
            print("in", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            os.kill(os.getpid(), signal.SIGKILL)

        await trip.run()

asyncio.run(main())
"""


def healthy(pool: Any) -> Participant:
    trip = Participant("trip")

    @trip.step(transaction=AsyncpgJournal(pool))
    async def hotel(tx: Connection) -> int:
        await tx.execute("INSERT INTO bookings VALUES ('hotel, second')")
        return 2

    @hotel.compensation
    async def leave(tx: Connection) -> None:
        await tx.execute("DELETE FROM bookings WHERE what LIKE 'hotel%'")

    @trip.step(transaction=AsyncpgJournal(pool))
    async def ticket(tx: Connection) -> int:
        await tx.execute("INSERT INTO bookings VALUES ('ticket, second')")
        return 3

    @ticket.compensation
    async def refund(tx: Connection) -> None:
        await tx.execute("DELETE FROM bookings WHERE what LIKE 'ticket%'")

    return trip


async def test_each_effect_stands_once_after_a_restart_and_a_kill(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("trip")
    hotel = saga.step("trip.hotel")
    saga.returns(saga.step("trip.ticket", after=[hotel]).output)
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE bookings (what text)")
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ, stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        assert process.stdout is not None
        async with connect(settings) as conductor:
            handle = await conductor.start(saga, None)
            assert await process.stdout.readline() == b"in\n"
            assert (await handle.restart("hotel", reason="a better room")).rewinding == ["hotel", "ticket"]
            process.stdin.write(b"now\n")
            assert await process.wait() == -9
            async with healthy(pool).running(settings):
                assert await handle.result(timeout_seconds=300) == 3
            view = await handle.view()
        assert {step.id: (step.status.value, step.round) for step in view.steps} == {
            "hotel": ("succeeded", 1),
            "ticket": ("succeeded", 1),
        }
        assert sorted(row["what"] for row in await pool.fetch("SELECT what FROM bookings")) == ["hotel, second", "ticket, second"]
