"""A real process leaves while steps of it cannot be ended; and a real pool bounds how many transactional steps are granted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE
from typing import Any

import asyncpg
import pytest

from goconductor import Participant, Retry, Saga, Settings, StepContext, connect
from goconductor.app import migrate
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from tests.acceptance import holdings

pytestmark = pytest.mark.postgres


def settings_of(url: str, *, drain_seconds: str = "30") -> Settings:
    return Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_PARTICIPANT_DRAIN_SECONDS": drain_seconds})


async def until_seen(url: str, serial: int) -> None:
    """Wait until an instance is no newcomer any more, which nobody looks at."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    old = "SELECT clock_timestamp() - started_at > '1500 ms' FROM goconductor.participants WHERE serial = $1"
    try:
        while not await connection.fetchval(old, serial):
            pass
    finally:
        await connection.close()


HUNG = """
import asyncio, threading
from goconductor import Participant

shop = Participant("shop")

@shop.step
def hang():
    print("hangs\\n", end="", flush=True)  # in one write: the other step prints at the same time
    threading.Event().wait()

@shop.step
async def swallow():
    print("swallows\\n", end="", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("swallowed", flush=True)

asyncio.run(shop.run())
"""

OPENING = """
import asyncio
from goconductor.recovery.leadership import Leadership

async def open(self):
    await asyncio.Event().wait()

Leadership.open = open
"""
"""An election that never opens: steps run meanwhile."""


@pytest.mark.parametrize("prelude", ["", OPENING], ids=["ready", "still opening"])
async def test_a_process_with_steps_that_cannot_be_ended_ends_with_a_code_and_others_take_them(
    postgres_url: str, prelude: str
) -> None:
    settings = settings_of(postgres_url)
    await migrate(settings)
    saga: Saga[Any] = Saga("both")
    for step in ("hang", "swallow"):
        saga.step(f"shop.{step}", retry=Retry(attempts_max=3))
    healthy, attempts = Participant("shop"), list[int]()
    for step in ("hang", "swallow"):

        @healthy.step(name=step)
        async def again(ctx: StepContext) -> None:
            attempts.append(ctx.attempt)

    environ = {
        **os.environ,
        "GOCONDUCTOR_DATABASE_URL": postgres_url,
        "GOCONDUCTOR_PARTICIPANT_DRAIN_SECONDS": "0",
        "GOCONDUCTOR_PARTICIPANT_LEASE_SECONDS": "3600",  # so that only its end lets others have them
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", prelude + HUNG, env=environ, stdout=PIPE)
    assert process.stdout is not None
    async with connect(settings) as conductor:
        handle = await conductor.start(saga, None)
        assert {await process.stdout.readline(), await process.stdout.readline()} == {b"hangs\n", b"swallows\n"}
        process.send_signal(signal.SIGTERM)
        assert await process.stdout.readline() == b"swallowed\n"
        async with healthy.running(settings):
            assert await process.wait() == 1
            await handle.result(timeout_seconds=300)
            assert attempts == [2, 2]
    assert await holdings.held(postgres_url) == []


async def test_no_more_transactional_steps_are_granted_than_a_real_pool_has_connections(postgres_url: str) -> None:
    settings = settings_of(postgres_url)
    await migrate(settings)
    pool = asyncpg.create_pool(postgres_url, min_size=0, max_size=2)
    shop, journal = Participant("shop"), AsyncpgJournal(pool)
    gate, full, attempts = asyncio.Event(), asyncio.Event(), list[int]()

    @shop.step(transaction=journal, timeout="20s")
    async def pack(tx: Connection, ctx: StepContext) -> None:
        attempts.append(ctx.attempt)
        if len(attempts) == 2:
            full.set()
        await gate.wait()

    saga: Saga[Any] = Saga("order")
    saga.step(pack)
    async with pool:
        await journal.create_table()
        async with shop.running(settings) as conductor:
            handles = [await conductor.start(saga, None) for _ in range(20)]
            await full.wait()
            assert len(await holdings.held(postgres_url)) == 2
            gate.set()
            for handle in handles:
                await handle.result(timeout_seconds=300)
    assert attempts == [1] * 20
    assert await holdings.held(postgres_url) == []


async def test_a_process_that_lives_on_is_not_taken_for_dead_while_its_step_runs(postgres_url: str) -> None:
    settings = settings_of(postgres_url)
    await migrate(settings)
    leaving, began, gate = Participant("shop"), threading.Event(), threading.Event()

    @leaving.step
    def hang() -> None:
        began.set()
        gate.wait()

    saga: Saga[Any] = Saga("one")
    saga.step(hang, retry=Retry(attempts_max=2))
    healthy = Participant("shop")

    @healthy.step(name="hang")
    async def again() -> None: ...

    async with connect(settings) as conductor:
        store = conductor._node.store
        async with leaving.running(settings_of(postgres_url, drain_seconds="0")) as own:
            serial = own._node.instance.serial
            handle = await own.start(saga, None)
            await asyncio.to_thread(began.wait)
            await until_seen(postgres_url, serial)
        assert serial not in {instance.serial for instance in await store.instances.missing()}
        assert {lease.instance for lease in await holdings.held(postgres_url)} == {serial}
        async with healthy.running(settings):
            gate.set()  # and now it is
            await conductor.saga(handle.saga_id).result(timeout_seconds=300)
    assert await holdings.held(postgres_url) == []
