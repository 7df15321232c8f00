"""Locks in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec.structs import replace

from goconductor.lifecycle.facts.lock import Held, Wish
from goconductor.ports.store import LockCursor, LockRow, Looked, cursor_of
from goconductor.ports.store.log import queues
from goconductor.stores.memory.data import Data


class MemoryLocks:
    """Who holds a key, and who waits for it."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def look(self, saga_id: UUID, wishes: Sequence[Sequence[Wish]], *, takes: bool = True, ended: bool = False) -> Looked:
        keys = {wish.key for step in wishes for wish in step} | {key for key, owner in self._data.locks if owner == saga_id}
        changes, looked = queues.look(self._of(keys), saga_id, wishes, takes=takes, ended=ended)
        for row in changes.drop:
            del self._data.locks[row.key, row.saga_id]
        taken = {key: self._put(key, saga_id, shared=shared, held=True) for key, shared in sorted(changes.take.items())}
        for key, shared in sorted(changes.place.items()):
            self._put(key, saga_id, shared=shared, held=False)
        for key in changes.strengthen:
            self._data.locks[key, saga_id] = replace(self._data.locks[key, saga_id], shared=False)
        return replace(looked, held=looked.held | taken) if taken else looked

    async def circle(self, saga_id: UUID) -> list[LockRow]:
        rows = self.seen()
        found, todo = {saga_id}, [saga_id]
        while todo:
            asks = todo.pop()
            keys = {row.key for row in rows if row.saga_id == asks and not row.held}
            new = {row.saga_id for row in rows if row.key in keys} - found
            found |= new
            todo += new
        return [row for row in rows if row.saga_id in found]

    async def rows(
        self, *, key: str | None = None, saga_id: UUID | None = None, after: LockCursor | None = None, limit: int
    ) -> list[LockRow]:
        keys = {one for one, owner in self._data.locks if key in (None, one) and saga_id in (None, owner)}
        rows = sorted((row for row in self.seen() if row.key in keys), key=cursor_of)
        return [row for row in rows if after is None or cursor_of(row) > after][:limit]

    def _put(self, key: str, saga_id: UUID, *, shared: bool, held: bool) -> Held:
        number = next(self._data.lock_numbers)
        now = self._data.now()
        self._data.locks[key, saga_id] = LockRow(key=key, saga_id=saga_id, shared=shared, held=held, number=number, since=now)
        return Held(number, shared)

    def _of(self, keys: Iterable[str]) -> list[LockRow]:
        wanted = set(keys)
        return [self._seen(row) for row in self._data.locks.values() if row.key in wanted]

    def seen(self) -> list[LockRow]:
        """Return all rows, with what the heads say now."""
        return [self._seen(row) for row in self._data.locks.values()]

    def _seen(self, row: LockRow) -> LockRow:
        """Return a row with what its saga's head says now."""
        head = self._data.heads.get(row.saga_id)
        if head is None:
            return row
        return replace(row, status=head.status, seq=head.seq, tag=head.tag, late=row.held and self._is_late(head.saga_id))

    def _is_late(self, saga_id: UUID) -> bool:
        if self._data.heads[saga_id].status != "terminated":
            return False
        now = self._data.now()
        leases = (lease for lease in self._data.leases.values() if lease.key.saga_id == saga_id)
        return self._data.truncated or any(lease.expires_at > now for lease in leases)
