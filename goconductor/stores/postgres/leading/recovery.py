"""What only the leader does: find the sagas that are due, put them off, free leases, notice that all leases are gone.

What has no seq to guard it is guarded by the epoch, in the same statement: see :mod:`goconductor.stores.postgres.leading.terms`.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from goconductor.ports.store import Head, Known, Lease, Sweep
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.timelines import PROMOTED_AT
from goconductor.stores.postgres.leading.terms import FENCE, fenced
from goconductor.stores.postgres.log.batch import Columns, columns, held_columns
from goconductor.stores.postgres.log.rows import HEAD_COLUMNS, LEASE_COLUMNS, OVER, head_of, lease_of
from goconductor.stores.postgres.log.statement import statement
from goconductor.stores.postgres.log.writes import LED

_did = msgspec.json.Decoder(dict[str, int])

# The time is asked for in a query of its own: a volatile function is no bound of an index, which would be read to its end.
DUE = statement(
    f"""
SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s
WHERE s.wake_at IS NOT NULL AND s.wake_at <= (SELECT clock_timestamp())
ORDER BY s.wake_at LIMIT :limit
""",
    limit="bigint",
)

LIVE = statement(
    f"""
SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s
WHERE s.wake_at IS NOT NULL AND s.saga_id > :after
ORDER BY s.saga_id LIMIT :limit
""",
    after="uuid",
    limit="bigint",
)

CALM = f"""
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now,
        NOT EXISTS (SELECT FROM goconductor.lease_marker) AS emptied,
        extract(epoch FROM emptied_at)::float8 AS emptied_at,
        extract(epoch FROM greatest(pg_postmaster_start_time(), {PROMOTED_AT}, (
            SELECT max(backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer'
        )))::float8 AS since
    FROM goconductor.leadership WHERE single
"""

NOTE_EMPTIED = f"""
    UPDATE goconductor.leadership SET emptied_at = coalesce(
        emptied_at, CASE WHEN to_timestamp($2::float8) > marked_at THEN to_timestamp($2::float8) END, clock_timestamp()
    )
    WHERE {LED} AND epoch = $1 RETURNING extract(epoch FROM emptied_at)::float8
"""


class PostgresRecovery:
    """The leader's statements, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def due(self, limit: int) -> list[Head]:
        async with self._sessions.use() as connection:
            return [head_of(row) for row in await connection.fetch(self._address.sql(DUE), limit)]

    async def live(self, limit: int, *, after: UUID | None = None) -> list[Head]:
        async with self._sessions.use() as connection:
            rows = await connection.fetch(self._address.sql(LIVE), after or UUID(int=0), limit)
        return [head_of(row) for row in rows]

    async def weigh(self, saga_ids: Sequence[UUID]) -> list[int]:
        """Return the sizes of logs. What was compressed or put aside is not fetched for that."""
        statement = """
            SELECT (SELECT coalesce(sum(pg_column_size(e.data)), 0)::bigint FROM goconductor.saga_log AS e
                WHERE e.saga_id = u.saga_id)
            FROM unnest($1::uuid[]) WITH ORDINALITY AS u(saga_id, i) ORDER BY u.i
        """
        async with self._sessions.use() as connection:
            return [row[0] for row in await connection.fetch(self._address.sql(statement), saga_ids)]

    async def postpone(self, heads: Sequence[tuple[Known, float]], *, epoch: int) -> None:
        rows = sorted(((known.saga_id, known.seq, known.tag, wake_at) for known, wake_at in heads), key=lambda row: row[0].bytes)
        await self._fenced(
            """
            UPDATE goconductor.sagas AS s SET wake_at = to_timestamp(u.wake_at)
            FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::float8[]) AS u(saga_id, seq, tag, wake_at)
            WHERE s.saga_id = u.saga_id AND s.seq = u.seq AND s.tag = u.tag AND EXISTS (SELECT FROM fence)
            """,
            epoch,
            columns(rows, 4),
        )

    async def rest(self, heads: Sequence[Known]) -> None:
        rows = sorted(((known.saga_id, known.seq, known.tag) for known in heads), key=lambda row: row[0].bytes)
        statement = f"""
            UPDATE goconductor.sagas AS s SET wake_at = NULL
            FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS u(saga_id, seq, tag)
            WHERE s.saga_id = u.saga_id AND s.seq = u.seq AND s.tag = u.tag AND s.status IN {OVER}
        """
        async with self._sessions.use() as connection:
            await connection.execute(self._address.sql(statement), *columns(rows, 3))

    async def leases(self, saga_ids: Sequence[UUID]) -> list[Lease]:
        """List the leases of sagas, expired ones too, as only their holder or the leader takes them away."""
        statement = f"""
            SELECT {LEASE_COLUMNS}
            FROM unnest($1::uuid[]) AS u(saga_id) JOIN goconductor.leases AS l ON l.saga_id = u.saga_id
            ORDER BY l.saga_id, l.step, l.direction, l.round
        """
        async with self._sessions.use() as connection:
            return [lease_of(row) for row in await connection.fetch(self._address.sql(statement), list(set(saga_ids)))]

    async def free(self, leases: Sequence[Lease], *, epoch: int) -> None:
        await self._fenced(
            """
            DELETE FROM goconductor.leases AS l
            USING unnest($2::uuid[], $3::text[], $4::text[], $5::int[], $6::int[], $7::bigint[])
                AS u(saga_id, step, direction, round, instance, token)
            WHERE l.saga_id = u.saga_id AND l.step = u.step AND l.direction = u.direction AND l.round = u.round
            AND l.instance = u.instance AND l.token = u.token AND EXISTS (SELECT FROM fence)
            """,
            epoch,
            held_columns(sorted(leases, key=lambda lease: lease.key)),
        )

    async def calm_seconds(self, *, epoch: int) -> float:
        """Return for how long leases can be relied on.

        When a backend is killed, the server's first process stays and all others are new.

        A crash empties the leases with a start, a promotion with a timeline. Where neither came since the marker was last set, it
        was somebody's hand, and what counts is when a leader noticed: that is written down, for the leaders after this one.
        """
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(CALM))
            assert row is not None  # noqa: S101  (it selects one)
            since, emptied_at = row["since"], row["emptied_at"]
            if row["emptied"] and emptied_at is None:
                emptied_at = await connection.fetchval(self._address.sql(NOTE_EMPTIED), epoch, since)
                if emptied_at is None:
                    raise fenced(epoch)
            return float(row["now"] - (max(since, emptied_at) if row["emptied"] else since))

    async def leases_truncated(self) -> bool:
        """Return whether the marker is gone: a crash of the database empties its table with that of the leases."""
        statement = self._address.sql("SELECT NOT EXISTS (SELECT FROM goconductor.lease_marker)")
        async with self._sessions.use() as connection:
            return bool(await connection.fetchval(statement))

    async def acknowledge_truncation(self, *, epoch: int) -> None:
        """Set the marker again. The row of the leader is changed first: it is the fence."""
        statement = f"""
            WITH fence AS (
                UPDATE goconductor.leadership SET emptied_at = NULL, marked_at = clock_timestamp()
                WHERE {LED} AND epoch = $1 RETURNING epoch
            ), change AS (
                INSERT INTO goconductor.lease_marker SELECT true FROM fence ON CONFLICT DO NOTHING
            )
            SELECT EXISTS (SELECT FROM fence)
        """
        async with self._sessions.use() as connection:
            if not await connection.fetchval(self._address.sql(statement), epoch):
                raise fenced(epoch)

    async def note_sweep(self, did: Mapping[str, int], *, epoch: int) -> None:
        """Keep the report in the leader's row, which is the fence."""
        statement = f"""
            UPDATE goconductor.leadership SET swept_at = clock_timestamp(), swept_epoch = epoch, swept = $2
            WHERE {LED} AND epoch = $1 RETURNING epoch
        """
        async with self._sessions.use() as connection:
            noted = await connection.fetchval(self._address.sql(statement), epoch, msgspec.json.encode(did))
        if noted is None:
            raise fenced(epoch)

    async def last_sweep(self) -> Sweep | None:
        statement = """
            SELECT extract(epoch FROM swept_at)::float8 AS at, swept_epoch, swept FROM goconductor.leadership
            WHERE single AND swept_at IS NOT NULL
        """
        async with self._sessions.use() as connection:
            row: Row | None = await connection.fetchrow(self._address.sql(statement))
        return Sweep(at=row["at"], epoch=row["swept_epoch"], did=_did.decode(row["swept"])) if row else None

    async def _fenced(self, change: str, epoch: int, arguments: Columns) -> None:
        statement = f"WITH {FENCE}, change AS ({change}) SELECT EXISTS (SELECT FROM fence)"
        async with self._sessions.use() as connection:
            if not await connection.fetchval(self._address.sql(statement), epoch, *arguments):
                raise fenced(epoch)
