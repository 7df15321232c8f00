"""The timelines that the log has been on, and what is known to be missing since the last failover.

Each new connection for leases notes its server's timeline. The row travels with the log: so a server's highest row is never
above the timeline it is on, and what a process must refuse it learns from the servers that it meets: see
:mod:`goconductor.postgres.servers.timelines`. What the rows are for: since when a promoted server's leases say anything, and of
which time commits may be missing. A promoted server tells until its next start which commit of its predecessor it replayed last.

Rows bear the system's identifier: a log that was restored by pg_dump, or upgraded, is on timelines of another system.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Sequence

from goconductor.ports.store import Loss, Timeline
from goconductor.postgres.servers.timelines import TIMELINES
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Connection

SLACK_SECONDS = 60.0
"""How far the clocks of processes may be from the database's."""

NOTE = """
    INSERT INTO goconductor.timelines (system, timeline, replayed_until)
    SELECT $1, $2::bigint, pg_last_xact_replay_timestamp()
    WHERE NOT EXISTS (SELECT FROM goconductor.timelines WHERE system = $1 AND timeline = $2::bigint)
    ON CONFLICT DO NOTHING
"""

PROMOTED_AT = """(
    SELECT max(t.seen_at) FROM goconductor.timelines AS t
    WHERE EXISTS (SELECT FROM goconductor.timelines AS e WHERE e.system = t.system AND e.timeline < t.timeline)
)"""
"""When the last promotion was noticed; null if there was none."""

LOST = """
    SELECT u.number FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS u(saga_id, seq, tag, number)
    WHERE NOT EXISTS (
        SELECT FROM goconductor.saga_log AS k WHERE k.saga_id = u.saga_id AND k.seq = u.seq AND k.tag = u.tag
    )
    ORDER BY u.number
"""

NOTE_LOSSES = f"""
    INSERT INTO goconductor.losses AS l (saga_id, seq, tag, status, at, known_by)
    SELECT u.saga_id, u.seq, u.tag, u.status, to_timestamp(u.at), u.known_by
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::float8[], $6::text[])
        AS u(saga_id, seq, tag, status, at, known_by)
    WHERE NOT EXISTS (
        SELECT FROM goconductor.saga_log AS k WHERE k.saga_id = u.saga_id AND k.seq = u.seq AND k.tag = u.tag
    )
    AND (
        EXISTS (SELECT FROM goconductor.sagas AS s WHERE s.saga_id = u.saga_id)
        OR EXISTS (
            SELECT FROM goconductor.timelines AS t
            WHERE t.seen_at = {PROMOTED_AT} AND to_timestamp(u.at) <= t.seen_at + make_interval(secs => $7)
            AND to_timestamp(u.at) >= coalesce(t.replayed_until, t.seen_at - interval '1 hour') - make_interval(secs => $7)
        )
    )
    ORDER BY u.saga_id, u.seq, u.tag
    ON CONFLICT DO NOTHING
    RETURNING saga_id
"""


class TimelineTable:
    """The record of failovers: timelines and losses, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    @property
    def present(self) -> int:
        """The timeline that this process's sessions are on; 0 where the server does not tell."""
        return TIMELINES.highest(self._address.cluster)

    async def note_connected(self, connection: Connection) -> int:
        """Keep the timeline of a new connection's server; which one it is."""
        timeline = self.present
        if timeline:
            system = self._address.cluster.partition(" ")[0]
            await connection.execute(self._address.sql(NOTE), system, timeline)
        return timeline

    async def lost(self, told: Sequence[Loss]) -> list[Loss]:
        places = [one.saga_id for one in told], [one.seq for one in told], [one.tag for one in told]
        async with self._sessions.use() as connection:
            return [told[row[0] - 1] for row in await connection.fetch(self._address.sql(LOST), *places)]

    async def note(self, losses: Sequence[Loss]) -> int:
        columns = [
            [one.saga_id for one in losses],
            [one.seq for one in losses],
            [one.tag for one in losses],
            [one.status for one in losses],
            [one.at for one in losses],
            [one.known_by for one in losses],
        ]
        async with self._sessions.use() as connection:
            return len(await connection.fetch(self._address.sql(NOTE_LOSSES), *columns, SLACK_SECONDS))

    async def losses(self, limit: int) -> list[Loss]:
        """List the losses that were noted, the latest first."""
        statement = """
            SELECT saga_id, seq, tag, status, extract(epoch FROM at)::float8 AS at, known_by,
                extract(epoch FROM noticed_at)::float8 AS noticed_at
            FROM goconductor.losses ORDER BY noticed_at DESC, saga_id, seq LIMIT $1
        """
        async with self._sessions.use() as connection:
            return [Loss(**row) for row in await connection.fetch(self._address.sql(statement), limit)]

    async def timelines(self) -> list[Timeline]:
        statement = """
            SELECT timeline AS number, extract(epoch FROM seen_at)::float8 AS seen_at,
                extract(epoch FROM replayed_until)::float8 AS replayed_until
            FROM goconductor.timelines ORDER BY seen_at, timeline
        """
        async with self._sessions.use() as connection:
            return [Timeline(**row) for row in await connection.fetch(self._address.sql(statement))]
