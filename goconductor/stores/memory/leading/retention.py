"""Retention in a store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any
from uuid import UUID

import msgspec

from goconductor.ports.store import Cursor, Forgettable, Forgotten
from goconductor.stores.memory.data import Data


class MemoryRetention:
    """Letting go of what is over."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def forget(
        self, kind: Forgettable, *, before: float, ended: Sequence[str], after: Cursor | None, limit: int, epoch: int
    ) -> Forgotten:
        self._data.fence(epoch)
        old = self._old(kind, before, set(ended))
        page = sorted(cursor for cursor in old if after is None or cursor > after)[:limit]
        gone = [old[cursor] for cursor in page]
        entries = 0
        match kind:
            case Forgettable.LEASES:
                for lease_key in gone:
                    del self._data.leases[lease_key]
            case Forgettable.START_KEYS:
                for key in gone:
                    del self._data.keys[key]
            case Forgettable.SAGAS:
                for saga_id in gone:
                    entries += len(self._data.logs.pop(saga_id))
                    del self._data.heads[saga_id]
                    self._data.signals.pop(saga_id, None)
                self._data.locks = {key: row for key, row in self._data.locks.items() if row.saga_id not in gone}
                self._data.leases = {key: lease for key, lease in self._data.leases.items() if key.saga_id not in gone}
            case Forgettable.DEAD_LETTERS:
                self._data.letters = [letter for letter in self._data.letters if letter.letter_id not in gone]
            case Forgettable.AUDIT:
                self._data.audit = [row for row in self._data.audit if row.id not in gone]
            case Forgettable.INSTANCES:
                for serial in gone:
                    del self._data.instances[serial]
        return Forgotten(taken=len(gone), entries=entries, after=page[-1] if len(page) == limit else None)

    def _old(self, kind: Forgettable, before: float, ended: set[str]) -> dict[Cursor, Any]:
        """Return what may go, by its place in the walk."""
        over = {
            saga_id
            for saga_id, head in self._data.heads.items()
            if head.status in ended and head.updated_at < before and not self._parent_lives(saga_id, ended)
        }
        match kind:
            case Forgettable.LEASES:
                late = [key for key, lease in self._data.leases.items() if lease.expires_at < before]
                heads = {key.saga_id: self._data.heads.get(key.saga_id) for key in late}
                return {
                    (key.saga_id.hex, key.step, key.direction, f"{key.round:020}"): key
                    for key in late
                    if (head := heads[key.saga_id]) is None or head.status in ended
                }
            case Forgettable.START_KEYS:
                return {
                    key: key
                    for key, (saga_id, _) in self._data.keys.items()
                    if saga_id in over or saga_id not in self._data.heads
                }
            case Forgettable.SAGAS:
                return {(saga_id.hex,): saga_id for saga_id in over}
            case Forgettable.DEAD_LETTERS:
                return {(f"{one.letter_id:020}",): one.letter_id for one in self._data.letters if one.at < before}
            case Forgettable.AUDIT:
                chain = sorted((row for row in self._data.audit if row.seq is not None), key=lambda row: row.seq or 0)
                beginning = list(takewhile(lambda row: row.at < before, chain))
                return {(f"{row.seq:020}",): row.id for row in beginning[:-1]}
            case Forgettable.INSTANCES:
                dead = [one for one in self._data.instances.values() if one.dead_at is not None and one.dead_at < before]
                return {(f"{one.serial:020}",): one.serial for one in dead if one.serial not in self._data.alive}

    def _parent_lives(self, saga_id: UUID, ended: set[str]) -> bool:
        parent = msgspec.json.decode(self._data.logs[saga_id][0].data).get("parent")
        head = None if parent is None else self._data.heads.get(UUID(parent["saga_id"]))
        return head is not None and head.status not in ended
