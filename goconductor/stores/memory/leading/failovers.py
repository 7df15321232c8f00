"""What a store in memory knows of failovers: what tests take from its log."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from goconductor.ports.store import Known, Loss, Timeline
from goconductor.stores.memory.data import Data


class MemoryFailovers:
    """Losses; there are no timelines."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def lost(self, told: Sequence[Loss]) -> list[Loss]:
        return [
            one
            for one in told
            if self._data.tail(Known(one.saga_id, one.seq, one.tag)).rebased or one.saga_id not in self._data.heads
        ]

    async def note(self, losses: Sequence[Loss]) -> int:
        new = {(one.saga_id, one.seq, one.tag): one for one in losses}
        new = {place: one for place, one in new.items() if place not in self._data.losses}
        self._data.losses |= {place: replace(one, noticed_at=self._data.now()) for place, one in new.items()}
        return len(new)

    async def losses(self, limit: int) -> list[Loss]:
        return [*self._data.losses.values()][::-1][:limit]

    async def timelines(self) -> list[Timeline]:
        return []
