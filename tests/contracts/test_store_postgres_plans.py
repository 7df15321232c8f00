"""What running sagas and the leader ask of the database comes from an index, by the saga's id, however many sagas there are.

The statements are those that the server was really sent while sagas lived and a leader swept, not a list of ours: a session of a
store tells each text that it runs. A statement that reads a table to its end, sorts a table, or does not name the saga's id would
be slow, or impossible to distribute, with a hundred million sagas, and shows here with ten thousand.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import asyncpg
import pytest

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RefusedError
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.ports.store import Acquire, Forgettable, Head, Known, Lease, LeaseKey
from goconductor.recovery.retention import OVER
from goconductor.recovery.sweep import Sweeper
from goconductor.saga.ids import Direction
from goconductor.saga.writing.builder import Saga
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.leading import recovery
from goconductor.stores.postgres.leading.retention import STATEMENTS
from goconductor.stores.postgres.log import leases, starts, tails, writes
from goconductor.testing.contracts.store import material
from goconductor.testing.contracts.store.material import FAR, begin, eventually, new_number

pytestmark = pytest.mark.postgres

LARGE = ("sagas", "saga_log", "leases", "start_keys")
"""Tables that grow with the sagas. The others have a row for each definition, process, letter, and one for the leader."""
ON_DEATH = ("l.instance = $1", "s.last_instance = $1")
"""What a dead process held and left: asked once for each death, and read from what is live: an index would cost each append."""
BY_TIME = ("wake_at <= (SELECT clock_timestamp())", "wake_at IS NOT NULL")
"""The leader asks what is due: by the index on the time, on each shard."""
ROWS = 10_000


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[list[PostgresStore]]:
    await migrate(postgres_url)
    opened = [PostgresStore(postgres_url) for _ in range(3)]
    yield opened
    for store in opened:
        await store.close()


def shop() -> StepRegistry:
    registry = StepRegistry("shop")

    @registry.step
    async def pack() -> None: ...

    @pack.compensation
    async def unpack() -> None: ...

    @registry.step
    async def refuse() -> None:
        raise RefusedError("no")

    return registry


async def lived(stores: list[PostgresStore]) -> set[str]:
    """What a node and its leader have sent about large tables, while sagas were compensated, waited and were swept."""
    sent: set[str] = set()
    store, renewing, _ = stores
    await store.open()
    for session in (store._for_acquire, *(each for pool in store._pools for each in pool.sessions)):
        async with session.use() as connection:
            connection.add_query_logger(lambda query: sent.add(query.query))
    node = Node(store=store, bus=MemoryBus(MemoryBroker()), open_store=lambda: renewing, registry=shop())
    await node.open()
    try:
        turning: Saga[Any] = Saga("turning")
        turning.step("shop.refuse", after=[turning.step("shop.pack")])
        waiting: Saga[Any] = Saga("waiting")
        waiting.step("elsewhere.ship", after=[waiting.step("shop.pack")])
        for each in (turning, waiting):
            await node.definitions.register(each.definition)
        ended = await node.starting.start("turning", {}, key="one")
        await node.starting.start("turning", {}, key="one")
        stands = await node.starting.start("waiting", {})
        assert (await node.wait_for_end(ended.saga_id, 300)).phase is SagaStatus.COMPENSATED

        async def waits() -> bool:
            return (await node.view(stands.saga_id)).state.step("pack").action.status is ActionStatus.SUCCEEDED

        await eventually(waits)
        await _write(store)
        await _recover(node, store)
    finally:
        await node.close()
    named = re.compile(rf"goconductor\"?\.({'|'.join(LARGE)})\b")
    texts = {text.replace('"goconductor"', "goconductor") for text in sent}
    return {text for text in texts if named.search(text) and not any(each in text for each in ON_DEATH)}


async def _write(store: PostgresStore) -> None:
    """Start and append in every shape: alone with a key or none, with leases or none, and two at once. They have ended."""
    over: dict[str, Any] = {"status": "completed", "wake_at": None}
    for key, is_taking in product((None, "alone"), (False, True)):
        saga = material.Saga()
        lease = saga.lease()
        await begin(store, key=key and f"{key} {is_taking}", take=[material.take(lease)] if is_taking else [], **over)
        for release, take in product(([], [lease]), ([], [material.take(lease)])):
            await store.log.append([saga.append(release=release, take=take, **over)])
    await store.starts.start([material.Saga().start(**over) for _ in range(2)])
    await store.log.append([material.Saga().append(**over) for _ in range(2)])


async def _waits(store: PostgresStore) -> Head:
    """The saga that waits, once the outcome of its first step is in."""
    async with asyncio.timeout(300):
        while True:
            [live] = await store.recovery.live(10)
            if live.seq > 1:
                return live


async def _recover(node: Node, store: PostgresStore) -> None:
    """What only a leader does."""
    term = await store.terms.raise_epoch("leader", 600)
    assert term is not None
    live = await _waits(store)
    await store.recovery.postpone([(Known(live.saga_id, live.seq, live.tag), 1.0)], epoch=term.epoch)
    assert await Sweeper(node).sweep_once(term.epoch) == 1
    lease = Lease(key=LeaseKey(live.saga_id, "ship", Direction.ACTION), instance=7, token=1)
    await store.leases.acquire([Acquire(lease=lease, lease_seconds=1.0, known=Known(live.saga_id))])
    await store.leases.renew([lease], 1.0)
    await store.leases.reassert([lease], 1.0)
    await store.recovery.free([lease], epoch=term.epoch)
    await store.leases.release([lease])
    gone = await store.instances.register("shop", "gone", {})
    await store.instances.unregister(gone.serial)
    await store.instances.mark_dead(gone.serial, epoch=term.epoch)
    for kind in Forgettable:
        await store.retention.forget(kind, before=FAR, ended=OVER, after=None, limit=10, epoch=term.epoch)


async def fill(connection: Any, rows: int) -> None:
    """Sagas that wait, each with a log, a lease and a key; no statistics are taken."""
    for table in LARGE:
        await connection.execute(f"ALTER TABLE goconductor.{table} SET (autovacuum_enabled = off)")
    await connection.execute(
        f"""
        INSERT INTO goconductor.sagas
            (saga_id, saga, version, status, seq, tag, wake_at, last_instance, labels, started_at, updated_at)
        SELECT gen_random_uuid(), 's', 'v', 'running', 1, 1, now() + n * interval '1 second', n % 7, '{{}}', now(), now()
        FROM generate_series(1, {rows}) AS n
        """
    )
    await connection.execute(
        "INSERT INTO goconductor.saga_log"
        " (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)"
        " SELECT saga_id, 1, 1, saga_id, 'E', '', 0, 0, 0, '', '{}', now() FROM goconductor.sagas ON CONFLICT DO NOTHING"
    )
    await connection.execute(
        "INSERT INTO goconductor.leases SELECT saga_id, 'a.b', 'action', 0, 1, 1, now() FROM goconductor.sagas"
        " ON CONFLICT DO NOTHING"
    )
    await connection.execute(
        "INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash)"
        " SELECT 'default', 's', saga_id::text, saga_id, '' FROM goconductor.sagas ON CONFLICT DO NOTHING"
    )


async def plan_of(connection: Any, statement: str) -> str:
    """The plan that a session of ours keeps for a statement, whatever it is called with."""
    count = max(map(int, re.findall(r"\$(\d+)", statement)), default=0)
    name = f"plan_{new_number()}"
    await connection.execute(f"PREPARE {name} AS {statement}")
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    rows = await connection.fetch(f"EXPLAIN EXECUTE {name}{arguments}")
    return "\n".join(row[0] for row in rows)


def faults(plan: str) -> list[str]:
    """What must not be in a plan: a large table or its index read to its end, or sorted, and joins that read both sides whole."""
    large = "|".join(LARGE)
    found = re.findall(rf"Seq Scan on (?:{large})\b.*", plan) + re.findall(r"(?:Hash|Merge) (?:Anti |Semi |Left )?Join.*", plan)
    for sort in re.finditer(r"^( *)(?:->  )?(?:Incremental )?Sort .*\n((?:\1 +.*\n?)*)", plan, re.MULTILINE):
        if re.search(rf" on (?:{large})\b", sort[2]) and "unnest" not in sort[2] and "Function Scan" not in sort[2]:
            found.append(sort[0].splitlines()[0].strip())
    for scan in re.finditer(rf"(?:Bitmap )?Index (?:Only )?Scan (?:Backward )?(?:using|on) (?:{large})_.*\n(.*)", plan):
        if "Index Cond" not in scan[1]:  # it finds nothing by the index, it only follows its order
            found.append(scan[0].strip())
    return found


@pytest.mark.parametrize("statistics", ["none", "of an empty table", "fresh"])
async def test_no_statement_reads_or_sorts_a_large_table(stores: list[PostgresStore], postgres_url: str, statistics: str) -> None:
    sent = await lived(stores)
    watcher = stores[2]
    await watcher.open()
    async with watcher._others.use() as connection:
        if statistics == "of an empty table":
            await connection.execute(
                "TRUNCATE goconductor.sagas, goconductor.saga_log, goconductor.leases, goconductor.start_keys"
            )
            await connection.execute("VACUUM ANALYZE")
        await fill(connection, ROWS)
        if statistics == "fresh":
            await connection.execute("ANALYZE")
        bad = {}
        for statement in sorted(sent):
            plan = await plan_of(connection, statement)
            if found := faults(plan):
                bad[statement] = (found, plan)
    assert not bad, "\n\n".join(f"{statement}\n{found}\n{plan}" for statement, (found, plan) in bad.items())


async def test_every_statement_on_a_large_table_names_the_sagas_id(stores: list[PostgresStore]) -> None:
    """So that they can be distributed by it: no join, no lookup and no write without it, but for what a leader asks of a time."""
    for statement in sorted(await lived(stores)):
        text = " ".join(statement.split())
        assert "saga_id" in text, statement
        for table in ("sagas", "saga_log", "leases"):
            for alias in re.findall(rf"goconductor\.{table}(?: AS)? (\w)\b", text):
                by_id = re.search(rf"\b{alias}\.saga_id (?:=|>|<) ", text)
                assert by_id or any(f"{alias}.{time}" in text for time in BY_TIME) or f"AS {alias} (saga_id" in text, (
                    table,
                    statement,
                )


async def test_the_hot_statements_are_among_those_that_were_sent(stores: list[PostgresStore]) -> None:
    """Else the tests above would be true of nothing."""
    sent = {" ".join(text.split()) for text in await lived(stores)}
    writing = (writes.START, *writes.START_ALONE.values(), writes.APPEND, *writes.APPEND_ALONE.values())
    leasing = (leases.ACQUIRE, leases.RENEW, leases.RELEASE)
    hot = (*writing, *leasing, starts.START_KEYS, tails.HEADS, tails.TAILS, recovery.DUE, recovery.LIVE)
    missing = [text for text in hot if " ".join(text.split()) not in sent]
    assert not missing
    assert len([text for text in STATEMENTS.values() if " ".join(text.split()) in sent]) == 3  # of leases, keys and sagas


async def test_a_plan_that_reads_a_large_table_is_seen(stores: list[PostgresStore], postgres_url: str) -> None:
    await stores[0].open()
    connection = await asyncpg.connect(postgres_url)
    try:
        await fill(connection, 100)
        assert faults(await plan_of(connection, "SELECT count(*) FROM goconductor.sagas")) != []
        assert faults(await plan_of(connection, "SELECT * FROM goconductor.saga_log ORDER BY at")) != []
        volatile = "SELECT * FROM goconductor.sagas WHERE wake_at < clock_timestamp() ORDER BY wake_at LIMIT 5"
        assert faults(await plan_of(connection, volatile)) != []
        assert faults(await plan_of(connection, "SELECT * FROM goconductor.sagas ORDER BY updated_at LIMIT 5")) != []
    finally:
        await connection.close()
