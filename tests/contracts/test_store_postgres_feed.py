"""The order of all events on PostgreSQL: commits that come late, restored data, a promotion, and what reading a page costs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec.structs import replace

from goconductor.errors import ConfigurationError, CursorLostError
from goconductor.ports.store import FeedPosition
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.stores.postgres.database.feed_index import IS_VALID
from goconductor.stores.postgres.leading import feed
from goconductor.testing.contracts.store.leading.feeding import all_behind, all_of, seqs
from goconductor.testing.contracts.store.material import Saga, advance, begin, event, lead

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    await migrate(postgres_url, feed=True)
    opened = PostgresStore(postgres_url)
    await opened.open()
    yield opened
    await opened.close()


async def test_what_commits_late_is_not_passed_over(store: PostgresStore, hand: Connection) -> None:
    start = await store.feed.end()
    late, soon = Saga(), []
    async with hand.transaction():
        await store.starts.start_in(hand, late.start())
        soon += [await begin(store) for _ in range(3)]
        assert (await store.feed.lag(start)).entries == 3
        found, cursor = await all_behind(store, start)
        assert found == []  # they wait for the one that is open, and are not lost
    found = await all_of(store, cursor, 4)
    assert seqs(found) == {saga.saga_id: [1] for saga in (late, *soon)}
    assert found[0].saga_id == late.saga_id


async def test_a_transaction_that_only_reads_holds_nobody_up(store: PostgresStore, hand: Connection) -> None:
    start = await store.feed.end()
    async with hand.transaction(isolation="repeatable_read"):
        await hand.fetch("SELECT count(*) FROM goconductor.sagas")
        await begin(store)
        assert len(await all_of(store, start, 1)) == 1


async def test_a_transaction_that_is_given_up_leaves_nothing(store: PostgresStore, hand: Connection) -> None:
    start = await store.feed.end()
    begun = hand.transaction()
    await begun.start()
    await store.starts.start_in(hand, Saga().start())
    after = await begin(store)
    await begun.rollback()
    assert seqs(await all_of(store, start, 1)) == {after.saga_id: [1]}


@pytest.mark.parametrize("shift", [1_000_000_000, -50], ids=["numbers behind", "numbers ahead"])
async def test_restored_data_go_on_where_the_position_was(store: PostgresStore, hand: Connection, shift: int) -> None:
    """A restore writes the rows anew, with the numbers that another server gave them."""
    told, untold = await begin(store), []
    epoch = await lead(store)
    read = await all_of(store, await store.feed.beginning(), 1)
    await advance(store, told)
    untold += [await begin(store) for _ in range(2)]
    await store.feed.keep("events", FeedPosition(cursor=read[0].cursor, reached_at=1.0), epoch=epoch)
    await hand.execute(
        f"""
        CREATE TEMP TABLE dump AS SELECT * FROM goconductor.saga_log;
        UPDATE dump SET xid = (xid::text::bigint + {shift})::text::xid8;
        TRUNCATE goconductor.saga_log;
        INSERT INTO goconductor.saga_log SELECT * FROM dump;
        CREATE TEMP TABLE positions AS SELECT * FROM goconductor.feeds;
        TRUNCATE goconductor.feeds;
        INSERT INTO goconductor.feeds SELECT name,
            regexp_replace(cursor, '[nar]\\.[0-9]+', 'n.' || (split_part(cursor, '.', 4)::bigint + {shift})), reached_at,
            (xid::text::bigint + {shift})::text::xid8
        FROM positions;
        """
    )
    after = await begin(store)
    await advance(store, untold[0])
    position = await store.feed.position("events")
    assert position is not None
    found = await all_of(store, position.cursor, 5)
    assert seqs(found) == {told.saga_id: [2], untold[0].saga_id: [1, 2], untold[1].saga_id: [1], after.saga_id: [1]}
    cursor = (await all_behind(store, position.cursor))[1]
    await store.feed.keep("events", replace(position, cursor=cursor), epoch=epoch)
    later = await begin(store)
    position = await store.feed.position("events")
    assert position is not None
    assert seqs(await all_of(store, position.cursor, 1)) == {later.saga_id: [1]}
    assert seqs(await all_of(store, await store.feed.beginning(), 7))[told.saga_id] == [1, 2]
    end = await store.feed.end()
    last = await begin(store)
    assert seqs(await all_of(store, end, 1)) == {last.saga_id: [1]}


async def test_a_cursor_of_another_timeline_is_refused_and_a_kept_position_is_not(store: PostgresStore, hand: Connection) -> None:
    place = feed.Place.of(await store.feed.end())
    other = place._replace(timeline=place.timeline + 1)
    with pytest.raises(CursorLostError, match="begin without a cursor"):
        await store.feed.read(str(other), limit=1)
    await store.feed.keep("events", FeedPosition(cursor=str(other), reached_at=1.0), epoch=await lead(store))
    position = await store.feed.position("events")
    assert position is not None
    saga = await begin(store)
    assert seqs(await all_of(store, position.cursor, 1)) == {saga.saga_id: [1]}


async def test_a_page_is_bounded_in_bytes(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    start = await store.feed.end()
    saga = await begin(store)
    for number in range(3):
        text = b"".join(b"%d" % (number * 7919 + place * place) for place in range(400_000))  # compresses badly
        await advance(store, saga, event(data=b'"' + text + b'"'))
    page = await store.feed.read(start, limit=100)
    while not page.entries:
        page = await store.feed.read(page.cursor, limit=100)
    assert page.full
    assert 1 <= len(page.entries) < 4
    assert seqs(await all_of(store, start, 4)) == {saga.saga_id: [1, 2, 3, 4]}


async def test_a_page_reads_no_more_than_it_has(store: PostgresStore, hand: Connection) -> None:
    """However many events and sagas there are: by the index, and each head by its key."""
    await hand.execute(
        """
        INSERT INTO goconductor.sagas (saga_id, started_at, saga, version, labels, last_instance, seq, tag, updated_at, status)
        SELECT gen_random_uuid(), now(), 'order', 'v', '{}', 1, 1, 1, now(), 'completed' FROM generate_series(1, 20000);
        INSERT INTO goconductor.saga_log
            (saga_id, seq, tag, token, at, round, attempt, event_id, event, step, participant, data, xid)
        SELECT saga_id, 1, 1, 0, now(), 0, 1, gen_random_uuid(), 'SagaStarted', '', '', '{}', (row_number() OVER ())::text::xid8
        FROM goconductor.sagas;
        ANALYZE goconductor.sagas; ANALYZE goconductor.saga_log;
        """
    )
    for statement in feed._PAGES.values():
        await hand.execute("SET plan_cache_mode = force_generic_plan")
        await hand.execute(f"PREPARE page (text, uuid, bigint, bigint) AS {statement}")
        plan = await hand.fetch(
            "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE page('17', '00000000-0000-0000-0000-000000000000', 0, 100)"
        )
        text = "\n".join(row[0] for row in plan)
        assert "Seq Scan" not in text, text
        assert "saga_log_xid" in text, text
        await hand.execute("DEALLOCATE page")


async def test_the_index_is_built_for_who_wants_it(postgres_url: str) -> None:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.open()
    hand = await asyncpg.connect(postgres_url)
    try:
        with pytest.raises(ConfigurationError, match="run `goconductor migrate`"):
            await store.feed.check()
        await hand.execute("CREATE INDEX saga_log_xid ON goconductor.saga_log (xid)")
        await hand.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'goconductor.saga_log_xid'::regclass")
        with pytest.raises(ConfigurationError, match="not whole"):
            await store.feed.check()
        for _ in range(2):
            await migrate(postgres_url, feed=True)
        await store.feed.check()
        assert await hand.fetchval(IS_VALID)
    finally:
        await hand.close()
        await store.close()


async def test_what_a_savepoint_wrote_is_read_beside_restored_data(store: PostgresStore, hand: Connection) -> None:
    """Such a row bears the number of the whole transaction, and its hidden one that of the part."""
    for _ in range(2):
        await begin(store)
    await hand.execute("UPDATE goconductor.saga_log SET xid = (xid::text::bigint + 1000000000)::text::xid8")
    end = await store.feed.end()
    before, nested, after = await begin(store), Saga(), None
    async with hand.transaction():
        await hand.execute("SELECT pg_current_xact_id()")
        async with hand.transaction():
            await store.starts.start_in(hand, nested.start())
    after = await begin(store)
    assert seqs(await all_of(store, end, 3)) == {saga.saga_id: [1] for saga in (before, nested, after)}
