"""The table of secrets. They are few, change seldom, and are encrypted before they come here."""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from goconductor.ports.store import SecretRow
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.database.notes import changed

_COLUMNS = """name, version, key_id, wrapped, sealed, extract(epoch FROM created_at)::float8 AS created_at, created_by,
    extract(epoch FROM deleted_at)::float8 AS deleted_at, deleted_by"""
_PUT = f"""
    INSERT INTO goconductor.secrets AS present (name, version, key_id, wrapped, sealed, created_by)
    SELECT $1, $2::bigint, $3, $4, $5, $6
    WHERE $2 = 1 OR EXISTS (SELECT FROM goconductor.secrets WHERE name = $1)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version, key_id = excluded.key_id, wrapped = excluded.wrapped,
        sealed = excluded.sealed, created_at = excluded.created_at, created_by = excluded.created_by, deleted_at = NULL,
        deleted_by = ''
    WHERE present.version = excluded.version - 1
    RETURNING {_COLUMNS}
"""
_DELETE = f"""
    UPDATE goconductor.secrets SET key_id = '', wrapped = '', sealed = '', deleted_at = clock_timestamp(), deleted_by = $2
    WHERE name = $1 AND deleted_at IS NULL RETURNING {_COLUMNS}
"""
_REWRAP = f"""
    UPDATE goconductor.secrets SET key_id = $4, wrapped = $5
    WHERE name = $1 AND version = $2 AND key_id = $3 AND deleted_at IS NULL RETURNING {_COLUMNS}
"""
_EVERY = f"""SELECT {_COLUMNS} FROM goconductor.secrets ORDER BY name COLLATE "C" """


class SecretTable:
    """Secrets, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def put(self, *, name: str, version: int, key_id: str, wrapped: bytes, sealed: bytes, by: str) -> SecretRow | None:
        return await self._changed(_PUT, name, version, key_id, wrapped, sealed, by)

    async def delete(self, name: str, *, by: str) -> SecretRow | None:
        return await self._changed(_DELETE, name, by)

    async def rewrap(self, name: str, version: int, *, before: str, key_id: str, wrapped: bytes) -> bool:
        return await self._changed(_REWRAP, name, version, before, key_id, wrapped) is not None

    async def every(self) -> list[SecretRow]:
        async with self._sessions.use() as connection:
            return [SecretRow(**dict(each)) for each in await connection.fetch(self._address.sql(_EVERY))]

    async def _changed(self, statement: str, *arguments: object) -> SecretRow | None:
        rows = await changed(self._sessions, self._address, statement, *arguments)
        return SecretRow(**dict(rows[0])) if rows else None
