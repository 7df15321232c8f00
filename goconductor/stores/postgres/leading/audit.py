"""The table of the audit log. Its rows are added and, by retention, taken away; what one says is never changed."""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Sequence

from goconductor.ports.store import AuditRow, AuditWanted, Link, Note
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.notes import NOTE, write
from goconductor.stores.postgres.leading.terms import FENCE, fenced

_COLUMNS = f"id, extract(epoch FROM at)::float8 AS at, seq, hash, {', '.join(NOTE)}"
_NEWEST = f"""
    SELECT {_COLUMNS} FROM goconductor.audit
    WHERE id < coalesce($1::bigint, 9223372036854775807)
    AND ($3::text IS NULL OR actor = $3) AND ($4::text IS NULL OR function = $4) AND ($5::text IS NULL OR object = $5)
    AND ($6::text IS NULL OR outcome = $6)
    AND ($7::float8 IS NULL OR audit.at >= to_timestamp($7)) AND ($8::float8 IS NULL OR audit.at < to_timestamp($8))
    ORDER BY id DESC LIMIT $2
"""
_PLACED = f"SELECT {_COLUMNS} FROM goconductor.audit WHERE seq > $1 ORDER BY seq LIMIT $2"
_UNPLACED = f"SELECT {_COLUMNS} FROM goconductor.audit WHERE seq IS NULL ORDER BY id LIMIT $1"
_HEAD = f"SELECT {_COLUMNS} FROM goconductor.audit WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1"
_PLACE = f"""
    WITH {FENCE}, placed AS (
        UPDATE goconductor.audit AS a SET seq = u.seq, hash = u.hash
        FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS u(id, seq, hash)
        WHERE a.id = u.id AND a.seq IS NULL AND EXISTS (SELECT FROM fence)
    )
    SELECT EXISTS (SELECT FROM fence)
"""


class AuditTable:
    """The audit log, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def write(self, note: Note) -> None:
        async with self._sessions.use() as connection:
            await write(connection, self._address, note)

    async def newest(self, wanted: AuditWanted, *, limit: int, before: int | None = None) -> list[AuditRow]:
        of = wanted
        return await self._rows(_NEWEST, before, limit, of.actor, of.function, of.object, of.outcome, of.since, of.until)

    async def placed(self, *, after: int, limit: int) -> list[AuditRow]:
        return await self._rows(_PLACED, after, limit)

    async def unplaced(self, *, limit: int) -> list[AuditRow]:
        return await self._rows(_UNPLACED, limit)

    async def place(self, links: Sequence[Link], *, epoch: int) -> None:
        arguments = [each.id for each in links], [each.seq for each in links], [each.hash for each in links]
        async with self._sessions.use() as connection:
            if not await connection.fetchval(self._address.sql(_PLACE), epoch, *arguments):
                raise fenced(epoch)

    async def head(self) -> AuditRow | None:
        return next(iter(await self._rows(_HEAD)), None)

    async def _rows(self, statement: str, *arguments: object) -> list[AuditRow]:
        async with self._sessions.use() as connection:
            return [_row(each) for each in await connection.fetch(self._address.sql(statement), *arguments)]


def _row(found: Row) -> AuditRow:
    note = Note(**{name: found[name] for name in NOTE})
    return AuditRow(id=found["id"], at=found["at"], note=note, seq=found["seq"], hash=found["hash"])
