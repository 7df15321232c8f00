"""Metrics of a bus. They are optional: a leaf without them serves as well, and is not measured.

The elected leader reads them four times a minute. So a reading may cost a few milliseconds, however many messages there are. What
would take longer is counted up to a limit.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

COUNTED_MAX = 10_000
"""The limit of a count in one reading; a count of this size means: at least."""


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """The backlog of a topic for one group.

    Args:
        messages: the number of waiting messages, at most :data:`COUNTED_MAX`.
        oldest_seconds: seconds that the oldest of them has been ready.
    """

    messages: int = 0
    oldest_seconds: float = 0.0


class Statistic(msgspec.Struct, frozen=True):
    """One value of a bus's client.

    Args:
        name: small letters, digits and ``_``, its unit last; all of one name have the same labels.
        labels: the client, broker, topic or partition.
        value: the value.
        counter: whether it only grows.
    """

    name: str
    labels: dict[str, str]
    value: float
    counter: bool


@runtime_checkable
class MeasuredBus(Protocol):
    """A bus that knows its backlog, also for a group without a running process; None for an unknown topic or group."""

    async def lag(self, topic: str, group: str) -> Lag | None: ...


@runtime_checkable
class CountingBus(Protocol):
    """A bus whose client counts, in this process. It does not wait; names and their labels are the leaf's own."""

    def statistics(self) -> list[Statistic]: ...
