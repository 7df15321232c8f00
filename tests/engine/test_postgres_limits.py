"""Limits over all instances on a real server, with processes that are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import asyncpg
import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate

pytestmark = pytest.mark.postgres

WORKER = """
import asyncio
from goconductor import Participant

shop = Participant("shop")

@shop.step(concurrency_total=2)
async def charge(order: str) -> str:
    print(order, flush=True)
    await asyncio.Event().wait()

asyncio.run(shop.run())
"""

order: Saga[Any] = Saga("order")
order.step("shop.charge", inputs={"order": order.input["id"]})


async def worker(url: str) -> Process:
    environ = {**os.environ, "GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "3600"}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, env=environ, stdout=PIPE)


async def test_others_have_the_permits_of_a_killed_process_and_nobody_waits_for_ever(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    shop, running, most, done = Participant("shop"), 0, 0, list[str]()

    @shop.step(concurrency_total=2)
    async def charge(order: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        async with looking:
            leases = await hand.fetchval("SELECT count(*) FROM goconductor.leases WHERE expires_at > clock_timestamp()")
        running -= 1
        assert leases <= 2
        done.append(order)
        return order

    looking = asyncio.Lock()
    process = await worker(postgres_url)
    assert process.stdout is not None
    hand: asyncpg.Connection[Any] = await asyncpg.connect(postgres_url)
    try:
        client = Participant("client")
        async with client.running(settings) as conductor:
            handles = [await conductor.start(order, {"id": f"o{number}"}) for number in range(20)]
            held = {(await process.stdout.readline()).decode().strip() for _ in range(2)}
            async with shop.running(settings):
                waiting = 0
                while waiting < 18:
                    async with looking:
                        waiting = await hand.fetchval("SELECT count(*) FROM goconductor.permit_queue")
                assert done == []
                process.send_signal(signal.SIGKILL)
                await process.wait()
                results = [await handle.result(timeout_seconds=300) for handle in handles]
            assert len(results) == 20
        assert most <= 2
        assert sorted(done) == sorted(f"o{number}" for number in range(20))
        assert held <= set(done)
        assert await hand.fetchval("SELECT count(*) FROM goconductor.permit_queue") == 0
        assert await hand.fetchval("SELECT count(*) FROM goconductor.permits WHERE expires_at > clock_timestamp()") == 0
    finally:
        await hand.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
