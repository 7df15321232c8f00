"""What a store and a bus can say of themselves for metrics. Optional: a leaf that lacks it serves as well, and is not measured.

The elected leader asks, every quarter of a minute. So an answer may cost a few milliseconds, however many sagas there are, and
what would take longer is counted up to a limit that the answer names.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable
from uuid import UUID

import msgspec

COUNTED_MAX = 10_000
"""What is counted at each look is counted so far; a figure of this size means: at least."""


class StoreFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A moment of the store.

    Args:
        live: sagas that have a ``wake_at``, at most :data:`COUNTED_MAX`.
        overdue: those of them whose ``wake_at`` has passed, at most :data:`COUNTED_MAX`.
        overdue_seconds: for how long the oldest of these has waited to be looked at.
        dead_letters: kept messages that nobody could read, at most :data:`COUNTED_MAX`.
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


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """What waits on a topic for one group: messages (at most :data:`COUNTED_MAX`), and for how long the oldest has been ready."""

    messages: int = 0
    oldest_seconds: float = 0.0


class Statistic(msgspec.Struct, frozen=True):
    """One value of a bus's client.

    Args:
        name: small letters, digits and ``_``, its unit last; all of one name have the same labels.
        labels: which client, broker, topic or partition.
        value: the value.
        counter: True for what only grows.
    """

    name: str
    labels: dict[str, str]
    value: float
    counter: bool


@runtime_checkable
class MeasuredStore(Protocol):
    """A store with figures.

    1. **Figures** reads no table to its end: each figure comes from an index, or stops at :data:`COUNTED_MAX`.
    2. **Census** counts the next ``limit`` sagas in the order of their ids; whoever goes on until ``after`` is None has
       counted all.
    """

    async def figures(self) -> StoreFigures: ...
    async def census(self, after: UUID | None, limit: int) -> Census: ...


@runtime_checkable
class MeasuredBus(Protocol):
    """A bus that can tell what waits, also for a group of which nobody runs now; None for a topic or group it does not know."""

    async def lag(self, topic: str, group: str) -> Lag | None: ...


@runtime_checkable
class CountingBus(Protocol):
    """A bus whose client counts, in this process. It does not wait; names and their labels are the leaf's own."""

    def statistics(self) -> list[Statistic]: ...
