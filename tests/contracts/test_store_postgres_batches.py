"""Batches: no deadlocks, heap-only updates, pinned plans."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from goconductor.ports.store import Known, Verdict
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.stores.postgres.leading import recovery
from goconductor.stores.postgres.log import appends, leases, starts, tails, writes
from goconductor.testing.contracts.store.material import Saga, begin, eventually, new_number, take, wish
from tests.contracts.patient_store import PATIENT

pytestmark = pytest.mark.postgres

HOT_STATEMENTS = {"DUE": recovery.DUE, "LIVE": recovery.LIVE} | {
    name: text
    for module in (appends, leases, starts, tails, writes)
    for name, text in vars(module).items()
    if isinstance(text, str) and "goconductor." in text and name.isupper() and name != "LOCK_TABLES"
}
for alone in ("APPEND_ALONE", "START_ALONE"):
    HOT_STATEMENTS |= {f"{alone} {shape}": text for shape, text in vars(writes)[alone].items()}


@pytest.fixture
async def store(postgres_url: str, patient_starts: None) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url, **PATIENT)
    await store.open()
    yield store
    await store.close()


async def churn(store: PostgresStore, sagas: list[Saga], seed: int) -> int:
    """Acquire, append, renew and take in batches of any order, on sagas and leases that others want too; the appends won."""
    chance = random.Random(seed)
    instance, won = seed + 1, 0
    for _ in range(15):
        mine = chance.sample(sagas, 20)
        leases = [saga.lease(f"step-{chance.randrange(3)}", instance=instance) for saga in mine]
        seconds = chance.choice([0.0, 0.001, 60.0])
        wishes = [wish(lease, Known(saga.saga_id), seconds=seconds) for lease, saga in zip(leases, mine, strict=True)]
        answers = await store.leases.acquire(wishes)
        held = [lease for lease, answer in zip(leases, answers, strict=True) if answer.granted]
        heads = {answer.tail.head.saga_id: answer.tail.head for answer in answers if answer.tail.head}
        await store.leases.renew(chance.sample(held, len(held) // 2), 60.0)
        appends = [
            Saga(lease.key.saga_id, heads[lease.key.saga_id].seq, heads[lease.key.saga_id].tag).append(
                instance=instance,
                release=[lease],
                take=[take(Saga(lease.key.saga_id).lease(f"step-{n}", instance=instance), seconds=seconds) for n in range(3)],
            )
            for lease in chance.sample(held, len(held))
        ]
        outcomes = await store.log.append(appends)
        won += sum(outcome.verdict == Verdict.WON for outcome in outcomes)
        await store.leases.release([take.lease for append in appends for take in append.take][::-1])
    return won


async def test_batches_of_any_order_never_deadlock(store: PostgresStore, postgres_url: str) -> None:
    """Hole 25. The server's own count is asked, as a victim is run again without a word."""
    sagas = [await begin(store) for _ in range(40)]
    async with AsyncExitStack() as stack:
        stores = [PostgresStore(postgres_url, **PATIENT) for _ in range(6)]
        for one in stores:
            await one.open()
            stack.push_async_callback(one.close)
        won = await asyncio.gather(*(churn(one, sagas, seed) for seed, one in enumerate(stores)))
    assert sum(won) > 100
    await store.close()
    watcher = await asyncpg.connect(postgres_url)

    async def all_have_reported() -> bool:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return bool(await watcher.fetchval(others) == 0)

    await eventually(all_have_reported)
    assert await watcher.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    await watcher.close()


async def test_starts_that_want_the_same_keys_never_deadlock(store: PostgresStore, postgres_url: str) -> None:
    other = PostgresStore(postgres_url, **PATIENT)
    await other.open()
    keys = [f"key-{n}" for n in range(50)]
    for _ in range(5):
        batches = []
        for one in (store, other):
            random.shuffle(keys)
            batches.append(one.starts.start([Saga().start(key=key, input_hash=b"") for key in keys]))
        first, second = await asyncio.gather(*batches)
        assert len(first) == len(second) == 50
        assert sum(outcome.verdict == Verdict.WON for outcome in first + second) in (0, 50)
    await other.close()


async def test_appends_stay_inside_their_page(store: PostgresStore, postgres_url: str) -> None:
    """Hole 27: what is lived by a saga (start, three steps, end) is heap-only but for the end, which leaves an index."""
    for _ in range(30):
        sagas = [Saga() for _ in range(64)]
        starts = [saga.start() for saga in sagas]
        await store.starts.start(starts)
        for saga, start in zip(sagas, starts, strict=True):
            saga.seq, saga.tag = 1, start.new_tag
        for status, wake_at in [("running", starts[0].wake_at)] * 3 + [("completed", None)]:
            appends = [saga.append(status=status, wake_at=wake_at) for saga in sagas]
            await store.log.append(appends)
            for saga, append in zip(sagas, appends, strict=True):
                saga.seq, saga.tag = saga.seq + 1, append.new_tag
    async with store._for_append.use() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
    watcher = await asyncpg.connect(postgres_url)
    rows = await watcher.fetch("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sagas'")
    await watcher.close()
    [(updates, heap_only)] = rows
    assert updates == 30 * 64 * 4
    assert heap_only >= 0.6 * (updates * 3 / 4), f"{heap_only} of {updates}"


async def plan(connection: Connection, statement: str) -> str:
    """The plan that a session keeps for a statement, whatever it is called with."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    name = f"plan_{new_number()}"
    await connection.execute(f"PREPARE {name} AS {statement}")
    rows = await connection.fetch(f"EXPLAIN EXECUTE {name}({', '.join(['NULL'] * count)})")
    return "\n".join(row[0] for row in rows)


async def assert_pinned(connection: Connection, name: str, statement: str) -> None:
    text = await plan(connection, statement)
    for bad in ("Seq Scan", "Hash Join", "Merge Join", "Hash Anti Join", "Hash Semi Join"):
        assert bad not in text, f"{name}:\n{text}"


@pytest.mark.parametrize("rows", [0, 10_000])
async def test_plans_are_pinned_whatever_the_statistics(store: PostgresStore, rows: int) -> None:
    async with store._for_append.use() as connection:
        for table in ("sagas", "saga_log", "leases", "start_keys"):
            await connection.execute(f"ALTER TABLE goconductor.{table} SET (autovacuum_enabled = off)")
        await connection.execute(
            "INSERT INTO goconductor.sagas"
            " (saga_id, saga, version, status, seq, tag, wake_at, last_instance, labels, started_at, updated_at)"
            " SELECT gen_random_uuid(), 's', 'v', 'running', 1, 1, now(), 1, '{}', now(), now()"
            f" FROM generate_series(1, {rows})"
        )
        await connection.execute(
            "INSERT INTO goconductor.saga_log"
            " (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)"
            " SELECT saga_id, 1, 1, saga_id, 'E', '', 0, 0, 0, '', '{}', now() FROM goconductor.sagas"
        )
        await connection.execute(
            "INSERT INTO goconductor.leases SELECT saga_id, 'a.b', 'action', 0, 1, 1, now() FROM goconductor.sagas"
        )
        await connection.execute(
            "INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash)"
            " SELECT 'default', 's', saga_id::text, saga_id, '' FROM goconductor.sagas"
        )
        if rows:
            await connection.execute("ANALYZE")
    assert len(HOT_STATEMENTS) == 28
    for session in (store._for_acquire, store._for_append, store._for_start, store._quick, store._others):
        async with session.use() as connection:
            for name, statement in HOT_STATEMENTS.items():
                await assert_pinned(connection, name, statement)
    async with store._for_append.use() as connection:
        text = await plan(connection, writes.APPEND)
        assert "sagas_wake_at_idx" in await plan(connection, recovery.DUE)
    sorted_input = (
        r"Nested Loop.*\n\s*->  Function Scan on jsonb_array_elements a.*\n(.*\n)?"
        r"\s*->  Index Scan using sagas_pkey on sagas s"
    )
    assert re.search(sorted_input, text), text
    each_lease = (
        r"Delete on leases l .*\n(.*\n)*?.*Index Scan using leases_pkey on leases l .*\n"
        r".*Index Cond:.* AND \(step = .* AND \(round = "
    )
    assert re.search(each_lease, text), text
