"""What doors read of a store in memory."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from goconductor.ports.store import EVERYTHING, Head, LogEntry, Page, Wanted
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.reading.search import fits


class MemorySagas:
    """Heads and logs."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def head(self, saga_id: UUID) -> Head | None:
        return self._data.heads.get(saga_id)

    async def statuses(self, saga_ids: Collection[UUID]) -> dict[UUID, str]:
        return {saga_id: head.status for saga_id in saga_ids if (head := self._data.heads.get(saga_id)) is not None}

    async def started(
        self,
        namespace: str,
        saga: str,
        key: str,
        *,
        sure: bool = True,  # noqa: ARG002  (there is one store)
    ) -> UUID | None:
        held = self._data.keys.get((namespace, saga, key))
        return None if held is None else held[0]

    async def signalled(self, saga_id: UUID, signal_id: str) -> bytes | None:
        return self._data.signals.get(saga_id, {}).get(signal_id)

    async def heads(
        self,
        wanted: Wanted = EVERYTHING,
        *,
        before: UUID | None = None,
        limit: int = 50,
        seconds: float = 1.0,  # noqa: ARG002  (all of it is searched at once)
    ) -> Page:
        found = [
            head
            for saga_id, head in sorted(self._data.heads.items(), reverse=True)
            if (before is None or saga_id < before) and fits(wanted, head, self._data.logs[saga_id])
        ]
        page = found[:limit]
        return Page(heads=page, cursor=page[-1].saga_id if page and len(found) > limit else None)

    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]:
        return self._data.logs.get(saga_id, [])[after : after + limit]
