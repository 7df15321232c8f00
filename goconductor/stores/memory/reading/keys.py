"""The API keys of a store in memory."""

from __future__ import annotations

from msgspec.structs import replace

from goconductor.ports.store import KeyRow
from goconductor.stores.memory.data import Data


class MemoryKeys:
    """Keys by their ids."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def create(
        self, *, key_id: str, namespace: str, name: str, digest: str, roles: tuple[str, ...], by: str, lives_seconds: float | None
    ) -> KeyRow | None:
        now = self._data.now()
        row = KeyRow(
            key_id=key_id,
            namespace=namespace,
            name=name,
            digest=digest,
            roles=roles,
            created_at=now,
            created_by=by,
            expires_at=None if lives_seconds is None else now + lives_seconds,
        )
        if self._data.api_keys.setdefault(key_id, row) is not row:
            return None
        self._data.note_request()
        return row

    async def revoke(self, key_id: str, *, by: str) -> KeyRow | None:
        row = self._data.api_keys.get(key_id)
        if row is not None and row.revoked_at is None:
            row = self._data.api_keys[key_id] = replace(row, revoked_at=self._data.now(), revoked_by=by)
            self._data.note_request()
        return row

    async def live(self) -> list[KeyRow]:
        now = self._data.now()
        rows = self._data.api_keys.values()
        return [row for row in rows if row.revoked_at is None and (row.expires_at is None or row.expires_at > now)]

    async def newest(self, *, limit: int) -> list[KeyRow]:
        rows = sorted(self._data.api_keys.values(), key=lambda row: (row.created_at, row.key_id), reverse=True)
        return rows[:limit]
