"""The secrets of a store in memory, encrypted there as well."""

from __future__ import annotations

from msgspec.structs import replace

from goconductor.ports.store import SecretRow
from goconductor.stores.memory.data import Data


class MemorySecrets:
    """Secrets by their names."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def put(self, *, name: str, version: int, key_id: str, wrapped: bytes, sealed: bytes, by: str) -> SecretRow | None:
        before = self._data.secrets.get(name)
        if version != (1 if before is None else before.version + 1):
            return None
        row = self._data.secrets[name] = SecretRow(
            name=name,
            version=version,
            key_id=key_id,
            wrapped=wrapped,
            sealed=sealed,
            created_at=self._data.now(),
            created_by=by,
        )
        self._data.note_request()
        return row

    async def delete(self, name: str, *, by: str) -> SecretRow | None:
        before = self._data.secrets.get(name)
        if before is None or before.deleted_at is not None:
            return None
        row = self._data.secrets[name] = replace(
            before, key_id="", wrapped=b"", sealed=b"", deleted_at=self._data.now(), deleted_by=by
        )
        self._data.note_request()
        return row

    async def rewrap(self, name: str, version: int, *, before: str, key_id: str, wrapped: bytes) -> bool:
        row = self._data.secrets.get(name)
        if row is None or row.deleted_at is not None or (row.version, row.key_id) != (version, before):
            return False
        self._data.secrets[name] = replace(row, key_id=key_id, wrapped=wrapped)
        self._data.note_request()
        return True

    async def every(self) -> list[SecretRow]:
        return [row for _, row in sorted(self._data.secrets.items())]
