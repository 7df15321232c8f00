"""The table of API keys. They are few, and change seldom."""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from goconductor.ports.store import KeyRow
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.notes import changed

_COLUMNS = """key_id, namespace, name, digest, roles, extract(epoch FROM created_at)::float8 AS created_at, created_by,
    extract(epoch FROM expires_at)::float8 AS expires_at, extract(epoch FROM revoked_at)::float8 AS revoked_at, revoked_by"""
_CREATE = f"""
    INSERT INTO goconductor.api_keys (key_id, namespace, name, digest, roles, created_by, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7::float8))
    ON CONFLICT (key_id) DO NOTHING RETURNING {_COLUMNS}
"""
_REVOKE = f"""
    UPDATE goconductor.api_keys SET revoked_by = $2, revoked_at = now()
    WHERE key_id = $1 AND revoked_at IS NULL RETURNING {_COLUMNS}
"""
_ONE = f"SELECT {_COLUMNS} FROM goconductor.api_keys WHERE key_id = $1"
_LIVE = f"""
    SELECT {_COLUMNS} FROM goconductor.api_keys
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
_NEWEST = f"SELECT {_COLUMNS} FROM goconductor.api_keys ORDER BY api_keys.created_at DESC, key_id DESC LIMIT $1"


class KeyTable:
    """API keys, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def create(
        self, *, key_id: str, namespace: str, name: str, digest: str, roles: tuple[str, ...], by: str, lives_seconds: float | None
    ) -> KeyRow | None:
        return await self._changed(_CREATE, key_id, namespace, name, digest, list(roles), by, lives_seconds)

    async def revoke(self, key_id: str, *, by: str) -> KeyRow | None:
        if (row := await self._changed(_REVOKE, key_id, by)) is not None:
            return row
        found = await self._all(_ONE, key_id)
        return found[0] if found else None

    async def live(self) -> list[KeyRow]:
        return await self._all(_LIVE)

    async def newest(self, *, limit: int) -> list[KeyRow]:
        return await self._all(_NEWEST, limit)

    async def _changed(self, statement: str, *arguments: object) -> KeyRow | None:
        found = await changed(self._sessions, self._address, statement, *arguments)
        return _row(found[0]) if found else None

    async def _all(self, statement: str, *arguments: object) -> list[KeyRow]:
        async with self._sessions.use() as connection:
            return [_row(each) for each in await connection.fetch(self._address.sql(statement), *arguments)]


def _row(found: Row) -> KeyRow:
    facts = dict(found)
    return KeyRow(**{**facts, "roles": tuple(facts["roles"])})
