"""Sessions that several kinds of calls share: few in quiet times, and none waits for another kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from goconductor.errors import StoreUnavailableError
from goconductor.postgres import pool as pools
from goconductor.postgres.dialling import Address
from goconductor.postgres.pool import Pool, Share
from goconductor.postgres.setup import Limits, Setup

pytestmark = pytest.mark.postgres

LONG_SECONDS = 300.0


@pytest.fixture
def setup(postgres_url: str) -> Setup:
    address = Address(postgres_url, application_name="pool")
    return Setup(address=address, limits=Limits(LONG_SECONDS), connect_timeout_seconds=LONG_SECONDS)


@pytest.fixture
async def pool(setup: Setup) -> AsyncIterator[Pool]:
    pool = Pool(setup, "test")
    yield pool
    await pool.close()


async def backend(share: Share) -> int:
    async with share.use() as connection:
        return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def test_kinds_share_a_session_while_they_come_one_by_one(pool: Pool) -> None:
    one, other = pool.share(2), pool.share(3, is_patient=True)
    await pool.open()
    assert len({await backend(each) for each in (one, other, other, one)}) == 1
    assert [each.is_connected for each in pool.sessions] == [True, False, False, False, False]


async def test_no_kind_waits_for_another(pool: Pool) -> None:
    """All calls of the one are under way, and do not end."""
    one, other = pool.share(2), pool.share(1, is_patient=True)
    await pool.open(at_once=False)
    async with AsyncExitStack() as stack:
        held = {(await stack.enter_async_context(one.use())).get_server_pid() for _ in range(2)}
        async with asyncio.timeout(LONG_SECONDS):
            assert await backend(other) not in held


async def test_more_calls_of_a_kind_than_it_has_sessions_take_turns(pool: Pool) -> None:
    only = pool.share(1)
    await pool.open(at_once=False)
    async with only.use() as connection:
        second = asyncio.create_task(backend(only))
        await connection.execute("SELECT 1")
        assert not second.done()
    assert await second == connection.get_server_pid()


async def test_a_patient_call_takes_the_session_that_is_free_in_a_moment(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PATIENCE_SECONDS", LONG_SECONDS)
    hasty, patient = pool.share(1), pool.share(1, is_patient=True)
    await pool.open()
    async with hasty.use() as connection:
        waiting = asyncio.create_task(backend(patient))
        await connection.execute("SELECT 1")
    assert await waiting == connection.get_server_pid()
    assert [each.is_connected for each in pool.sessions] == [True, False]


async def test_a_patient_call_has_another_connected_in_the_end(pool: Pool) -> None:
    hasty, patient = pool.share(1), pool.share(1, is_patient=True)
    await pool.open()
    async with hasty.use() as connection, asyncio.timeout(LONG_SECONDS):
        assert await backend(patient) != connection.get_server_pid()


async def test_what_a_burst_needed_is_closed_after_it(setup: Setup) -> None:
    pool = Pool(setup, "test", rest_seconds=0.01)
    share = pool.share(2)
    await pool.open()
    gone = asyncio.Event()
    async with share.use() as stays, share.use() as passes:
        passes.add_termination_listener(lambda _: gone.set())
    await gone.wait()
    assert not stays.is_closed()
    async with share.use() as first, share.use() as second:
        assert first is stays
        assert await second.fetchval("SELECT 1") == 1
    await pool.close()
    assert stays.is_closed()


async def test_a_pool_that_keeps_none_ends_its_last_one_too(setup: Setup) -> None:
    pool = Pool(setup, "test", keep=0, rest_seconds=0.01)
    share = pool.share(1)
    await pool.open(at_once=False)
    gone = asyncio.Event()
    async with share.use() as connection:
        connection.add_termination_listener(lambda _: gone.set())
    await gone.wait()
    assert await backend(share) != connection.get_server_pid()
    await pool.close()


async def test_a_closed_pool_says_so(pool: Pool) -> None:
    share = pool.share(1)
    await pool.open()
    await pool.close()
    with pytest.raises(StoreUnavailableError, match=r"open\(\)"):
        await backend(share)
