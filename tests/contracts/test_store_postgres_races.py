"""Two at once, where it matters who sees what: each test is a hole that a draft of the protocol had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import uuid4

import asyncpg
import pytest

from goconductor.errors import FencedError
from goconductor.ports.store import Known, Tail, Verdict
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.stores.postgres.log.tails import TailReader
from goconductor.testing.contracts.store.material import (
    Saga,
    acquire,
    advance,
    begin,
    event,
    eventually,
    head_of,
    hold,
    lead,
    take,
    tokens,
    wish,
)
from tests.contracts.patient_store import PATIENT

pytestmark = pytest.mark.postgres

Blocked = Callable[[], Awaitable[None]]


@pytest.fixture
async def store(postgres_url: str, patient_starts: None) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url, **PATIENT)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def other(store: PostgresStore, postgres_url: str) -> AsyncIterator[PostgresStore]:
    other = PostgresStore(postgres_url, **PATIENT)
    await other.open()
    yield other
    await other.close()


@pytest.fixture
async def one_waits(postgres_url: str, hand: Connection) -> AsyncIterator[Blocked]:
    """Returns when some statement in the database waits for a lock."""
    watcher = await asyncpg.connect(postgres_url)

    async def is_blocked() -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return bool(await watcher.fetchval(waiting))

    async def wait() -> None:
        await eventually(is_blocked)

    yield wait
    await watcher.close()


async def test_a_head_is_read_after_the_wait_for_its_lease(store: PostgresStore, hand: Connection, one_waits: Blocked) -> None:
    """Hole 3: in one statement, the head would come from before the wait."""
    saga = await begin(store)
    lease = await hold(store, saga.lease(), seconds=0.0)
    async with hand.transaction():
        await hand.execute("UPDATE goconductor.sagas SET seq = 2, tag = 22 WHERE saga_id = $1", saga.saga_id)
        await hand.execute(
            "INSERT INTO goconductor.saga_log"
            " (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)"
            " SELECT saga_id, 2, 22, $2, 'Two', '', 0, 0, 0, '', '{}', now()"
            " FROM goconductor.sagas WHERE saga_id = $1",
            saga.saga_id,
            uuid4(),
        )
        await hand.execute("DELETE FROM goconductor.leases WHERE token = $1", lease.token)
        acquiring = asyncio.create_task(acquire(store, saga.lease(), saga.known))
        await one_waits()
    acquired = await acquiring
    assert acquired.granted
    assert acquired.tail.head is not None
    assert acquired.tail.head.seq == 2
    assert [entry.event for entry in acquired.tail.entries] == ["Two"]


async def test_acquirer_and_decider_do_not_miss_each_other(
    store: PostgresStore, other: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hole 3: a lease is there for others before its acquirer reads the head."""
    saga = await begin(store)
    lease = saga.lease()
    leased, go_on = asyncio.Event(), asyncio.Event()
    read = TailReader.read

    async def read_later(reader: TailReader, connection: Connection, known: Sequence[Known]) -> list[Tail]:
        leased.set()
        await go_on.wait()
        return await read(reader, connection, known)

    monkeypatch.setattr(TailReader, "read", read_later)
    acquiring = asyncio.create_task(acquire(store, lease, saga.known))
    await leased.wait()
    await advance(other, saga)
    assert await tokens(other, saga) == {lease.token}
    go_on.set()
    head = (await acquiring).tail.head
    assert head is not None
    assert head.seq == 2


async def test_a_living_lease_is_not_waited_for(store: PostgresStore, other: PostgresStore, hand: Connection) -> None:
    """Hole 25: who waits for a lease that its holder is about to release, while it holds others, makes a deadlock."""
    saga, free = await begin(store), await begin(store)
    living = await hold(store, saga.lease())
    async with hand.transaction():
        await hand.execute("DELETE FROM goconductor.leases WHERE token = $1", living.token)
        async with asyncio.timeout(300):
            acquired = await store.leases.acquire([wish(free.lease()), wish(saga.lease())])
            renewed = await store.leases.renew([saga.lease()], 60.0)
            [outcome] = await other.log.append([saga.append(take=[take(saga.lease())])])
    assert [answer.granted for answer in acquired] == [True, False]
    assert renewed == set()
    assert (outcome.verdict, outcome.took) == (Verdict.WON, [])


async def test_a_renewal_under_way_brings_no_released_lease_back(
    store: PostgresStore, other: PostgresStore, hand: Connection, one_waits: Blocked
) -> None:
    """Hole 45: it waits at one lease's row; another that it names is released meanwhile, and its step has ended."""
    first, second = sorted([await begin(store), await begin(store)], key=lambda saga: saga.saga_id)
    locked, released = await hold(store, first.lease()), await hold(store, second.lease())
    async with hand.transaction():
        await hand.execute("SELECT FROM goconductor.leases WHERE token = $1 FOR UPDATE", locked.token)
        renewing = asyncio.create_task(store.leases.renew([locked, released], 60.0))
        await one_waits()
        await other.leases.release([released])
    assert await renewing == {locked.key}
    assert await tokens(store, second) == set()


async def test_a_renewal_that_waits_for_the_release_of_its_lease_does_not_bring_it_back(
    store: PostgresStore, hand: Connection, one_waits: Blocked
) -> None:
    saga = await begin(store)
    lease = await hold(store, saga.lease())
    async with hand.transaction():
        await hand.execute("DELETE FROM goconductor.leases WHERE token = $1", lease.token)
        renewing = asyncio.create_task(store.leases.renew([lease], 60.0))
        await one_waits()
    assert await renewing == set()
    assert await tokens(store, saga) == set()


async def test_an_old_epochs_write_waits_for_the_new_epoch_and_is_refused(
    store: PostgresStore, hand: Connection, one_waits: Blocked
) -> None:
    """Hole 16: a mere look at the epoch reads a snapshot, and the old epoch writes."""
    epoch = await lead(store)
    saga = await begin(store)
    lease = await hold(store, saga.lease())
    async with hand.transaction():
        await hand.execute("UPDATE goconductor.leadership SET epoch = epoch + 1")
        writing = [
            asyncio.create_task(store.recovery.free([lease], epoch=epoch)),
            asyncio.create_task(store.log.append([saga.append(epoch=epoch)])),
            asyncio.create_task(store.recovery.postpone([(saga.known, 1.0)], epoch=epoch)),
        ]
        await one_waits()
    freed, appended, postponed = await asyncio.gather(*writing, return_exceptions=True)
    assert isinstance(freed, FencedError)
    assert isinstance(postponed, FencedError)
    assert isinstance(appended, list)
    assert [outcome.verdict for outcome in appended] == [Verdict.FENCED]
    assert await tokens(store, saga) == {lease.token}
    assert (await head_of(store, saga)).seq == 1


async def test_a_new_epoch_waits_for_the_old_ones_write(store: PostgresStore, hand: Connection, one_waits: Blocked) -> None:
    old = await lead(store)
    async with hand.transaction():
        await hand.execute("SELECT FROM goconductor.leadership FOR SHARE")
        leading = asyncio.create_task(lead(store))
        await one_waits()
        assert not leading.done()
    assert await leading == old + 1


@pytest.mark.parametrize("commits", [True, False])
async def test_who_loses_the_race_for_a_start_key_is_told_the_winner(
    store: PostgresStore, hand: Connection, one_waits: Blocked, *, commits: bool
) -> None:
    """Hole 28: the loser's own statement does not see the winner."""
    winner, late = uuid4(), Saga()
    transaction = hand.transaction()
    await transaction.start()
    await hand.execute(
        "INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash)"
        " VALUES ('default', 'order', 'k', $1, 'same')",
        winner,
    )
    starting = asyncio.create_task(store.starts.start([late.start(key="k", input_hash=b"same")]))
    await one_waits()
    await (transaction.commit() if commits else transaction.rollback())
    [outcome] = await starting
    expected = (Verdict.ALREADY_STARTED, winner) if commits else (Verdict.WON, None)
    assert (outcome.verdict, outcome.existing) == expected


async def test_two_appends_at_one_head_wait_for_each_other_and_one_wins(
    store: PostgresStore, hand: Connection, one_waits: Blocked
) -> None:
    saga = await begin(store)
    lease = saga.lease()
    async with hand.transaction():
        await hand.execute("UPDATE goconductor.sagas SET seq = 2, tag = 22 WHERE saga_id = $1", saga.saga_id)
        appending = asyncio.create_task(store.log.append([saga.append(take=[take(lease)])]))
        await one_waits()
    [outcome] = await appending
    assert (outcome.verdict, outcome.took) == (Verdict.CONFLICT, [])
    assert len(await store.sagas.history(saga.saga_id)) == 1
    assert await tokens(store, saga) == set()


async def test_a_lost_timeline_is_noticed_by_reader_and_writer(store: PostgresStore, hand: Connection) -> None:
    """Hole 12: after a failover that lost commits, the same seq means something else."""
    saga = await begin(store)
    first = Saga(saga.saga_id, saga.seq, saga.tag)
    await advance(store, saga, event("Lost"))
    await hand.execute("DELETE FROM goconductor.saga_log WHERE saga_id = $1 AND seq = 2", saga.saga_id)
    await hand.execute("UPDATE goconductor.sagas SET seq = 1, tag = $2 WHERE saga_id = $1", saga.saga_id, first.tag)
    [shorter] = await store.log.read([saga.known])
    assert (shorter.rebased, [entry.seq for entry in shorter.entries]) == (True, [1])
    await advance(store, first, event("True"))
    [tail] = await store.log.read([saga.known])
    assert (tail.rebased, [entry.event for entry in tail.entries]) == (True, ["SagaStarted", "True"])
    [outcome] = await store.log.append([saga.append()])
    assert outcome.verdict == Verdict.CONFLICT


async def test_events_carry_the_transaction_that_wrote_them(store: PostgresStore, hand: Connection) -> None:
    """A cursor over the log reads below the oldest transaction that still runs."""
    saga = await begin(store)
    await advance(store, saga, event(), event())
    rows = await hand.fetch("SELECT xid FROM goconductor.saga_log WHERE saga_id = $1 ORDER BY seq", saga.saga_id)
    start, first, second = (row["xid"] for row in rows)
    assert start < first == second < await hand.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())")
