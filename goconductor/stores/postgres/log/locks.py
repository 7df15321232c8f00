"""The table of locks: a row for each saga that holds a key, or waits for it.

Two looks at a key come one after the other, by an advisory lock that a transaction holds. Its number is made of the key, so there
is no row for a key that nobody holds, and nothing to clean away. Keys may share a number; then they wait for each other without
need, for a millisecond. A transaction takes its numbers in their order, so two of them never wait in a circle.

At READ COMMITTED a statement that waited for a lock would still see the heads as they were before. So the lock comes first, and
then, in a statement of its own, the rows and the heads as they are by now (read plainly: an append never waits for us). What
the rows mean, :mod:`goconductor.ports.store.log.queues` says. A place and a number of a holder are drawn from the table's own
sequence, under the key's lock, so they rise.
"""

# ruff: noqa: S608 - statements are put together from constants of this module

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec.structs import replace

from goconductor.lifecycle.facts.lock import Held, Wish
from goconductor.ports.store import LockCursor, LockRow, Looked
from goconductor.ports.store.log import queues
from goconductor.postgres.session import Usable, transaction
from goconductor.stores.postgres.database.dial import Address, Connection, Row
from goconductor.stores.postgres.log.batch import columns
from goconductor.stores.postgres.log.rows import OVER
from goconductor.stores.postgres.log.statement import statement

NUMBERS = 1_024
"""Advisory locks that there are: the server's memory for locks is bounded, and a transaction may ask for a thousand keys."""

_COLUMNS = """l.key, l.saga_id, l.shared, l.held, l.number, extract(epoch FROM l.since)::float8 AS since,
    coalesce(s.status, '') AS status, coalesce(s.seq, 0) AS seq, coalesce(s.tag, 0) AS tag,
    l.held AND coalesce(s.status, '') = 'terminated' AND (
        NOT EXISTS (SELECT FROM goconductor.lease_marker)
        OR EXISTS (SELECT FROM goconductor.leases AS e WHERE e.saga_id = l.saga_id AND e.expires_at > clock_timestamp())
    ) AS late"""
_OWN = "SELECT key FROM goconductor.locks WHERE saga_id = $1"
_LOCK = "SELECT pg_advisory_xact_lock('goconductor.locks'::regclass::oid::int4, n) FROM unnest($1::int[]) AS u(n)"
_ROWS = f"""
    SELECT {_COLUMNS} FROM goconductor.locks AS l LEFT JOIN goconductor.sagas AS s ON s.saga_id = l.saga_id
    WHERE l.key = ANY ($1::text[])
"""
_DROP = """
    WITH gone AS MATERIALIZED (
        SELECT l.key, l.saga_id FROM goconductor.locks AS l
        JOIN unnest($1::text[], $2::uuid[]) AS u(key, saga_id) ON l.key = u.key AND l.saga_id = u.saga_id
        ORDER BY l.key, l.saga_id FOR UPDATE OF l
    )
    DELETE FROM goconductor.locks AS l USING gone AS g WHERE l.key = g.key AND l.saga_id = g.saga_id
"""
"""Rows of several sagas. Retention takes them away too, in the same order, so neither waits for the other in a circle."""
_PUT = statement(
    """
INSERT INTO goconductor.locks (key, saga_id, shared, held)
SELECT u.key, :saga_id, u.shared, u.held FROM unnest(:key, :shared, :held) AS u(key, shared, held)
ON CONFLICT (key, saga_id) DO UPDATE
SET shared = excluded.shared, held = excluded.held, number = excluded.number, since = excluded.since
RETURNING key, number
""",
    saga_id="uuid",
    key="text[]",
    shared="boolean[]",
    held="boolean[]",
)
_STRENGTHEN = "UPDATE goconductor.locks SET shared = false WHERE saga_id = $1 AND key = ANY ($2::text[])"
_CIRCLE = f"""
WITH RECURSIVE waits (saga_id) AS (
    SELECT $1::uuid
    UNION
    SELECT n.saga_id FROM waits AS w JOIN goconductor.locks AS p ON p.saga_id = w.saga_id AND NOT p.held
    CROSS JOIN LATERAL (
        SELECT h.saga_id FROM goconductor.locks AS h WHERE h.key = p.key AND h.held
        UNION ALL (
            SELECT q.saga_id FROM goconductor.locks AS q JOIN goconductor.sagas AS s ON s.saga_id = q.saga_id
            WHERE q.key = p.key AND NOT q.held AND q.number < p.number AND s.status NOT IN {OVER} AND s.status <> 'paused'
            ORDER BY q.number LIMIT 1
        )
    ) AS n
)
SELECT {_COLUMNS} FROM waits AS w JOIN goconductor.locks AS l ON l.saga_id = w.saga_id
LEFT JOIN goconductor.sagas AS s ON s.saga_id = l.saga_id
"""
_PAGE = statement(
    f"""
SELECT {_COLUMNS} FROM goconductor.locks AS l LEFT JOIN goconductor.sagas AS s ON s.saga_id = l.saga_id
WHERE (:key IS NULL OR l.key = :key)
AND (:saga_id IS NULL OR l.key IN (SELECT k.key FROM goconductor.locks AS k WHERE k.saga_id = :saga_id))
AND (:after_key IS NULL OR (l.key COLLATE "C", NOT l.held, l.number) > (:after_key, :after_waits, :after_number))
ORDER BY l.key COLLATE "C", NOT l.held, l.number LIMIT :limit
""",
    key="text",
    saga_id="uuid",
    after_key="text",
    after_waits="boolean",
    after_number="bigint",
    limit="bigint",
)


class LockTable:
    """Locks, on the sessions for everybody.

    Args:
        sessions: those.
        address: the database and our schema.
        looks_max: how many looks may have a connection at once. A look waits for others at the same key on its connection, so a
            key that many want must not take all of them.
    """

    def __init__(self, sessions: Usable, address: Address, looks_max: int) -> None:
        self._sessions = sessions
        self._address = address
        self._looking = asyncio.Semaphore(looks_max)

    async def look(self, saga_id: UUID, wishes: Sequence[Sequence[Wish]], *, takes: bool = True, ended: bool = False) -> Looked:
        async with self._looking, self._sessions.use() as connection, transaction(connection):
            own = await connection.fetch(self._address.sql(_OWN), saga_id)
            keys = {wish.key for step in wishes for wish in step} | {row["key"] for row in own}
            if not keys:
                return Looked()
            await connection.execute(self._address.sql(_LOCK), sorted({_number(key) for key in keys}))
            rows = [LockRow(**row) for row in await connection.fetch(self._address.sql(_ROWS), sorted(keys))]
            changes, looked = queues.look(rows, saga_id, wishes, takes=takes, ended=ended)
            taken = await self._write(connection, saga_id, changes)
        return replace(looked, held=looked.held | taken) if taken else looked

    async def circle(self, saga_id: UUID) -> list[LockRow]:
        return await self._read(_CIRCLE, saga_id)

    async def rows(
        self, *, key: str | None = None, saga_id: UUID | None = None, after: LockCursor | None = None, limit: int
    ) -> list[LockRow]:
        return await self._read(_PAGE, key, saga_id, *(after or (None, None, None)), limit)

    async def _read(self, text: str, *arguments: object) -> list[LockRow]:
        async with self._sessions.use() as connection:
            rows: Iterable[Row] = await connection.fetch(self._address.sql(text), *arguments)
        return [LockRow(**row) for row in rows]

    async def _write(self, connection: Connection, saga_id: UUID, changes: queues.Changes) -> dict[str, Held]:
        if changes.drop:
            await connection.execute(self._address.sql(_DROP), *columns([(row.key, row.saga_id) for row in changes.drop], 2))
        if changes.strengthen:
            await connection.execute(self._address.sql(_STRENGTHEN), saga_id, changes.strengthen)
        put = [*((key, shared, True) for key, shared in changes.take.items())]
        put += [(key, shared, False) for key, shared in changes.place.items()]
        if not put:
            return {}
        drawn = await connection.fetch(self._address.sql(_PUT), saga_id, *columns(sorted(put), 3))
        numbers = {row["key"]: row["number"] for row in drawn}
        return {key: Held(numbers[key], shared) for key, shared in changes.take.items()}


def _number(key: str) -> int:
    """Return the number of a key's advisory lock, the same in every process."""
    return zlib.crc32(key.encode()) % NUMBERS
