"""What READ COMMITTED makes of the protocol's statements, tried on a real server with two to four sessions.

The models take a look and a write as one move where the key's row, or the head, is locked. These trials are why that may be
said, and why it may not be said of one statement alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from goconductor.testing.contracts.store.material import eventually

pytestmark = pytest.mark.postgres

SCHEMA = """
    CREATE TABLE sagas (saga_id bigint PRIMARY KEY, seq int NOT NULL DEFAULT 1, status text NOT NULL DEFAULT 'running');
    CREATE TABLE keys (key text PRIMARY KEY, holder bigint);
    CREATE TABLE places (key text, n bigint, saga_id bigint, PRIMARY KEY (key, n));
"""
LOCK_ROW = "SELECT FROM keys WHERE key = 'k' FOR UPDATE"
TAKE = """
    UPDATE keys SET holder = $1 WHERE key = 'k' AND (holder IS NULL OR NOT EXISTS (
        SELECT FROM sagas WHERE saga_id = keys.holder AND status = 'running'))
"""
PLACE = "INSERT INTO places SELECT 'k', (SELECT coalesce(max(n), 0) + 1 FROM places WHERE key = 'k'), $1"
CIRCLE = """
    WITH RECURSIVE edge (waits, holds) AS (
        SELECT places.saga_id, keys.holder FROM places JOIN keys USING (key) WHERE keys.holder <> places.saga_id
    ), reached (waits, holds) AS (
        SELECT waits, holds FROM edge WHERE waits = $1
        UNION SELECT reached.waits, edge.holds FROM reached JOIN edge ON edge.waits = reached.holds
    ) SELECT count(*) > 0 FROM reached WHERE holds = $1
"""


class Sessions:
    """Sessions of one database, by name."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: list[asyncpg.Connection[Any]] = []

    async def open(self) -> asyncpg.Connection[Any]:
        session = await asyncpg.connect(self._url)
        self._open.append(session)
        return session

    async def close(self) -> None:
        for session in self._open:
            await session.close(timeout=60)

    async def waits(self, session: asyncpg.Connection[Any], watcher: asyncpg.Connection[Any]) -> None:
        """Until the session waits for a lock."""

        async def is_waiting() -> bool:
            what = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1"
            return bool(await watcher.fetchval(what, session.get_server_pid()) == "Lock")

        await eventually(is_waiting)


@pytest.fixture
async def sessions(postgres_url: str) -> AsyncIterator[Sessions]:
    sessions = Sessions(postgres_url)
    first = await sessions.open()
    await first.execute(SCHEMA)
    yield sessions
    await sessions.close()


async def test_one_statement_takes_a_key_from_a_living_saga(sessions: Sessions) -> None:
    nine, three, watcher = await sessions.open(), await sessions.open(), await sessions.open()
    await watcher.execute("INSERT INTO sagas VALUES (1, 1, 'completed'), (3, 1, 'running'); INSERT INTO keys VALUES ('k', 1)")
    async with nine.transaction():
        await nine.execute(LOCK_ROW)
        late = asyncio.create_task(three.execute(TAKE, 3))
        await sessions.waits(three, watcher)
        await watcher.execute("INSERT INTO sagas VALUES (9)")  # saga 9 begins after the other statement's snapshot
        assert await nine.execute(TAKE, 9) == "UPDATE 1"
    assert await late == "UPDATE 1"
    assert await watcher.fetchval("SELECT holder FROM keys") == 3  # and saga 9 believes that it holds the key


async def test_the_row_first_then_the_heads_is_right(sessions: Sessions) -> None:
    nine, three, watcher = await sessions.open(), await sessions.open(), await sessions.open()
    await watcher.execute("INSERT INTO sagas VALUES (1, 1, 'completed'), (3, 1, 'running'); INSERT INTO keys VALUES ('k', 1)")

    async def take() -> str:
        async with three.transaction():
            await three.execute(LOCK_ROW)
            return await three.execute(TAKE, 3)

    async with nine.transaction():
        await nine.execute(LOCK_ROW)
        late = asyncio.create_task(take())
        await sessions.waits(three, watcher)
        await watcher.execute("INSERT INTO sagas VALUES (9)")
        assert await nine.execute(TAKE, 9) == "UPDATE 1"
    assert await late == "UPDATE 0"
    assert await watcher.fetchval("SELECT holder FROM keys") == 9


async def test_a_number_in_the_queue_is_drawn_under_the_rows_lock(sessions: Sessions) -> None:
    first, second, watcher = await sessions.open(), await sessions.open(), await sessions.open()
    await watcher.execute("INSERT INTO keys VALUES ('k', 1)")
    alone = f"WITH row AS MATERIALIZED ({LOCK_ROW}) {PLACE} FROM row"
    async with first.transaction():
        await first.execute(alone, 2)
        late = asyncio.create_task(second.execute(alone, 3))
        await sessions.waits(second, watcher)
    with pytest.raises(asyncpg.UniqueViolationError):
        await late

    async def place() -> None:
        async with second.transaction():
            await second.execute(LOCK_ROW)
            await second.execute(PLACE, 3)

    await watcher.execute("DELETE FROM places")
    async with first.transaction():
        await first.execute(LOCK_ROW)
        await first.execute(PLACE, 2)
        placed = asyncio.create_task(place())
        await sessions.waits(second, watcher)
    await placed
    assert [tuple(row) for row in await watcher.fetch("SELECT n, saga_id FROM places ORDER BY n")] == [(1, 2), (2, 3)]


async def test_a_place_and_a_look_in_one_transaction_miss_the_end(sessions: Sessions) -> None:
    waiter, holder = await sessions.open(), await sessions.open()
    status, queue = "SELECT status FROM sagas WHERE saga_id = 1", "SELECT saga_id FROM places WHERE key = 'k'"
    await holder.execute("INSERT INTO sagas VALUES (1), (2); INSERT INTO keys VALUES ('k', 1)")
    async with waiter.transaction():
        await waiter.execute(LOCK_ROW)
        await waiter.execute(PLACE, 2)
        seen = await waiter.fetchval(status)
        await holder.execute("UPDATE sagas SET status = 'completed' WHERE saga_id = 1")
        to_wake = await holder.fetch(queue)
    assert (seen, to_wake) == ("running", [])  # neither sees the other: nobody wakes
    await holder.execute("UPDATE sagas SET status = 'running'")
    assert await waiter.fetchval(queue) == 2  # the place was committed first; now whoever is second sees the first
    await holder.execute("UPDATE sagas SET status = 'completed' WHERE saga_id = 1")
    assert (await waiter.fetchval(status), await holder.fetchval(queue)) == ("completed", 2)


async def test_two_that_begin_to_wait_find_their_circle_after_the_commit(sessions: Sessions) -> None:
    first, second = await sessions.open(), await sessions.open()
    await first.execute("INSERT INTO sagas VALUES (1), (2); INSERT INTO keys VALUES ('k', 1), ('l', 2)")
    async with first.transaction(), second.transaction():
        await first.execute("INSERT INTO places VALUES ('l', 1, 1)")
        await second.execute("INSERT INTO places VALUES ('k', 1, 2)")
        inside = [await first.fetchval(CIRCLE, 1), await second.fetchval(CIRCLE, 2)]
    assert inside == [False, False]
    assert [await first.fetchval(CIRCLE, 1), await second.fetchval(CIRCLE, 2)] == [True, True]


@pytest.mark.parametrize(("how", "deadlocks"), [("FOR SHARE", 1), ("", 0)])
async def test_heads_that_are_read_plainly_do_not_deadlock(sessions: Sessions, how: str, deadlocks: int) -> None:
    ends, takes, watcher = await sessions.open(), await sessions.open(), await sessions.open()
    await watcher.execute("INSERT INTO sagas VALUES (1), (2); INSERT INTO keys VALUES ('k', 1)")

    async def frees() -> None:
        async with ends.transaction():
            await ends.execute("UPDATE sagas SET status = 'completed' WHERE saga_id = 1")
            head_is_ours.set()
            await row_is_theirs.wait()
            await ends.execute("UPDATE keys SET holder = NULL WHERE holder = 1")

    async def looks() -> None:
        async with takes.transaction():
            await head_is_ours.wait()
            await takes.execute(LOCK_ROW)
            row_is_theirs.set()
            await sessions.waits(ends, watcher)
            await takes.execute(f"SELECT status FROM sagas WHERE saga_id = 1 {how}")

    head_is_ours, row_is_theirs = asyncio.Event(), asyncio.Event()
    results = await asyncio.gather(frees(), looks(), return_exceptions=True)
    assert sum(isinstance(result, asyncpg.DeadlockDetectedError) for result in results) == deadlocks


async def test_a_row_that_is_deleted_is_inserted_again(sessions: Sessions) -> None:
    leader, waiter, watcher = await sessions.open(), await sessions.open(), await sessions.open()
    await watcher.execute("INSERT INTO keys VALUES ('k', NULL)")
    async with leader.transaction():
        await leader.execute("DELETE FROM keys WHERE key = 'k'")
        late = asyncio.create_task(waiter.fetch(LOCK_ROW))
        await sessions.waits(waiter, watcher)
    assert await late == []
    async with waiter.transaction():
        await waiter.execute("INSERT INTO keys VALUES ('k', NULL) ON CONFLICT DO NOTHING")
        assert len(await waiter.fetch(LOCK_ROW)) == 1


async def test_a_holder_that_retention_dropped_has_no_ended_head(sessions: Sessions) -> None:
    session = await sessions.open()
    await session.execute("INSERT INTO keys VALUES ('k', 1)")
    ended = "SELECT EXISTS (SELECT FROM sagas WHERE saga_id = 1 AND status = 'completed')"
    assert await session.fetchval(ended) is False
    await session.execute("BEGIN")
    await session.execute(LOCK_ROW)
    assert await session.execute(TAKE, 2) == "UPDATE 1"
    await session.execute("COMMIT")


async def test_a_plain_exists_lets_a_late_child_start(sessions: Sessions) -> None:
    parent, child, watcher = await sessions.open(), await sessions.open(), await sessions.open()
    start = """
        WITH parent AS MATERIALIZED (SELECT saga_id FROM sagas WHERE saga_id = 1 AND status = 'running' {how})
        INSERT INTO sagas SELECT {number}, 1, 'running' FROM parent
    """
    await watcher.execute("INSERT INTO sagas VALUES (1)")
    async with parent.transaction():
        await parent.execute("UPDATE sagas SET status = 'terminated' WHERE saga_id = 1")
        assert await child.execute(start.format(how="", number=100)) == "INSERT 0 1"
        guarded = asyncio.create_task(child.execute(start.format(how="FOR SHARE", number=101)))
        await sessions.waits(child, watcher)
    assert await guarded == "INSERT 0 0"
