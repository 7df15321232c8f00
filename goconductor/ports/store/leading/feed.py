"""All events of all sagas in one order, for readers who come back with a cursor.

The order is that of the transactions which wrote the events, not that in which they committed: one that began early may commit
late. A reader who asked for "what came after the last" would pass it over for ever. So a page ends before the oldest transaction
that is still open anywhere on the server: whatever is committed later has a place behind the page (Dudycz, *How Postgres
sequences issues can impact your messaging guarantees*). A transaction that somebody forgets open makes all readers wait, and
none of them skip.

Within one saga the order is that of its log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.head import LogEntry


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event, in the order of all.

    Args:
        cursor: the place right behind it.
        saga_id: its saga.
        saga: the saga's name.
        version: of its definition, as of now.
        labels: those of the saga.
        entry: the event as it is stored.
    """

    cursor: str
    saga_id: UUID
    saga: str
    version: str
    labels: dict[str, str]
    entry: LogEntry


class FeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """What comes after a cursor.

    Args:
        entries: the events, in order.
        cursor: where to go on, also where there are none.
        full: whether there may be more at once.
    """

    entries: Sequence[FeedEntry]
    cursor: str
    full: bool


class FeedPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far a named reader has come.

    Args:
        cursor: the place that it has kept.
        reached_at: a moment before which nothing is left for it, by the database's clock.
    """

    cursor: str
    reached_at: float


class FeedLag(msgspec.Struct, frozen=True, kw_only=True):
    """What is committed behind a cursor, whether it can be read yet or not.

    Args:
        entries: number of events, at most :data:`~goconductor.ports.bus_metrics.COUNTED_MAX`.
        seconds: age of the first of them; 0 where there is none.
    """

    entries: int = 0
    seconds: float = 0.0


class Feed(Protocol):
    """The order of all events.

    26. **Read** returns at most ``limit`` events after a cursor. Who goes on with the page's cursor gets every event that is ever
        committed once, those of one saga in the order of their seq, whatever is written meanwhile and however late it commits.
        Events of sagas that are deleted before somebody read them are not there. A cursor that this store did not make, or that
        a failover has made worthless, is refused (:class:`CursorLostError`).
    27. **End** is a cursor before all that is not committed yet. **Beginning** is one before everything.
    28. **Keep** notes how far a named reader has come, under the leader's epoch (:class:`FencedError`). **Position** is what was
        kept last, or None. It goes with the data: after a failover, or where they were restored elsewhere, it names the place
        that these data knew. **Begin** keeps one where there is none yet, whoever leads: for somebody who is to hear of what
        follows, although no leader has read anything so far.
    29. **Lag** counts what is committed behind a cursor.

    **Check** raises :class:`ConfigurationError` where the order cannot be read without reading the whole log each time; names the
    remedy.
    """

    async def check(self) -> None: ...
    async def beginning(self) -> str: ...
    async def end(self) -> str: ...
    async def read(self, after: str, *, limit: int) -> FeedPage: ...
    async def lag(self, after: str) -> FeedLag: ...
    async def position(self, name: str) -> FeedPosition | None: ...
    async def keep(self, name: str, position: FeedPosition, *, epoch: int) -> None: ...
    async def begin(self, name: str, position: FeedPosition) -> None: ...
