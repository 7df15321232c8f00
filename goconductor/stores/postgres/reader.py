"""The read side, for doors."""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from uuid import UUID

from goconductor.ports.store import Head, LogEntry
from goconductor.postgres.session import Usable
from goconductor.stores.postgres import sql
from goconductor.stores.postgres.dial import Address
from goconductor.stores.postgres.rows import entry_of, head_of


class Reader:
    """Heads and histories, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def head(self, saga_id: UUID) -> Head | None:
        """As the port says."""
        statement = f"SELECT {sql.HEAD_COLUMNS} FROM goconductor.sagas AS s WHERE s.saga_id = $1"
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(statement), saga_id)
        return head_of(row) if row else None

    async def started(self, namespace: str, saga: str, key: str) -> UUID | None:
        """As the port says."""
        statement = "SELECT k.saga_id FROM goconductor.start_keys AS k WHERE k.namespace = $1 AND k.saga = $2 AND k.key = $3"
        async with self._sessions.use() as connection:
            found: UUID | None = await connection.fetchval(self._address.sql(statement), namespace, saga, key)
        return found

    async def history(self, saga_id: UUID, after: int, limit: int) -> list[LogEntry]:
        """As the port says."""
        statement = f"""
            SELECT {sql.EVENT_COLUMNS} FROM goconductor.saga_log AS e
            WHERE e.saga_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3
        """
        async with self._sessions.use() as connection:
            return [entry_of(row) for row in await connection.fetch(self._address.sql(statement), saga_id, after, limit)]
