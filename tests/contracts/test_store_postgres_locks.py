"""Locks in PostgreSQL, where two transactions meet: in which order rows are taken, and whose connections a wait takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from goconductor.lifecycle.facts.lock import Wish
from goconductor.ports.store import Forgettable
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.stores.postgres.log.locks import _number
from goconductor.testing.contracts.store.locking import ask
from goconductor.testing.contracts.store.material import FAR, Saga, advance, begin, eventually, lead
from tests.contracts.patient_store import PATIENT

pytestmark = pytest.mark.postgres

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
FREE = "SELECT key FROM goconductor.locks ORDER BY key FOR UPDATE SKIP LOCKED"


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url, **PATIENT)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def over(store: PostgresStore) -> list[Saga]:
    """Sagas that have ended and hold their keys still; the first of the keys is the last saga's."""
    sagas = [Saga(UUID(int=number)) for number in (1, 2, 3)]  # as old as can be
    for saga, key in zip(sagas, ("c", "b", "a"), strict=True):
        start = saga.start()
        await store.starts.start([start])
        saga.seq, saga.tag = 1, start.new_tag
        await ask(store, saga, key)
        await advance(store, saga, status="completed", wake_at=None)
    return sagas


@pytest.mark.parametrize("who", ["retention", "a look"])
async def test_rows_are_taken_away_in_the_order_of_their_keys(
    who: str, store: PostgresStore, hand: Connection, over: list[Saga]
) -> None:
    """So that no two who take some away wait for each other in a circle: who waits for the first has none of the others."""
    epoch, wanting = await lead(store), await begin(store)

    async def take_away() -> None:
        if who == "retention":
            await store.retention.forget(Forgettable.SAGAS, before=FAR, ended=("completed",), after=None, limit=100, epoch=epoch)
        else:
            await store.locks.look(wanting.saga_id, [[Wish("c"), Wish("b"), Wish("a")]])

    async def waits() -> bool:
        return bool(await hand.fetchval(WAITS))

    async with hand.transaction():
        await hand.execute("SELECT FROM goconductor.locks WHERE key = 'a' FOR UPDATE")
        taking = asyncio.create_task(take_away())
        await eventually(waits)
        assert [row["key"] for row in await hand.fetch(FREE)] == ["a", "b", "c"]
    await taking
    assert await store.locks.rows(saga_id=over[0].saga_id, limit=10) == []


async def test_many_who_look_at_one_key_leave_connections_to_others(store: PostgresStore, hand: Connection) -> None:
    sagas = [await begin(store) for _ in range(12)]
    number = _number("k")
    await hand.execute("SELECT pg_advisory_lock('goconductor.locks'::regclass::oid::int4, $1)", number)
    looks = [asyncio.create_task(ask(store, saga, "k")) for saga in sagas]

    async def some_wait() -> bool:
        return bool(await hand.fetchval(WAITS))

    await eventually(some_wait)
    async with asyncio.timeout(300):
        assert await store.locks.rows(key="k", limit=10) == []
    assert not any(look.done() for look in looks)
    await hand.execute("SELECT pg_advisory_unlock('goconductor.locks'::regclass::oid::int4, $1)", number)
    assert sum(bool(looked.held) for looked in await asyncio.gather(*looks)) == 1
