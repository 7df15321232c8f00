"""Metrics that the leader reads. Nothing here reads a table to its end: see :mod:`goconductor.ports.bus_metrics`."""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from uuid import UUID

from goconductor.ports.bus_metrics import COUNTED_MAX
from goconductor.ports.store import StatusCounts, StoreMetrics
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.log.rows import OVER

# Other roles' sessions show their snapshots only to members of pg_read_all_stats; our own are always seen.
_METRICS = f"""
SELECT
    (SELECT count(*) FROM (SELECT FROM goconductor.sagas WHERE wake_at IS NOT NULL LIMIT {COUNTED_MAX}) counted) AS live,
    (SELECT count(*) FROM (SELECT FROM goconductor.sagas WHERE wake_at <= now() LIMIT {COUNTED_MAX}) counted) AS overdue,
    coalesce((
        SELECT greatest(0, extract(epoch FROM clock_timestamp() - wake_at))
        FROM goconductor.sagas WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1
    ), 0)::float8 AS overdue_seconds,
    coalesce((
        SELECT greatest(0, extract(epoch FROM clock_timestamp() - look_at))
        FROM goconductor.schedules WHERE look_at IS NOT NULL ORDER BY look_at LIMIT 1
    ), 0)::float8 AS schedules_overdue_seconds,
    coalesce((
        SELECT greatest(0, extract(epoch FROM clock_timestamp() - since))
        FROM goconductor.locks WHERE NOT held ORDER BY since LIMIT 1
    ), 0)::float8 AS locks_waited_seconds,
    coalesce((
        SELECT greatest(0, extract(epoch FROM clock_timestamp() - at))
        FROM goconductor.audit WHERE seq IS NULL ORDER BY id LIMIT 1
    ), 0)::float8 AS audit_unplaced_seconds,
    (SELECT count(*) FROM (SELECT FROM goconductor.dead_letters LIMIT {COUNTED_MAX}) counted) AS dead_letters,
    coalesce((
        SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    ), 0)::float8 AS oldest_transaction_seconds,
    greatest(
        (SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()),
        (SELECT max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots),
        (SELECT max(age(transaction)) FROM pg_prepared_xacts),
        0
    ) AS oldest_snapshot_transactions,
    ARRAY(SELECT DISTINCT participant FROM goconductor.participants WHERE steps <> '{{}}' ORDER BY participant) AS participants
"""

_STATUS_COUNTS = f"""
WITH page AS MATERIALIZED (
    SELECT saga_id, status FROM goconductor.sagas
    WHERE saga_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY saga_id LIMIT $2
)
SELECT status, count(*) AS sagas, (SELECT saga_id FROM page ORDER BY saga_id DESC LIMIT 1) AS last,
    (SELECT saga_id FROM page WHERE status NOT IN {OVER} ORDER BY saga_id LIMIT 1) AS oldest
FROM page GROUP BY status
"""


class PostgresMetrics:
    """The metrics of a store, read on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def read(self) -> StoreMetrics:
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(_METRICS))
        assert row is not None  # noqa: S101  (a SELECT without FROM has one row)
        return StoreMetrics(**row)

    async def count_statuses(self, after: UUID | None, limit: int) -> StatusCounts:
        async with self._sessions.use() as connection:
            rows = await connection.fetch(self._address.sql(_STATUS_COUNTS), after, limit)
        full = sum(row["sagas"] for row in rows) == limit
        statuses = {row["status"]: row["sagas"] for row in rows}
        return StatusCounts(
            statuses=statuses, after=rows[0]["last"] if full else None, oldest=rows[0]["oldest"] if rows else None
        )
