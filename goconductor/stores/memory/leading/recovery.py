"""What the leader asks of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from goconductor.lifecycle.facts.status import ENDED
from goconductor.ports.store import Head, Known, Lease, Sweep
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.leases import MemoryLeases


class MemoryRecovery:
    """Sagas that are due, and leases that nobody holds any more."""

    def __init__(self, data: Data, leases: MemoryLeases) -> None:
        self._data = data
        self._leases = leases

    async def due(self, limit: int) -> list[Head]:
        now = self._data.now()
        due = [(head.wake_at, head) for head in self._data.heads.values() if head.wake_at is not None and head.wake_at <= now]
        return [head for _, head in sorted(due, key=lambda pair: pair[0])[:limit]]

    async def live(self, limit: int, *, after: UUID | None = None) -> list[Head]:
        ids = sorted(saga_id for saga_id, head in self._data.heads.items() if head.wake_at is not None)
        return [self._data.heads[saga_id] for saga_id in ids if after is None or saga_id > after][:limit]

    async def weigh(self, saga_ids: Sequence[UUID]) -> list[int]:
        return [sum(len(entry.data) for entry in self._data.logs.get(saga_id, ())) for saga_id in saga_ids]

    async def postpone(self, heads: Sequence[tuple[Known, float]], *, epoch: int) -> None:
        self._data.fence(epoch)
        for known, wake_at in heads:
            head = self._data.heads.get(known.saga_id)
            if head is not None and (head.seq, head.tag) == (known.seq, known.tag):
                self._data.heads[known.saga_id] = replace(head, wake_at=wake_at)

    async def rest(self, heads: Sequence[Known]) -> None:
        for known in heads:
            head = self._data.heads.get(known.saga_id)
            if head is not None and (head.seq, head.tag) == (known.seq, known.tag) and head.status in ENDED:
                self._data.heads[known.saga_id] = replace(head, wake_at=None)

    async def leases(self, saga_ids: Sequence[UUID]) -> list[Lease]:
        wanted = set(saga_ids)
        return [self._data.leases[key] for key in sorted(self._data.leases) if key.saga_id in wanted]

    async def free(self, leases: Sequence[Lease], *, epoch: int) -> None:
        self._data.fence(epoch)
        self._leases.let_go(leases, told=True)

    async def leases_truncated(self) -> bool:
        return self._data.truncated

    async def calm_seconds(self, *, epoch: int) -> float:
        if self._data.truncated:
            self._data.fence(epoch)
        return self._data.now() - self._data.up_since

    async def acknowledge_truncation(self, *, epoch: int) -> None:
        self._data.fence(epoch)
        self._data.truncated = False

    async def note_sweep(self, did: Mapping[str, int], *, epoch: int) -> None:
        self._data.fence(epoch)
        self._data.sweep = Sweep(at=self._data.now(), epoch=epoch, did=dict(did))

    async def last_sweep(self) -> Sweep | None:
        return self._data.sweep
