"""The schedules of a store in memory."""

from __future__ import annotations

from goconductor.ports.store import DueSchedules, ScheduleRow
from goconductor.stores.memory.data import Data


class MemorySchedules:
    """Schedules by namespace and name."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def create(self, row: ScheduleRow) -> bool:
        if is_new := self._data.schedules.setdefault((row.namespace, row.name), row) is row:
            self._data.note_request()
        return is_new

    async def replace(self, row: ScheduleRow, *, tag: int) -> bool:
        key = row.namespace, row.name
        present = self._data.schedules.get(key)
        if present is None or present.tag != tag:
            return False
        self._data.schedules[key] = row
        self._data.note_request()
        return True

    async def note(self, row: ScheduleRow, *, tag: int, epoch: int) -> bool:
        self._data.fence(epoch)
        return await self.replace(row, tag=tag)

    async def delete(self, namespace: str, name: str, *, tag: int) -> bool:
        present = self._data.schedules.get((namespace, name))
        if present is None or present.tag != tag:
            return False
        del self._data.schedules[namespace, name]
        self._data.note_request()
        return True

    async def get(self, namespace: str, name: str) -> ScheduleRow | None:
        return self._data.schedules.get((namespace, name))

    async def page(self, namespace: str, *, after: str = "", limit: int) -> list[ScheduleRow]:
        found = sorted(each for each in self._data.schedules if each[0] == namespace and each[1] > after)
        return [self._data.schedules[key] for key in found[:limit]]

    async def due(self, limit: int) -> DueSchedules:
        now = self._data.now()
        looks = [(row.look_at, key) for key, row in self._data.schedules.items() if row.look_at is not None]
        rows = [self._data.schedules[key] for look_at, key in sorted(looks) if look_at <= now]
        return DueSchedules(
            now=now, rows=rows[:limit], next_look=min((look_at for look_at, _ in looks if look_at > now), default=None)
        )
