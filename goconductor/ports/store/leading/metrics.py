"""Metrics of a store. They are optional: a store without them serves as well, and is not measured.

The elected leader reads them four times a minute. So a reading may cost a few milliseconds, however many sagas there are. What
would take longer is counted up to a limit.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec


class StoreMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics of a store at one moment.

    Args:
        live: sagas that have a ``wake_at``, at most :data:`~goconductor.ports.bus_metrics.COUNTED_MAX`.
        overdue: those of them whose ``wake_at`` has passed, at most :data:`~goconductor.ports.bus_metrics.COUNTED_MAX`.
        overdue_seconds: seconds that the oldest of these has waited for a look.
        schedules_overdue_seconds: seconds that the schedule which waits longest has waited for its leader.
        locks_waited_seconds: seconds that the saga which waits longest for a lock has waited.
        audit_unplaced_seconds: age of the oldest row of the audit log that has no place in its chain.
        dead_letters: kept messages that nobody could read, at most :data:`~goconductor.ports.bus_metrics.COUNTED_MAX`.
        oldest_transaction_seconds: age of the oldest open transaction on the server, as far as we may see.
        oldest_snapshot_transactions: how many transactions ago the oldest snapshot was taken that keeps vacuum from cleaning.
        participants: the names of all participants with steps.
    """

    live: int = 0
    overdue: int = 0
    overdue_seconds: float = 0.0
    schedules_overdue_seconds: float = 0.0
    locks_waited_seconds: float = 0.0
    audit_unplaced_seconds: float = 0.0
    dead_letters: int = 0
    oldest_transaction_seconds: float = 0.0
    oldest_snapshot_transactions: int = 0
    participants: list[str] = []


class StatusCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Some sagas counted by status.

    Args:
        statuses: the number of sagas by status.
        after: where to go on; None at the end.
        oldest: the first saga that has not ended.
    """

    statuses: dict[str, int] = {}
    after: UUID | None = None
    oldest: UUID | None = None


class Metrics(Protocol):
    """The part of a store that is measured.

    1. **Read** reads no table to its end: each metric comes from an index, or stops at
       :data:`~goconductor.ports.bus_metrics.COUNTED_MAX`.
    2. **Count statuses** counts the next ``limit`` sagas in the order of their ids; whoever goes on until ``after`` is None has
       counted all.
    """

    async def read(self) -> StoreMetrics: ...
    async def count_statuses(self, after: UUID | None, limit: int) -> StatusCounts: ...
