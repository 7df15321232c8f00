"""Schedules: rows whose content the store does not read, each with the moment at which the leader has to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule.

    Args:
        namespace: its namespace.
        name: its name, one in its namespace.
        tag: a random number, another with each change.
        look_at: when the leader has to look at it; None is never.
        body: what it is, as JSON text.
    """

    namespace: str
    name: str
    tag: int
    look_at: float | None
    body: str


class DueSchedules(msgspec.Struct, frozen=True, kw_only=True):
    """What the leader has to look at.

    Args:
        now: the database's time.
        rows: those whose moment has come, the oldest first.
        next_look: the first moment that has not come, among those looked at; None where there is none.
    """

    now: float
    rows: Sequence[ScheduleRow]
    next_look: float | None


class Schedules(Protocol):
    """The schedules.

    23. **Create** keeps a schedule unless there is one of its name. **Replace** changes the one with that tag, and no other: of
        two who have read the same, one gets False. **Delete** removes the one with that tag.
    24. **Note** is a replacement by the leader, under its epoch (:class:`FencedError`).
    25. **Due** has at most ``limit`` of those whose ``look_at`` has passed, in its order. **Get** and **page** read; a page is in
        the order of the names and begins after one.
    """

    async def create(self, row: ScheduleRow) -> bool: ...
    async def replace(self, row: ScheduleRow, *, tag: int) -> bool: ...
    async def note(self, row: ScheduleRow, *, tag: int, epoch: int) -> bool: ...
    async def delete(self, namespace: str, name: str, *, tag: int) -> bool: ...
    async def get(self, namespace: str, name: str) -> ScheduleRow | None: ...
    async def page(self, namespace: str, *, after: str = "", limit: int) -> list[ScheduleRow]: ...
    async def due(self, limit: int) -> DueSchedules: ...
