"""The election when a leader's process dies or is stopped, and behind a real pooler."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from goconductor.elections.postgres import PostgresElection
from goconductor.engine.facts.clock import SystemClock
from goconductor.errors import FencedError, PoolerError
from goconductor.ports.store import Lease, LeaseKey
from goconductor.recovery.leadership import Leadership, LeadTerm
from goconductor.saga.ids import Direction
from goconductor.stores.postgres import PostgresStore
from tests.contracts.election_faults import ElectionProcessFaults
from tests.servers.fixtures.pooler import Pooler
from tests.servers.pausing import pause

pytestmark = pytest.mark.postgres


VICTIM = """
import asyncio, sys
from goconductor.elections.postgres import PostgresElection
from goconductor.stores.postgres import PostgresStore

async def main(url, term_seconds):
    store = PostgresStore(url)
    await store.open()
    election = PostgresElection(store.terms, url)
    await election.open()
    term = await election.campaign("victim", float(term_seconds))
    print(term.epoch, flush=True)
    sys.stdin.readline()
    print(await election.renew(term, float(term_seconds)), flush=True)
    await election.resign(term)
    await election.close()
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def victim(url: str, term_seconds: float) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A process that leads, and its epoch; given a line, it tries to renew its term and says what came of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", VICTIM, url, str(term_seconds)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def heir(store: PostgresStore, url: str, term_seconds: float) -> AsyncIterator[asyncio.Queue[LeadTerm | None]]:
    """A follower that has been denied once, and the queue of its changes."""
    election = PostgresElection(store.terms, url)
    changes: asyncio.Queue[LeadTerm | None] = asyncio.Queue()

    async def lead(_term: LeadTerm) -> None:
        await asyncio.Event().wait()

    assert await election.campaign("heir", term_seconds) is None
    leadership = Leadership(
        election, candidate="heir", lead=lead, clock=SystemClock(), term_seconds=term_seconds, on_change=changes.put_nowait
    )
    running = asyncio.create_task(leadership.run())
    try:
        yield changes
    finally:
        running.cancel()
        await asyncio.wait([running])
        await election.close()


async def test_3_a_leader_that_was_killed_is_followed(store: PostgresStore, postgres_url: str) -> None:
    async with victim(postgres_url, 60) as (process, epoch), heir(store, postgres_url, 60) as changes:
        killed_at = time.monotonic()
        process.kill()
        term = await changes.get()
        seconds = time.monotonic() - killed_at
        print(f"failover after SIGKILL: {seconds:.3f} s")  # noqa: T201 - the figure that the documentation quotes
        assert term is not None
        assert term.epoch == epoch + 1


async def test_3_a_leader_that_was_stopped_is_replaced_after_its_terms_end_and_knows_it_on_waking(
    store: PostgresStore, postgres_url: str
) -> None:
    async with victim(postgres_url, 3600) as (process, epoch), heir(store, postgres_url, 3600) as changes:
        pause(process.pid)
        current = await store.terms.current()
        assert current is not None
        assert current.epoch == epoch
        old = await store.terms.renew(current, 1.0)
        assert old is not None
        new = await changes.get()
        assert new is not None
        assert new.epoch == epoch + 1
        assert await store.terms.database_time() > old.ends_at
        onlooker = await asyncpg.connect(postgres_url)
        sessions = await onlooker.fetchval(
            "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'goconductor election: victim'"
        )
        await onlooker.close()
        assert sessions == 0
        os.kill(process.pid, signal.SIGCONT)
        answer, _ = await process.communicate(b"renew\n")
        assert answer == b"None\n"
        current = await store.terms.current()
        assert current is not None
        assert current.epoch == new.epoch, "the late resignation did not unseat the new leader"
        lease = Lease(key=LeaseKey(uuid4(), "inventory.reserve", Direction.ACTION), instance=1, token=1)
        with pytest.raises(FencedError):
            await store.recovery.free([lease], epoch=epoch)


class TestPostgresFaults(ElectionProcessFaults):
    kind = "postgres"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        return {}


@pytest.mark.parametrize("mode", ["transaction", "transaction\ndefault_pool_size = 1"])
async def test_a_transaction_pooler_is_refused_though_it_is_idle(store: PostgresStore, pooler: Pooler, mode: str) -> None:
    async with pooler(mode) as url:
        election = PostgresElection(store.terms, url)
        with pytest.raises(PoolerError, match="straight to the server"):
            await election.open()
        with pytest.raises(PoolerError):
            await election.campaign("anna", 60)
        await election.close()


async def test_a_transaction_pooler_is_refused_though_it_is_busy(store: PostgresStore, pooler: Pooler) -> None:
    async with pooler("transaction") as url, AsyncExitStack() as others:
        for _ in range(3):
            other = await asyncpg.connect(url, statement_cache_size=0)
            others.push_async_callback(other.close)
            await other.execute("BEGIN")
        election = PostgresElection(store.terms, url)
        with pytest.raises(PoolerError):
            await election.open()
        await election.close()


async def test_a_session_pooler_will_do(store: PostgresStore, postgres_url: str, pooler: Pooler) -> None:
    async with pooler("session") as url:
        anna, bert = PostgresElection(store.terms, url), PostgresElection(store.terms, postgres_url)
        await anna.open()
        term = await anna.campaign("anna", 60)
        assert term is not None
        assert await bert.campaign("bert", 60) is None
        assert await anna.renew(term, 60) is not None
        await anna.resign(term)
        assert await bert.campaign("bert", 60) is not None
        await anna.close()
        await bert.close()
