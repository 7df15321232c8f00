"""Looking at the database as an operator would: on one connection of its own, which needs no schema."""

from __future__ import annotations

import time
from functools import partial

import asyncpg

from goconductor.ports.health import LongTransaction, StoreHealth, TableHealth
from goconductor.postgres.rights import missing, refusal
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.database.revisions import REVISIONS, present_revision, suits
from goconductor.stores.postgres.database.rights import NEEDS

TIMEOUT_SECONDS = 5.0
"""Seconds that the server has to accept a connection, and to answer."""

SERVER = """
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
        (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS synchronous_commit,
        pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections_max,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections
"""

NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"

# Who pins: whoever has a snapshot (backend_xmin) or a number of its own (backend_xid). Our own statement is no long one.
TRANSACTIONS = """
    SELECT pid, coalesce(state, '') AS state, coalesce(application_name, '') AS application, coalesce(usename, '') AS user,
        extract(epoch FROM clock_timestamp() - xact_start)::float8 AS age_seconds,
        backend_xmin IS NOT NULL OR backend_xid IS NOT NULL AS pins, '' AS prepared
    FROM pg_stat_activity
    WHERE xact_start < clock_timestamp() - make_interval(secs => $1) AND pid <> pg_backend_pid()
    AND backend_type IN ('client backend', 'walsender')
    UNION ALL
    SELECT 0, 'prepared', '', owner, extract(epoch FROM clock_timestamp() - prepared)::float8, true, gid
    FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - make_interval(secs => $1)
    ORDER BY age_seconds DESC LIMIT 20
"""

TABLES = """
    SELECT t.relname AS name, t.n_live_tup AS live_rows, t.n_dead_tup AS dead_rows,
        extract(epoch FROM greatest(t.last_vacuum, t.last_autovacuum))::float8 AS vacuumed_at,
        current_setting('autovacuum')::bool AND NOT coalesce('autovacuum_enabled=false' = ANY (c.reloptions), false) AS autovacuum
    FROM pg_stat_user_tables AS t JOIN pg_class AS c ON c.oid = t.relid
    WHERE t.schemaname = $1 ORDER BY t.relname
"""


async def examine(address: Address, *, older_than_seconds: float) -> StoreHealth:
    """Look at the server, the tables, the transactions and the rights; what cannot be read is left out.

    Args:
        address: the database and our schema.
        older_than_seconds: younger transactions are not listed.
    """
    dial = partial(address.dial, timeout_seconds=TIMEOUT_SECONDS, command_timeout_seconds=TIMEOUT_SECONDS)
    try:
        connection = await dial()
    except address.unavailable:  # where there is no primary, a standby can tell that it is one
        connection = await dial(need="any")
    try:
        with address.meaning():
            return await _examine(connection, address, older_than_seconds)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)


async def _examine(connection: Connection, address: Address, older_than_seconds: float) -> StoreHealth:
    row = await connection.fetchrow(SERVER)
    assert row is not None  # noqa: S101  (it selects one)
    before = time.time()
    now = await connection.fetchval(NOW)
    asked_at = min(max(now, before), time.time())  # an answer that was slow says nothing of the clocks
    transactions = await connection.fetch(TRANSACTIONS, older_than_seconds)
    tables = await connection.fetch(TABLES, address.schema)
    lacks = await missing(connection, address.schema, NEEDS)
    try:
        revision = await present_revision(connection, address)
        known = revision is None or revision in REVISIONS
        fits = known or await suits(connection, address)
    except asyncpg.InsufficientPrivilegeError:
        if not lacks:
            raise
        raise refusal(address.where, lacks) from None
    return StoreHealth(
        where=f"{address.where}, schema {address.schema}",
        version=row["version"],
        revision=revision,
        revision_needed=REVISIONS[-1],
        revision_known=known,
        revision_suits=fits,
        encoding=row["encoding"],
        read_only=row["read_only"],
        synchronous_commit=row["synchronous_commit"],
        pooled=address.is_pooled,
        now=now,
        asked_at=asked_at,
        connections=row["connections"],
        connections_max=row["connections_max"],
        transactions=[LongTransaction(**dict(each)) for each in transactions],
        tables=[TableHealth(**dict(each)) for each in tables],
        missing_rights=lacks,
    )
