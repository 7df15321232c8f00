"""The table of schedules. They are few and change seldom, so each statement is about one of them."""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from goconductor.ports.store import DueSchedules, ScheduleRow
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.notes import changed
from goconductor.stores.postgres.leading.terms import FENCE, fenced

_COLUMNS = "namespace, name, tag, extract(epoch FROM look_at)::float8 AS look_at, body"
_CREATE = """
    INSERT INTO goconductor.schedules (namespace, name, tag, look_at, body)
    VALUES ($1, $2, $3, to_timestamp($4::float8), $5) ON CONFLICT (namespace, name) DO NOTHING RETURNING tag
"""
_REPLACE = """
    UPDATE goconductor.schedules SET tag = $3, look_at = to_timestamp($4::float8), body = $5
    WHERE namespace = $1 AND name = $2 AND tag = $6 RETURNING tag
"""
_NOTE = f"""
    WITH {FENCE}, change AS (
        UPDATE goconductor.schedules SET tag = $4, look_at = to_timestamp($5::float8), body = $6
        WHERE namespace = $2 AND name = $3 AND tag = $7 AND EXISTS (SELECT FROM fence) RETURNING tag
    )
    SELECT EXISTS (SELECT FROM fence) AS leads, EXISTS (SELECT FROM change) AS changed
"""
_DELETE = "DELETE FROM goconductor.schedules WHERE namespace = $1 AND name = $2 AND tag = $3 RETURNING tag"
_GET = f"SELECT {_COLUMNS} FROM goconductor.schedules WHERE namespace = $1 AND name = $2"
_PAGE = f"""
    SELECT {_COLUMNS} FROM goconductor.schedules
    WHERE namespace = $1 AND name COLLATE "C" > $2 ORDER BY name COLLATE "C" LIMIT $3
"""
_DUE = """
    SELECT extract(epoch FROM t.now)::float8 AS now, s.namespace, s.name, s.tag, extract(epoch FROM s.look_at)::float8 AS look_at,
        CASE WHEN s.look_at <= t.now THEN s.body END AS body
    FROM (SELECT clock_timestamp() AS now) AS t LEFT JOIN LATERAL (
        SELECT * FROM goconductor.schedules WHERE look_at IS NOT NULL ORDER BY look_at LIMIT $1::bigint + 1
    ) AS s ON true ORDER BY s.look_at
"""


class ScheduleTable:
    """Schedules, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def create(self, row: ScheduleRow) -> bool:
        return await self._did(_CREATE, *_facts(row))

    async def replace(self, row: ScheduleRow, *, tag: int) -> bool:
        return await self._did(_REPLACE, *_facts(row), tag)

    async def note(self, row: ScheduleRow, *, tag: int, epoch: int) -> bool:
        async with self._sessions.use() as connection:
            done = await connection.fetchrow(self._address.sql(_NOTE), epoch, *_facts(row), tag)
        assert done is not None  # noqa: S101  (a SELECT without FROM has one row)
        if not done["leads"]:
            raise fenced(epoch)
        return bool(done["changed"])

    async def delete(self, namespace: str, name: str, *, tag: int) -> bool:
        return await self._did(_DELETE, namespace, name, tag)

    async def get(self, namespace: str, name: str) -> ScheduleRow | None:
        async with self._sessions.use() as connection:
            row: Row | None = await connection.fetchrow(self._address.sql(_GET), namespace, name)
        return None if row is None else ScheduleRow(**row)

    async def page(self, namespace: str, *, after: str = "", limit: int) -> list[ScheduleRow]:
        async with self._sessions.use() as connection:
            return [ScheduleRow(**row) for row in await connection.fetch(self._address.sql(_PAGE), namespace, after, limit)]

    async def due(self, limit: int) -> DueSchedules:
        """Return what is due; the moment after the last of a full page is not looked for."""
        async with self._sessions.use() as connection:
            found = [dict(row) for row in await connection.fetch(self._address.sql(_DUE), limit)]
        now = found[0]["now"]
        rows = [each for each in found if each.pop("now") is not None and each["name"] is not None]
        later = [each["look_at"] for each in rows if each["body"] is None]
        due = [ScheduleRow(**each) for each in rows if each["body"] is not None]
        return DueSchedules(now=now, rows=due[:limit], next_look=later[0] if later else None)

    async def _did(self, statement: str, *arguments: object) -> bool:
        return bool(await changed(self._sessions, self._address, statement, *arguments))


def _facts(row: ScheduleRow) -> tuple[object, ...]:
    return row.namespace, row.name, row.tag, row.look_at, row.body
