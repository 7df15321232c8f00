"""What a store can report of itself for metrics. Optional: one that lacks it serves as well, and is not measured.

The elected leader asks, every quarter of a minute. So an answer may cost a few milliseconds, however many sagas there are, and
what would take longer is counted up to a limit that the answer names.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec


class StoreFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of the store.

    Args:
        live: sagas that have a ``wake_at``, at most :data:`~goconductor.ports.figures.COUNTED_MAX`.
        overdue: those of them whose ``wake_at`` has passed, at most :data:`~goconductor.ports.figures.COUNTED_MAX`.
        overdue_seconds: for how long the oldest of these has waited to be looked at.
        dead_letters: kept messages that nobody could read, at most :data:`~goconductor.ports.figures.COUNTED_MAX`.
        oldest_transaction_seconds: age of the oldest open transaction on the server, as far as we may see.
        oldest_snapshot_transactions: how many transactions ago the oldest snapshot was taken that keeps vacuum from cleaning.
        participants: the names of all that have steps.
    """

    live: int = 0
    overdue: int = 0
    overdue_seconds: float = 0.0
    dead_letters: int = 0
    oldest_transaction_seconds: float = 0.0
    oldest_snapshot_transactions: int = 0
    participants: list[str] = []


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Some sagas counted by their status. ``after`` is where to go on; None at the end. ``oldest`` is the first that has not
    ended.
    """

    statuses: dict[str, int] = {}
    after: UUID | None = None
    oldest: UUID | None = None


class Figures(Protocol):
    """A store's figures.

    1. **Read** reads no table to its end: each figure comes from an index, or stops at
       :data:`~goconductor.ports.figures.COUNTED_MAX`.
    2. **Census** counts the next ``limit`` sagas in the order of their ids; whoever goes on until ``after`` is None has
       counted all.
    """

    async def read(self) -> StoreFigures: ...
    async def census(self, after: UUID | None, limit: int) -> Census: ...
