"""A saga as the store has it: the head that arbitrates its log, the entries of the log, and what a reader lacks of them."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one saga as it is stored; ``seq`` and ``tag`` are given by the append (0 before)."""

    event_id: UUID
    event: str
    at: float
    step: str = ""
    round: int = 0
    attempt: int = 0
    token: int = 0
    participant: str = ""
    data: bytes = b"{}"
    seq: int = 0
    tag: int = 0


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The one row of a saga that arbitrates appends. ``tag`` is random and new with each append."""

    saga_id: UUID
    saga: str
    version: str
    status: str
    seq: int
    tag: int
    wake_at: float | None = None
    last_instance: int = 0
    labels: dict[str, str] = {}
    started_at: float = 0.0
    updated_at: float = 0.0


class Known(msgspec.Struct, frozen=True):
    """What a reader already knows of a saga; seq 0 means nothing."""

    saga_id: UUID
    seq: int = 0
    tag: int = 0


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a :class:`Known`: the head, and what the reader lacks.

    ``head`` is None if the saga does not exist. ``entries`` start at ``known.seq + 1`` if ``rebased`` is False; if it is
    True, what the reader knew is not part of this log (a timeline lost in a failover): drop it and fold ``entries``, which
    then are the whole log.
    """

    head: Head | None
    entries: list[LogEntry] = []
    rebased: bool = False


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some heads, newest first, and the cursor for the rest: what has a lower id was not searched yet; None at the end."""

    heads: list[Head]
    cursor: UUID | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which sagas; what is None or empty does not narrow.

    Args:
        saga: of this definition.
        statuses: of one of these.
        started_from: started at or after.
        started_until: started before.
        updated_from: last appended to at or after.
        updated_until: last appended to before.
        labels: with all of these.
        error: with this text, ASCII letters in any case, in a failure (its type, ``: ``, its message) or a reason of an event of
            ``error_events``.
        error_events: the events that have such.
    """

    saga: str | None = None
    statuses: tuple[str, ...] = ()
    started_from: float | None = None
    started_until: float | None = None
    updated_from: float | None = None
    updated_until: float | None = None
    labels: dict[str, str] = {}
    error: str = ""
    error_events: tuple[str, ...] = ()


EVERYTHING = Wanted()

ID_SLACK_SECONDS = 300.0
"""Greatest seconds between the time in a saga's id, made by a process, and its start by the database's clock."""


def id_bound(unix_seconds: float) -> UUID:
    """Return the lowest id (a UUIDv7) of a saga made at this time."""
    milliseconds = min(max(int(unix_seconds * 1000), 0), (1 << 48) - 1)
    return UUID(int=milliseconds << 80)


class Sagas(Protocol):
    """Reading for doors; it may lag behind only where a duty allows it.

    17. **Heads** searches for about ``seconds`` at most, newest first, and answers what it found by then, which may be nothing;
        the cursor then has how far it came. Without an end of the time a page is full unless it is the last.
    20. **Started** is the saga that a start key has started in a namespace, or None.

    **Head** is that of a saga, or None. **History** is its log, entries after a seq, in their order.
    """

    async def head(self, saga_id: UUID) -> Head | None: ...
    async def started(self, namespace: str, saga: str, key: str) -> UUID | None: ...
    async def heads(
        self, wanted: Wanted = EVERYTHING, *, before: UUID | None = None, limit: int = 50, seconds: float = 1.0
    ) -> Page: ...
    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]: ...
