"""What a store in memory holds, and what its doors may read of it."""

from __future__ import annotations

import time
from collections import Counter
from itertools import count
from uuid import UUID

from msgspec.structs import replace

from goconductor.lifecycle.state import ENDED
from goconductor.ports.choices import Choice
from goconductor.ports.clock import Clock
from goconductor.ports.figures import Census, StoreFigures
from goconductor.ports.history import Loss
from goconductor.ports.reading import EVERYTHING, Presence, Sweep, Wanted
from goconductor.ports.store import (
    DeadLetter,
    Head,
    Instance,
    Lease,
    LeaseKey,
    LogEntry,
    Page,
    StoredDefinition,
    Term,
)
from goconductor.stores.memory.search import fits

NEWCOMER_SECONDS = 1.0


def _system_time() -> float:
    """Seconds since 1970 in whole microseconds, as PostgreSQL has them, so that a filter by a time that was shown fits."""
    return round(time.time(), 6)


class MemoryReader:
    """The data, and the read side of the store.

    Args:
        clock: stands for the database's clock; None is the system's time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._now = clock.now if clock is not None else _system_time
        self._heads: dict[UUID, Head] = {}
        self._logs: dict[UUID, list[LogEntry]] = {}
        self._leases: dict[LeaseKey, Lease] = {}
        self._taken_from: dict[LeaseKey, int] = {}
        """Of leases that are there, whose they were before, where the log is not told of it."""
        self._keys: dict[tuple[str, str, str], tuple[UUID, bytes]] = {}
        self._instances: dict[int, Instance] = {}
        self._serials = count(1)
        self._alive: set[int] = set()
        self._definitions: dict[tuple[str, str, str], StoredDefinition] = {}
        self._active: dict[tuple[str, str], str] = {}
        self._pinned: set[tuple[str, str]] = set()
        self._offers: dict[tuple[str, str, str], set[int]] = {}
        self._letters: list[DeadLetter] = []
        self._letter_ids = count(1)
        self._term: Term | None = None
        self._evidence: int | None = None
        self._losses: dict[tuple[UUID, int, int], Loss] = {}
        self._sweep: Sweep | None = None
        self._choices: dict[str, Choice] = {}
        self._truncated = False
        self._up_since = self._now()

    async def head(self, saga_id: UUID) -> Head | None:
        return self._heads.get(saga_id)

    async def started(self, namespace: str, saga: str, key: str) -> UUID | None:
        held = self._keys.get((namespace, saga, key))
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
            for saga_id, head in sorted(self._heads.items(), reverse=True)
            if (before is None or saga_id < before) and fits(wanted, head, self._logs[saga_id])
        ]
        page = found[:limit]
        return Page(heads=page, cursor=page[-1].saga_id if page and len(found) > limit else None)

    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]:
        return self._logs.get(saga_id, [])[after : after + limit]

    async def instances(self, participant: str | None = None) -> list[Instance]:
        return [instance for instance in self._instances.values() if participant in (None, instance.participant)]

    async def definitions(self, namespace: str, saga: str | None = None) -> list[StoredDefinition]:
        found = [d for d in self._definitions.values() if d.namespace == namespace and saga in (None, d.saga)]
        return [self._described(d) for d in sorted(found, key=lambda d: (d.saga, d.registered_at, d.version))]

    def _described(self, definition: StoredDefinition) -> StoredDefinition:
        name, version = (definition.namespace, definition.saga), definition.version
        return replace(
            definition,
            active=self._active_version(*name) == version,
            pinned=name in self._pinned and self._active.get(name) == version,
            offered=self._offered(*name, version),
        )

    def _offered(self, namespace: str, saga: str, version: str) -> int:
        serials = self._offers.get((namespace, saga, version), ())
        return sum(1 for each in serials if each in self._instances and self._instances[each].dead_at is None)

    def _active_version(self, namespace: str, saga: str) -> str:
        """The pinned one, else the newest that a living instance offers, else the one that was active last."""
        name = namespace, saga
        offered = [d for key, d in self._definitions.items() if key[:2] == name and self._offered(*key)]
        if name in self._pinned or not offered:
            return self._active.get(name, "")
        return max(offered, key=lambda d: (d.registered_at, d.version)).version

    async def presence(self, *, dead_since: float) -> list[tuple[Instance, Presence]]:
        now = self._now()
        return [
            (instance, self._presence(serial, now))
            for serial, instance in self._instances.items()
            if instance.dead_at is None or instance.dead_at > dead_since
        ]

    def _presence(self, serial: int, now: float) -> Presence:
        ends = [lease.expires_at for lease in self._leases.values() if lease.instance == serial and lease.expires_at > now]
        alive = serial in self._alive
        return Presence(
            serial=serial, alive=alive, heard_at=now if alive else None, leases=len(ends), lease_ends_at=min(ends, default=None)
        )

    async def last_sweep(self) -> Sweep | None:
        return self._sweep

    async def dead_letters(self, *, limit: int = 100, before: int | None = None) -> list[DeadLetter]:
        return [letter for letter in self._letters[::-1] if before is None or letter.letter_id < before][:limit]

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        return next((letter for letter in self._letters if letter.letter_id == letter_id), None)

    async def drop_dead_letter(self, letter_id: int) -> bool:
        before = len(self._letters)
        self._letters = [letter for letter in self._letters if letter.letter_id != letter_id]
        return len(self._letters) < before

    async def figures(self) -> StoreFigures:
        wakes = sorted(head.wake_at for head in self._heads.values() if head.wake_at is not None)
        now = self._now()
        return StoreFigures(
            live=len(wakes),
            overdue=sum(wake_at <= now for wake_at in wakes),
            overdue_seconds=max(0.0, now - wakes[0]) if wakes else 0.0,
            dead_letters=len(self._letters),
            participants=sorted({instance.participant for instance in self._instances.values() if instance.steps}),
        )

    async def census(self, after: UUID | None, limit: int) -> Census:
        page = [head for saga_id, head in sorted(self._heads.items()) if after is None or saga_id > after][:limit]
        statuses = Counter(head.status for head in page)
        oldest = next((head.saga_id for head in page if head.status not in ENDED), None)
        return Census(statuses=dict(statuses), after=page[-1].saga_id if len(page) == limit else None, oldest=oldest)
