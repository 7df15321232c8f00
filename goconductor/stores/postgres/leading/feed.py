"""All events in the order of their transactions' numbers, read behind a cursor; none that commits late is passed over.

**The edge.** Each row of the log has the number of the transaction that wrote it, and numbers are given in order. A transaction
with a number below ``pg_snapshot_xmin(pg_current_snapshot())`` has ended: what it wrote is seen by this snapshot, or never will
be. So a page ends there, and everything that is committed later is behind it. The function looks at transactions of all databases
of the server, since the server numbers them together. One that only reads has no number, and holds nobody up.

**No place but that of an event.** A cursor stands behind an event, never at the edge. Numbers below the edge may be those of
transactions that were rolled back, of which nothing has reached the disk: after a crash the server gives them again, on the same
timeline. A reader that stood at the edge would pass over what they write. The number of an event that could be read is never
given again.

**The place.** A cursor names a transaction, a saga and a seq, and what they are counted by: the system and its timeline. A
promotion after an asynchronous replication gives numbers a second time, so a cursor of another timeline is worth nothing there,
and is refused. A *kept* position was replicated with the log, by the same server, so it is never ahead of it: it stays good.

**Restored data.** Rows that ``pg_restore`` or a logical replication wrote bear the numbers of the old server, which may be far
ahead of the new one's. Such a row is told by its hidden ``xmin``, which is the transaction that wrote it *here*: of a row that we
have written, it is the lower half of ``xid``, or somewhat more: a part of a transaction, behind a savepoint, has a number of its
own. So is a kept position. A restored one first reads the restored rows behind it, in their old order (mode ``a``: after the
restore nobody adds to them), and then those that were written here (mode ``r``). In doubt a row is read in both.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import UUID

from goconductor.errors import ConfigurationError, CursorLostError
from goconductor.ports.bus_metrics import COUNTED_MAX
from goconductor.ports.store import FeedEntry, FeedLag, FeedPage, FeedPosition
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.feed_index import IS_VALID
from goconductor.stores.postgres.database.timelines import TimelineTable
from goconductor.stores.postgres.leading.terms import FENCE, fenced
from goconductor.stores.postgres.log.rows import EVENT_COLUMNS, entry_of, texts_of

PAGE_BYTES = 4 * 1024 * 1024
"""Bytes of bodies, as stored, after which a page ends."""

NORMAL, RESTORED, SINCE = "n", "a", "r"
_CURSOR = re.compile(r"([0-9]{0,20})\.([0-9]{1,10})\.([nar])\.([0-9]{1,18})\.([0-9a-f]{32})\.([0-9]{1,18})")
_NOBODY = UUID(int=0)
_HALF = 1 << 32

_WRITTEN_HERE = "(e.xmin::text::bigint = (e.xid::text::bigint & 4294967295))"
_MAYBE_HERE = "((e.xmin::text::bigint - e.xid::text::bigint) & 4294967295 < 2147483648)"
_BEHIND = "e.xid >= $1::text::xid8 AND (e.xid, e.saga_id, e.seq) > ($1::text::xid8, $2::uuid, $3::bigint)"
_CONDITIONS = {
    NORMAL: (_BEHIND, "AND e.xid < (SELECT edge FROM here)"),
    RESTORED: (f"{_BEHIND} AND NOT {_WRITTEN_HERE}", ""),
    SINCE: (f"{_BEHIND} AND {_MAYBE_HERE}", "AND e.xid < (SELECT edge FROM here)"),
}
"""By the mode, what is behind a cursor, and what of it can be read by now."""


def _page(behind: str, readable: str) -> str:
    """Return the statement that reads a page. It looks the heads up one by one: no plan knows how few rows a page has."""
    return f"""
WITH here AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS edge
), page AS MATERIALIZED (
    SELECT e.* FROM goconductor.saga_log AS e WHERE {behind} {readable} ORDER BY e.xid, e.saga_id, e.seq LIMIT $4::bigint
), weighed AS (
    SELECT p.*, coalesce(sum(pg_column_size(p.data)) OVER (
        ORDER BY p.xid, p.saga_id, p.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS before FROM page AS p
), chosen AS MATERIALIZED (
    SELECT * FROM weighed WHERE before < {PAGE_BYTES}
)
SELECT (SELECT count(*) FROM page) = $4::bigint OR (SELECT count(*) FROM chosen) < (SELECT count(*) FROM page) AS more,
    e.xid::text AS xid, e.saga_id, s.saga, s.version, s.labels, {EVENT_COLUMNS}
FROM here AS h LEFT JOIN chosen AS e ON true
LEFT JOIN LATERAL (
    SELECT k.saga, k.version, k.labels FROM goconductor.sagas AS k WHERE k.saga_id = e.saga_id OFFSET 0
) AS s ON true
ORDER BY e.xid, e.saga_id, e.seq
"""


_PAGES = {mode: _page(*conditions) for mode, conditions in _CONDITIONS.items()}
_LAGS = {
    mode: f"""
SELECT count(*) AS entries,
    coalesce(greatest(0, extract(epoch FROM clock_timestamp() - (array_agg(at))[1])), 0)::float8 AS seconds
FROM (
    SELECT e.at FROM goconductor.saga_log AS e WHERE {behind} ORDER BY e.xid, e.saga_id, e.seq LIMIT {COUNTED_MAX}
) AS counted
"""
    for mode, (behind, _) in _CONDITIONS.items()
}
_END = """
SELECT EXISTS (SELECT FROM goconductor.saga_log WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())) AS restored
"""
_LAST = {
    mode: f"""
SELECT e.xid::text AS xid, e.saga_id, e.seq FROM goconductor.saga_log AS e
WHERE e.xid < pg_snapshot_xmin(pg_current_snapshot()) AND {own} ORDER BY e.xid DESC, e.saga_id DESC, e.seq DESC LIMIT 1
"""
    for mode, own in ((NORMAL, "true"), (SINCE, _MAYBE_HERE))
}
_RESTORED_AT = f"""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS edge, ARRAY[
    (SELECT e.xmin::text FROM goconductor.saga_log AS e WHERE NOT {_WRITTEN_HERE} ORDER BY e.xid LIMIT 1),
    (SELECT e.xmin::text FROM goconductor.saga_log AS e WHERE NOT {_MAYBE_HERE} ORDER BY e.xid LIMIT 1)
] AS written_by
"""
_POSITION = f"""
SELECT e.cursor, extract(epoch FROM e.reached_at)::float8 AS reached_at, {_WRITTEN_HERE} AS ours
FROM goconductor.feeds AS e WHERE e.name = $1
"""
_KEEP = f"""
WITH {FENCE}, change AS (
    INSERT INTO goconductor.feeds (name, cursor, reached_at)
    SELECT $2::text, $3::text, to_timestamp($4::float8) WHERE EXISTS (SELECT FROM fence)
    ON CONFLICT (name) DO UPDATE
    SET cursor = excluded.cursor, reached_at = excluded.reached_at, xid = pg_current_xact_id()
)
SELECT EXISTS (SELECT FROM fence)
"""

_BEGIN = """
INSERT INTO goconductor.feeds (name, cursor, reached_at) VALUES ($1::text, $2::text, to_timestamp($3::float8))
ON CONFLICT (name) DO NOTHING
"""


class Place(NamedTuple):
    """A cursor in its parts."""

    system: str
    timeline: int
    mode: str
    xid: int
    saga_id: UUID = _NOBODY
    seq: int = 0

    @classmethod
    def of(cls, cursor: str) -> Place:
        """Read a cursor.

        Raises:
            CursorLostError: it is none of ours.
        """
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            raise CursorLostError(cursor)
        system, timeline, mode, xid, saga_id, seq = found.groups()
        return cls(system, int(timeline), mode, int(xid), UUID(saga_id), int(seq))

    def __str__(self) -> str:
        """Return the cursor."""
        return f"{self.system}.{self.timeline}.{self.mode}.{self.xid}.{self.saga_id.hex}.{self.seq}"


class LogFeed:
    """The order of all events, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address, timelines: TimelineTable) -> None:
        self._sessions = sessions
        self._address = address
        self._timelines = timelines

    async def check(self) -> None:
        async with self._sessions.use() as connection:
            valid = await connection.fetchval(self._address.sql(IS_VALID))
        if not valid:
            raise ConfigurationError(
                "the events of all sagas cannot be read in one order: the index saga_log_xid is not there, or not whole; run "
                "`goconductor migrate` with events.topic, events.watch or webhooks.enabled set, as the owner of the tables, "
                "which builds it while sagas run"
            )

    async def beginning(self) -> str:
        async with self._sessions.use():  # only a session knows where it is
            return str(Place(*self._here, RESTORED, 0))

    async def end(self) -> str:
        async with self._sessions.use() as connection:
            here = self._here
            mode = SINCE if await connection.fetchval(self._address.sql(_END)) else NORMAL
            last = await connection.fetchrow(self._address.sql(_LAST[mode]))
        return str(Place(*here, mode, 0) if last is None else Place(*here, mode, int(last["xid"]), last["saga_id"], last["seq"]))

    async def read(self, after: str, *, limit: int) -> FeedPage:
        place = Place.of(after)
        async with self._sessions.use() as connection:
            self._refuse_other(place, after)
            rows = await connection.fetch(self._address.sql(_PAGES[place.mode]), str(place.xid), place.saga_id, place.seq, limit)
            more = rows[0]["more"]
            if not more and place.mode == RESTORED:
                after_restore = await connection.fetchrow(self._address.sql(_RESTORED_AT))
                assert after_restore is not None  # noqa: S101  (a SELECT without FROM has one row)
                following = place._replace(mode=SINCE, xid=_whole(after_restore), saga_id=_NOBODY, seq=0)
        entries = [_entry(row, place) for row in rows if row["saga"] is not None]
        if more or place.mode != RESTORED:
            following = place if rows[-1]["xid"] is None else _behind(rows[-1], place)
        return FeedPage(entries=entries, cursor=str(following), full=more or place.mode == RESTORED)

    async def lag(self, after: str) -> FeedLag:
        place = Place.of(after)
        async with self._sessions.use() as connection:
            self._refuse_other(place, after)
            row = await connection.fetchrow(self._address.sql(_LAGS[place.mode]), str(place.xid), place.saga_id, place.seq)
        assert row is not None  # noqa: S101  (a count has one row)
        return FeedLag(entries=row["entries"], seconds=row["seconds"])

    async def position(self, name: str) -> FeedPosition | None:
        async with self._sessions.use() as connection:
            system, timeline = self._here
            row = await connection.fetchrow(self._address.sql(_POSITION), name)
        if row is None:
            return None
        place = Place.of(row["cursor"])._replace(system=system, timeline=timeline)
        return FeedPosition(cursor=str(place if row["ours"] else place._replace(mode=RESTORED)), reached_at=row["reached_at"])

    async def keep(self, name: str, position: FeedPosition, *, epoch: int) -> None:
        async with self._sessions.use() as connection:
            leads = await connection.fetchval(self._address.sql(_KEEP), epoch, name, position.cursor, position.reached_at)
        if not leads:
            raise fenced(epoch)

    async def begin(self, name: str, position: FeedPosition) -> None:
        async with self._sessions.use() as connection:
            await connection.execute(self._address.sql(_BEGIN), name, position.cursor, position.reached_at)

    @property
    def _here(self) -> tuple[str, int]:
        """What numbers are counted by, for a session that is in use: the system's identifier and the timeline."""
        return self._address.cluster.partition(" ")[0], self._timelines.present

    def _refuse_other(self, place: Place, cursor: str) -> None:
        if (place.system, place.timeline) != self._here:
            raise CursorLostError(cursor)


def _behind(row: Row, place: Place) -> Place:
    return place._replace(xid=int(row["xid"]), saga_id=row["saga_id"], seq=row["seq"])


def _entry(row: Row, place: Place) -> FeedEntry:
    return FeedEntry(
        cursor=str(_behind(row, place)),
        saga_id=row["saga_id"],
        saga=row["saga"],
        version=row["version"],
        labels=texts_of(row["labels"]),
        entry=entry_of(row),
    )


def _whole(row: Row) -> int:
    """Return the whole number of the first transaction that has restored the log, of which a row keeps the lower half."""
    edge = int(row["edge"])
    numbers = [edge // _HALF * _HALF + int(half) for half in row["written_by"] if half is not None]
    return max(min((number if number <= edge else number - _HALF for number in numbers), default=0), 0)
