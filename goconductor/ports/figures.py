"""What a bus can report of itself for metrics. Optional: a leaf that lacks it serves as well, and is not measured.

The elected leader asks, every quarter of a minute. So an answer may cost a few milliseconds, however many sagas there are, and
what would take longer is counted up to a limit that the answer names.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

COUNTED_MAX = 10_000
"""What is counted at each look is counted so far; a figure of this size means: at least."""


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
class MeasuredBus(Protocol):
    """A bus that can tell what waits, also for a group of which nobody runs now; None for a topic or group it does not know."""

    async def lag(self, topic: str, group: str) -> Lag | None: ...


@runtime_checkable
class CountingBus(Protocol):
    """A bus whose client counts, in this process. It does not wait; names and their labels are the leaf's own."""

    def statistics(self) -> list[Statistic]: ...
