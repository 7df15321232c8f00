"""A real process is killed in the middle of a step, and its saga is terminated: the step's effect can never come afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import asyncpg
import pytest

from goconductor import Participant, Saga, Settings, TerminatedError, connect
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
        async def charge(tx):
            await tx.execute("INSERT INTO charges VALUES ('charged')")
            os.kill(os.getpid(), signal.SIGKILL)
        await bank.run()

asyncio.run(main())
"""


async def test_the_journal_keeps_out_what_a_killed_process_had_begun(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    saga: Saga[Any] = Saga("order")
    saga.step("bank.charge")
    async with asyncpg.create_pool(postgres_url, min_size=0, max_size=4) as pool:
        await pool.execute("CREATE TABLE charges (what text)")
        journal = AsyncpgJournal(pool)
        await journal.create_table()
        environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ)
        async with connect(settings) as conductor:
            handle = await conductor.start(saga, None)
            assert await process.wait() == -9
            assert (await handle.terminate(reason="the customer left")).status == "terminating"
            bank = Participant("bank")

            @bank.step(transaction=journal)
            async def charge(tx: Connection) -> None:
                raise AssertionError("it must not be tried again")

            async with bank.running(settings):
                with pytest.raises(TerminatedError, match="the customer left"):
                    await handle.result(timeout_seconds=300)
            view, history = await handle.view(), await handle.history()
        assert [(step.status.value, step.reason) for step in view.steps] == [
            ("failed", "it has no effect and never will have one")
        ]
        assert [entry.event for entry in history.entries] == ["SagaStarted", "TerminationRequested", "ActionSettled"]
        assert (view.late_effects, await pool.fetchval("SELECT count(*) FROM charges")) == (False, 0)
        assert await pool.fetchval("SELECT state FROM goconductor_effects") == "refused"
