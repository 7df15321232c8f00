"""The index that readers of all events need: on the transactions of the log. It is made for those who want it.

An entry of it costs every event some 70 bytes of write-ahead log, so no migration makes it. It is built while sagas run
(CONCURRENTLY): that takes as long as reading the log takes, and waits for all transactions that are open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from goconductor.stores.postgres.database.dial import Address, Connection

LOCK = (1735353199, 2)
"""The two halves of the advisory lock of whoever builds it."""
POLL_SECONDS = 0.5
"""Seconds between two attempts to be the one who builds it."""

IS_VALID = """
    SELECT i.indisvalid FROM pg_index AS i WHERE i.indexrelid = to_regclass('goconductor.saga_log_xid')
"""
"""True where it is there; false where it was not built to its end; no row where there is none."""


async def build(connect: Callable[[], Awaitable[Connection]], address: Address) -> None:
    """Build it where it is not there; safe when many processes do it at once.

    Args:
        connect: makes a connection whose statements may take as long as they do.
        address: the database and our schema.
    """
    connection = await connect()
    try:
        # tried, not waited for: a session that waits in a statement is one that the builder would wait for
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", *LOCK):  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_SECONDS)
        await connection.execute("SET statement_timeout = 0")
        await connection.execute("SET lock_timeout = 0")
        valid = await connection.fetchval(address.sql(IS_VALID))
        if valid is False:
            await connection.execute(address.sql("DROP INDEX CONCURRENTLY IF EXISTS goconductor.saga_log_xid"))
        if not valid:
            await connection.execute(address.sql("CREATE INDEX CONCURRENTLY saga_log_xid ON goconductor.saga_log (xid)"))
    finally:
        await connection.close()
