"""The metrics of a store in memory."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from goconductor.lifecycle.facts.status import ENDED
from goconductor.ports.store import StatusCounts, StoreMetrics
from goconductor.stores.memory.data import Data


class MemoryMetrics:
    """The metrics of a store in memory, each of them counted."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def read(self) -> StoreMetrics:
        wakes = sorted(head.wake_at for head in self._data.heads.values() if head.wake_at is not None)
        now = self._data.now()
        looks = [row.look_at for row in self._data.schedules.values() if row.look_at is not None]
        return StoreMetrics(
            live=len(wakes),
            overdue=sum(wake_at <= now for wake_at in wakes),
            overdue_seconds=max(0.0, now - wakes[0]) if wakes else 0.0,
            schedules_overdue_seconds=max(0.0, now - min(looks, default=now)),
            locks_waited_seconds=max(
                0.0, now - min((row.since for row in self._data.locks.values() if not row.held), default=now)
            ),
            audit_unplaced_seconds=max(0.0, now - min((row.at for row in self._data.audit if row.seq is None), default=now)),
            dead_letters=len(self._data.letters),
            participants=sorted({instance.participant for instance in self._data.instances.values() if instance.steps}),
        )

    async def count_statuses(self, after: UUID | None, limit: int) -> StatusCounts:
        page = [head for saga_id, head in sorted(self._data.heads.items()) if after is None or saga_id > after][:limit]
        statuses = Counter(head.status for head in page)
        oldest = next((head.saga_id for head in page if head.status not in ENDED), None)
        return StatusCounts(statuses=dict(statuses), after=page[-1].saga_id if len(page) == limit else None, oldest=oldest)
