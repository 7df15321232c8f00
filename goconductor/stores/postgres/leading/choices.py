"""Which bus and which election are used: a row each, and what the instances say of them, in theirs."""

from __future__ import annotations

import msgspec

from goconductor.ports.store import Choice, Phase, Report
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Row
from goconductor.stores.postgres.database.notes import changed


class ChoiceTable:
    """The choices of bus and election, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def current(self, kind: str) -> Choice | None:
        statement = """
            SELECT kind, chosen, beside, phase, number, extract(epoch FROM since)::float8 AS since, asked_by
            FROM goconductor.choices WHERE kind = $1
        """
        async with self._sessions.use() as connection:
            row: Row | None = await connection.fetchrow(self._address.sql(statement), kind)
        if row is None:
            return None
        facts = dict(row)
        return Choice(by=facts.pop("asked_by"), phase=Phase(facts.pop("phase")), **facts)

    async def choose(self, choice: Choice) -> bool:
        statement = """
            INSERT INTO goconductor.choices AS c (kind, chosen, beside, phase, number, asked_by)
            SELECT $1, $2, $3, $4, $5::bigint, $6 WHERE $5::bigint = 1 OR EXISTS (SELECT FROM goconductor.choices WHERE kind = $1)
            ON CONFLICT (kind) DO UPDATE SET chosen = excluded.chosen, beside = excluded.beside, phase = excluded.phase,
                number = excluded.number, since = clock_timestamp(), asked_by = excluded.asked_by
            WHERE c.number = excluded.number - 1 RETURNING number
        """
        facts = choice.kind, choice.chosen, choice.beside, choice.phase, choice.number, choice.by
        return bool(await changed(self._sessions, self._address, statement, *facts))

    async def report(self, serial: int, kind: str, report: Report) -> bool:
        """Keep the report of an instance of ours, not of one to which a failover has given the same serial."""
        statement = """
            UPDATE goconductor.participants SET speaks = speaks || jsonb_build_object($2::text, $3::jsonb)
            WHERE serial = $1 AND application_name = $4 RETURNING serial
        """
        arguments = serial, kind, msgspec.json.encode(report), self._address.application_name
        async with self._sessions.use() as connection:
            return await connection.fetchval(self._address.sql(statement), *arguments) is not None
