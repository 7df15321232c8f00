"""A server of the test's own is killed: what is durable stays, what is not is known to be gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Instance
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.leading.feeding import all_behind, all_of
from goconductor.testing.contracts.store.material import Saga, advance, begin, eventually, head_of, hold, lead, tokens
from goconductor.testing.postgres import PostgresServer, StopMode

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_to_break: PostgresServer) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_to_break.url())
    store = PostgresStore(postgres_to_break.url())
    await store.open()
    yield store
    await store.close()


async def kill_one_backend(server: PostgresServer) -> None:
    """The server's first process stays; all others are ended and the database recovers."""
    victim = await asyncpg.connect(server.url())
    server.kill_backend(victim.get_server_pid())
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await victim.fetchval("SELECT pg_sleep(60)")


async def lived(store: PostgresStore) -> tuple[Instance, Saga]:
    instance = await store.instances.register("payments", "pod-0", {})
    saga = await begin(store, instance=instance.serial)
    await advance(store, saga)
    await hold(store, saga.lease(instance=instance.serial))
    return instance, saga


async def until_it_works(store: PostgresStore) -> None:
    """Return when each of its sessions is there again."""

    async def works() -> bool:
        with suppress(StoreUnavailableError):
            saga = await begin(store)
            await advance(store, saga)
            await store.leases.renew([], 1.0)
            await store.terms.database_time()
            return True
        return False

    await eventually(works)


async def assert_truncated(store: PostgresStore, saga: Saga, instance: Instance, before: float) -> None:
    await until_it_works(store)
    assert (await head_of(store, saga)).seq == 2
    assert len(await store.sagas.history(saga.saga_id)) == 2
    assert await tokens(store, saga) == set()
    assert await store.recovery.leases_truncated()
    calm_seconds = await store.recovery.calm_seconds(epoch=await lead(store))
    assert await store.terms.database_time() - calm_seconds > before  # in this order: time passes between the two
    lease = saga.lease(instance=instance.serial)
    assert await store.leases.renew([lease], 60.0) == set()
    assert await store.leases.reassert([lease], 60.0) == {lease.key}
    await store.recovery.acknowledge_truncation(epoch=await lead(store))
    assert not await store.recovery.leases_truncated()
    assert await store.leases.renew([lease], 60.0) == {lease.key}
    await store.leases.release([lease])
    assert await store.instances.mark_dead(instance.serial, epoch=await lead(store)) == ([], [])
    assert await store.instances.missing() == []


async def test_13_a_killed_backend_takes_all_leases_with_it(store: PostgresStore, postgres_to_break: PostgresServer) -> None:
    """Hole 18: the server's start time does not tell."""
    instance, saga = await lived(store)
    before = await store.terms.database_time()
    started = await start_time(postgres_to_break)
    await kill_one_backend(postgres_to_break)
    await assert_truncated(store, saga, instance, before)
    assert await start_time(postgres_to_break) == started


async def test_13_an_immediate_restart_takes_all_leases_with_it(store: PostgresStore, postgres_to_break: PostgresServer) -> None:
    instance, saga = await lived(store)
    before = await store.terms.database_time()
    postgres_to_break.restart("immediate")
    await assert_truncated(store, saga, instance, before)


async def test_13_a_clean_restart_keeps_the_leases(store: PostgresStore, postgres_to_break: PostgresServer) -> None:
    _, saga = await lived(store)
    mode: StopMode = "fast"
    postgres_to_break.restart(mode)
    await until_it_works(store)
    assert len(await tokens(store, saga)) == 1
    assert not await store.recovery.leases_truncated()


async def start_time(server: PostgresServer) -> object:
    connection = await asyncpg.connect(server.url())
    try:
        return await connection.fetchval("SELECT pg_postmaster_start_time()")
    finally:
        await connection.close()


async def test_26_numbers_that_a_crash_gives_twice_are_not_passed_over(postgres_to_break: PostgresServer) -> None:
    """What was rolled back reached no disk, so after a crash the numbers of these transactions are given again."""
    await migrate(postgres_to_break.url(), feed=True)
    store = PostgresStore(postgres_to_break.url())
    await store.open()
    try:
        start = await store.feed.end()
        await begin(store)
        (first,) = await all_of(store, start, 1)
        hand = await asyncpg.connect(postgres_to_break.url())
        for _ in range(100):
            await hand.execute("BEGIN; SELECT pg_current_xact_id(); ROLLBACK")
        _, cursor = await all_behind(store, first.cursor)
        postgres_to_break.restart("immediate")
        await until_it_works(store)
        assert len(await all_of(store, cursor, 2)) == 2  # what until_it_works has written
    finally:
        await store.close()
