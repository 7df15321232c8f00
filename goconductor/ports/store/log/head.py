"""A saga as the store has it: the head that arbitrates its log, the entries of the log, and what a reader lacks of them."""

from __future__ import annotations

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
