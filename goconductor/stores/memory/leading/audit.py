"""The audit log of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from goconductor.ports.store import AuditRow, AuditWanted, Link, Note
from goconductor.stores.memory.data import Data


class MemoryAudit:
    """Rows by their numbers."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def write(self, note: Note) -> None:
        self._data.note([note])

    async def newest(self, wanted: AuditWanted, *, limit: int, before: int | None = None) -> list[AuditRow]:
        found = (row for row in reversed(self._data.audit) if (before is None or row.id < before) and _is(row, wanted))
        return [row for row, _ in zip(found, range(limit), strict=False)]

    async def placed(self, *, after: int, limit: int) -> list[AuditRow]:
        return sorted((row for row in self._data.audit if row.seq is not None and row.seq > after), key=_seq)[:limit]

    async def unplaced(self, *, limit: int) -> list[AuditRow]:
        return [row for row in self._data.audit if row.seq is None][:limit]

    async def place(self, links: Sequence[Link], *, epoch: int) -> None:
        self._data.fence(epoch)
        places = {each.id: each for each in links}
        self._data.audit = [
            replace(row, seq=places[row.id].seq, hash=places[row.id].hash) if row.seq is None and row.id in places else row
            for row in self._data.audit
        ]

    async def head(self) -> AuditRow | None:
        return max((row for row in self._data.audit if row.seq is not None), key=_seq, default=None)


def _seq(row: AuditRow) -> int:
    return row.seq or 0


def _is(row: AuditRow, wanted: AuditWanted) -> bool:
    note = row.note
    named = (
        (wanted.actor, note.actor),
        (wanted.function, note.function),
        (wanted.object, note.object),
        (wanted.outcome, note.outcome),
    )
    is_named = all(want in (None, has) for want, has in named)
    return is_named and (wanted.since is None or row.at >= wanted.since) and (wanted.until is None or row.at < wanted.until)
