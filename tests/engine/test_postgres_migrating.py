"""A saga is moved to another version while a real process runs a step of it, and is killed: another goes on by the new one."""

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
        @shop.step(transaction=AsyncpgJournal(pool))
        async def reserve(tx):
            await tx.execute("INSERT INTO done VALUES ('reserve, first')")
            print("in", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            os.kill(os.getpid(), signal.SIGKILL)

        await shop.run()

asyncio.run(main())
"""


def healthy(pool: Any) -> Participant:
    shop = Participant("shop")
    for name in ("reserve", "wrap", "charge"):

        async def step(tx: Connection, what: str = name) -> str:
            await tx.execute("INSERT INTO done VALUES ($1)", what)
            return what

        shop.step(transaction=AsyncpgJournal(pool), name=name)(step)
    return shop


def order(*names: str) -> Saga[Any, Any]:
    saga: Saga[Any] = Saga("order")
    before: list[Any] = []
    for name in names:
        before = [saga.step(f"shop.{name}", after=before)]
    return saga.returns(before[0].output)


async def test_each_effect_stands_once_after_a_migration_and_a_kill(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    old, new = order("reserve", "charge"), order("reserve", "wrap", "charge")
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE done (what text)")
        await AsyncpgJournal(pool).create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        pipe = asyncio.subprocess.PIPE
        async with connect(settings) as conductor:
            another = await conductor.start(new, None)  # which registers the new version
            await another.terminate(reason="it is not needed", forced=True)
            killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ, stdin=pipe, stdout=pipe)
            assert killed.stdout is not None
            assert killed.stdin is not None
            handle = await conductor.start(old, None)
            assert await killed.stdout.readline() == b"in\n"
            seen = await handle.migrate(version=new.definition.version, reason="wrap it")
            assert (seen.version, seen.steps[0].status) == (new.definition.version, "running")
            killed.stdin.write(b"\n")
            assert await killed.wait() == -9
            async with healthy(pool).running(settings):
                assert await handle.result(timeout_seconds=300) == "charge"
            history = await handle.history()
        events = [entry.event for entry in history.entries]
        assert events.count("SagaMigrated") == 1
        assert [row["what"] for row in await pool.fetch("SELECT what FROM done")] == ["reserve", "wrap", "charge"]
