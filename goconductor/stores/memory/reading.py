"""What a store in memory holds, and what its doors may read of it."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from goconductor.lifecycle.state import ENDED
from goconductor.ports.clock import Clock
from goconductor.ports.figures import Census, StoreFigures
from goconductor.ports.reading import EVERYTHING, Presence, Sweep, Wanted
from goconductor.ports.store import Head, Instance, Leases, Log, LogEntry, Page, Starts
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.dead_letters import MemoryDeadLetters
from goconductor.stores.memory.definitions import MemoryDefinitions
from goconductor.stores.memory.leases import MemoryLeases
from goconductor.stores.memory.log import MemoryLog
from goconductor.stores.memory.search import fits
from goconductor.stores.memory.starts import MemoryStarts


class MemoryReader:
    """The data, and the read side of the store.

    Args:
        clock: stands for the database's clock; None is the system's time.
        data: those of another store, which this one is to share; None makes new ones.
    """

    def __init__(self, clock: Clock | None = None, *, data: Data | None = None) -> None:
        self.data = data or Data(clock)
        self._now = self.data.now
        self._held = MemoryLeases(self.data)
        self.leases: Leases = self._held
        self.log: Log = MemoryLog(self.data, self._held)
        self.starts: Starts = MemoryStarts(self.data, self._held)
        self.definitions = MemoryDefinitions(self.data)
        self.dead_letters = MemoryDeadLetters(self.data)

    async def head(self, saga_id: UUID) -> Head | None:
        return self.data.heads.get(saga_id)

    async def started(self, namespace: str, saga: str, key: str) -> UUID | None:
        held = self.data.keys.get((namespace, saga, key))
        return None if held is None else held[0]

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
            for saga_id, head in sorted(self.data.heads.items(), reverse=True)
            if (before is None or saga_id < before) and fits(wanted, head, self.data.logs[saga_id])
        ]
        page = found[:limit]
        return Page(heads=page, cursor=page[-1].saga_id if page and len(found) > limit else None)

    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]:
        return self.data.logs.get(saga_id, [])[after : after + limit]

    async def instances(self, participant: str | None = None) -> list[Instance]:
        return [instance for instance in self.data.instances.values() if participant in (None, instance.participant)]

    async def presence(self, *, dead_since: float) -> list[tuple[Instance, Presence]]:
        now = self._now()
        return [
            (instance, self._presence(serial, now))
            for serial, instance in self.data.instances.items()
            if instance.dead_at is None or instance.dead_at > dead_since
        ]

    def _presence(self, serial: int, now: float) -> Presence:
        ends = [lease.expires_at for lease in self.data.leases.values() if lease.instance == serial and lease.expires_at > now]
        alive = serial in self.data.alive
        return Presence(
            serial=serial, alive=alive, heard_at=now if alive else None, leases=len(ends), lease_ends_at=min(ends, default=None)
        )

    async def last_sweep(self) -> Sweep | None:
        return self.data.sweep

    async def figures(self) -> StoreFigures:
        wakes = sorted(head.wake_at for head in self.data.heads.values() if head.wake_at is not None)
        now = self._now()
        return StoreFigures(
            live=len(wakes),
            overdue=sum(wake_at <= now for wake_at in wakes),
            overdue_seconds=max(0.0, now - wakes[0]) if wakes else 0.0,
            dead_letters=len(self.data.letters),
            participants=sorted({instance.participant for instance in self.data.instances.values() if instance.steps}),
        )

    async def census(self, after: UUID | None, limit: int) -> Census:
        page = [head for saga_id, head in sorted(self.data.heads.items()) if after is None or saga_id > after][:limit]
        statuses = Counter(head.status for head in page)
        oldest = next((head.saga_id for head in page if head.status not in ENDED), None)
        return Census(statuses=dict(statuses), after=page[-1].saga_id if len(page) == limit else None, oldest=oldest)
