"""Reading for doors: one saga, its history, and lists of sagas."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.head import Head, LogEntry


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
    20. **Started** is the saga that a start key has started in a namespace, or None. Where there may be another primary, None is
        looked after unless ``sure`` is False: that look costs a connection to each other server.

    21. **Signalled** is the hash of the signal that has reached a saga under an id, or None; for as long as the saga is kept.

    **Head** is that of a saga, or None. **Statuses** has those of some sagas, by one read; of a saga that is not there, none.
    **History** is its log, entries after a seq, in their order.
    """

    async def head(self, saga_id: UUID) -> Head | None: ...
    async def statuses(self, saga_ids: Collection[UUID]) -> dict[UUID, str]: ...
    async def started(self, namespace: str, saga: str, key: str, *, sure: bool = True) -> UUID | None: ...
    async def signalled(self, saga_id: UUID, signal_id: str) -> bytes | None: ...
    async def heads(
        self, wanted: Wanted = EVERYTHING, *, before: UUID | None = None, limit: int = 50, seconds: float = 1.0
    ) -> Page: ...
    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]: ...
