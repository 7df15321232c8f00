"""A dataflow on a real PostgreSQL: run by several processes, of which one is killed in the middle of a builder."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import pytest

from goconductor import Dataflow, Optionals, Participant, SagaStatus, Settings, connect
from goconductor.app import migrate

pytestmark = pytest.mark.postgres

KILLED = """
import asyncio, os, signal
from goconductor import Participant

risks = Participant("risks")

@risks.builder
async def risk(customer: str) -> int:
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(risks.run())
"""


def living() -> Participant:
    risks = Participant("risks")

    @risks.builder
    async def risk(customer: str) -> int:
        return len(customer)

    return risks


async def test_what_a_killed_process_left_is_made_by_another_one_and_runs_join(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    quotes, risks = Participant("quotes"), living()

    @quotes.builder
    async def offer(risk: int, car: str, voucher: Annotated[str | None, Optionals]) -> str:
        return f"{car} at {risk}{f' with {voucher}' if voucher else ''}"

    dataflow = Dataflow("quote", target="offer", builders=[quotes, risks])
    environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": postgres_url}
    doomed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, env=environ)
    async with connect(settings) as elsewhere, quotes.running(settings) as conductor:
        under_way = asyncio.create_task(elsewhere.run(dataflow, "q-1", {"customer": "ann"}, timeout_seconds=600))
        assert await doomed.wait() == -9
        async with risks.running(settings):
            await conductor.run("quote", "q-1", {"car": "van"}, timeout_seconds=600)
            first = await under_way
            done = await conductor.run(dataflow, "q-1", timeout_seconds=600)
            assert (done.target, done.saga_id) == ("van at 3", first.saga_id)
            again = await elsewhere.run(dataflow, "q-1", {"voucher": "spring"}, close=True, timeout_seconds=600)
            assert (again.target, again.status) == ("van at 3 with spring", SagaStatus.COMPLETED)
            both = await asyncio.gather(
                conductor.run(dataflow, "q-2", {"customer": "bob", "car": "bus"}, timeout_seconds=600),
                elsewhere.run("quote", "q-2", {"voucher": "autumn"}, timeout_seconds=600),
            )
            assert both[0].saga_id == both[1].saga_id
            assert (await elsewhere.run("quote", "q-2", timeout_seconds=600)).target == "bus at 3 with autumn"
