"""What doors read: heads, logs, and lists of heads, newest first.

A list searches over as many sagas as there are, without an index for each filter. An index on what an append changes would cost
every append (its row could not stay in its page), and lists are asked for seldom. So the search walks down the primary key, range
by range. It finds the lower edge of a range of some hundred sagas, filters the range, and goes on below it. It ends when the page
is full, nothing is left, or its time is over; the cursor is then the edge. The edge is found first, so a saga that is started
meanwhile shifts nothing, and none is passed over or shown twice. Ranges grow and shrink with the time that they take: a filter
that most sagas pass reads few, one that hardly any passes reads many at once. Where the start's time narrows the search, so does
the id, which begins with that time.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from goconductor.ports.store import EVERYTHING, ID_SLACK_SECONDS, Head, LogEntry, Page, Wanted, id_bound
from goconductor.postgres.lookout import Lookout
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.log.rows import EVENT_COLUMNS, HEAD_COLUMNS, entry_of, head_of

FIRST_RANGE, SMALLEST_RANGE, LARGEST_RANGE = 500, 100, 50_000
RANGE_SECONDS = (0.03, 0.15)
"""A range that took less is followed by a larger one, one that took more by a smaller one."""

_LOWEST, _HIGHEST = UUID(int=0), UUID(int=2**128 - 1)

_ERROR = """EXISTS (
    SELECT FROM goconductor.saga_log AS e WHERE e.saga_id = s.saga_id AND e.event = ANY ({events}::text[])
    AND position(lower({text}::text) IN lower(concat_ws(
        E'\\n', concat_ws(': ', e.data #>> '{{failure,type}}', e.data #>> '{{failure,message}}'), e.data ->> 'reason'
    ))) > 0
)"""

EDGE = """
    SELECT s.saga_id FROM goconductor.sagas AS s WHERE s.saga_id < $1 AND s.saga_id >= $2
    ORDER BY s.saga_id DESC OFFSET $3 LIMIT 1
"""


class Filter:
    """A wish as SQL.

    Attributes:
        condition: over ``s``, with parameters from $4 on; empty if everything is wanted.
        arguments: those parameters.
        low: no saga that is wanted has a lower id.
        high: nor one as high as this.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.arguments: list[Any] = []
        self.low, self.high = _LOWEST, _HIGHEST
        conditions = []
        if wanted.saga is not None:
            conditions.append(f"s.saga = {self._next(wanted.saga)}")
        if wanted.statuses:
            conditions.append(f"s.status = ANY ({self._next(list(wanted.statuses))}::text[])")
        for column, start, end in (
            ("started_at", wanted.started_from, wanted.started_until),
            ("updated_at", wanted.updated_from, wanted.updated_until),
        ):
            if start is not None:
                conditions.append(f"s.{column} >= to_timestamp({self._next(start)}::float8)")
            if end is not None:
                conditions.append(f"s.{column} < to_timestamp({self._next(end)}::float8)")
        for name, value in wanted.labels.items():  # by its text, as it is shown, whatever kind of value is stored
            conditions.append(f"s.labels ->> {self._next(name)}::text = {self._next(value)}::text")
        if wanted.error:
            events, text = self._next(list(wanted.error_events)), self._next(wanted.error)
            conditions.append(_ERROR.format(events=events, text=text))
        self.condition = " AND ".join(conditions)
        starts = [at for at in (wanted.started_from,) if at is not None]
        if starts:
            self.low = id_bound(max(starts) - ID_SLACK_SECONDS)
        if wanted.started_until is not None:
            self.high = id_bound(wanted.started_until + ID_SLACK_SECONDS)

    def _next(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments) + 3}"


class SagaTable:
    """Heads and logs, as doors read them, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address, lookout: Lookout) -> None:
        self._sessions = sessions
        self._address = address
        self._lookout = lookout

    async def head(self, saga_id: UUID) -> Head | None:
        statement = f"SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s WHERE s.saga_id = $1"
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(statement), saga_id)
            if row is None:
                await self._lookout.confirm_absence(connection)
        return head_of(row) if row else None

    async def statuses(self, saga_ids: Collection[UUID]) -> dict[UUID, str]:
        statement = "SELECT s.saga_id, s.status FROM goconductor.sagas AS s WHERE s.saga_id = ANY ($1::uuid[])"
        if not saga_ids:
            return {}
        async with self._sessions.use() as connection:
            rows = await connection.fetch(self._address.sql(statement), list(saga_ids))
        return {row["saga_id"]: row["status"] for row in rows}

    async def started(self, namespace: str, saga: str, key: str, *, sure: bool = True) -> UUID | None:
        statement = "SELECT k.saga_id FROM goconductor.start_keys AS k WHERE k.namespace = $1 AND k.saga = $2 AND k.key = $3"
        async with self._sessions.use() as connection:
            found: UUID | None = await connection.fetchval(self._address.sql(statement), namespace, saga, key)
            if found is None and sure:
                await self._lookout.confirm_absence(connection)
        return found

    async def signalled(self, saga_id: UUID, signal_id: str) -> bytes | None:
        statement = "SELECT k.digest FROM goconductor.signals AS k WHERE k.saga_id = $1 AND k.id = $2"
        async with self._sessions.use() as connection:
            found: bytes | None = await connection.fetchval(self._address.sql(statement), saga_id, signal_id)
        return found

    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]:
        statement = f"""
            SELECT {EVENT_COLUMNS} FROM goconductor.saga_log AS e
            WHERE e.saga_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3
        """
        async with self._sessions.use() as connection:
            return [entry_of(row) for row in await connection.fetch(self._address.sql(statement), saga_id, after, limit)]

    async def heads(
        self, wanted: Wanted = EVERYTHING, *, before: UUID | None = None, limit: int = 50, seconds: float = 1.0
    ) -> Page:
        wish = Filter(wanted)
        high = min(before or _HIGHEST, wish.high)
        if not wish.condition:
            return _page(await self._range(wish, high, _LOWEST, limit + 1), limit, None)
        began = time.monotonic()
        found: list[Head] = []
        size = FIRST_RANGE
        while True:
            range_began = time.monotonic()
            edge = await self._edge(high, wish.low, size)
            found += await self._range(wish, high, edge or wish.low, limit + 1 - len(found))
            now = time.monotonic()
            if len(found) > limit or edge is None or now - began >= seconds:
                return _page(found, limit, edge)
            high = edge
            if now - range_began < RANGE_SECONDS[0]:
                size = min(size * 4, LARGEST_RANGE)
            elif now - range_began > RANGE_SECONDS[1]:
                size = max(size // 2, SMALLEST_RANGE)

    async def _edge(self, high: UUID, low: UUID, size: int) -> UUID | None:
        """Return the lowest of the next ``size`` ids; None if fewer are left."""
        async with self._sessions.use() as connection:
            edge: UUID | None = await connection.fetchval(self._address.sql(EDGE), high, low, size - 1)
        return edge

    async def _range(self, wish: Filter, high: UUID, low: UUID, limit: int) -> list[Head]:
        statement = f"""
            SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s
            WHERE s.saga_id < $1 AND s.saga_id >= $2 {"AND" if wish.condition else ""} {wish.condition}
            ORDER BY s.saga_id DESC LIMIT $3
        """
        async with self._sessions.use() as connection:
            rows = await connection.fetch(self._address.sql(statement), high, low, limit, *wish.arguments)
        return [head_of(row) for row in rows]


def _page(found: Sequence[Head], limit: int, edge: UUID | None) -> Page:
    """Return a page. Its cursor is the last that is shown, if more was found; else how far the search came."""
    shown = list(found[:limit])
    return Page(heads=shown, cursor=shown[-1].saga_id if len(found) > limit else edge)
