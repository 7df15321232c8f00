"""Signs of life: which instances there are, and which have died.

Each instance holds a session's advisory lock on its acquire connection: it is free some milliseconds after a kill -9. Its two
numbers are the table's own (its oid, so that two schemas do not meet) and the instance's serial; no hash. A lost lock alone
does not mean death: the connection may have been cut. So an instance is missing when its lock is free *and* the server has
no other connection by its name; and who declares it dead takes the lock in the same transaction. All sessions of a process
bear that name, those of its other threads too: where its loop is blocked while the server restarts, only the thread that renews
leases comes back.

An instance that comes back takes its lock again as the first thing on its new connection, ends what is left of its old one,
and takes back the declaration. A serial alone is no proof of being meant: a failover to a standby that lagged behind gives
serials again. So an instance is known by its serial *and* its application name, half of which is random.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import msgspec

from goconductor.ports.store import Instance, Lease, Presence, Report, ignore
from goconductor.postgres.session import Session, Usable, transaction
from goconductor.redaction import logger_of
from goconductor.stores.postgres.database.dial import Address, Connection, Row
from goconductor.stores.postgres.database.timelines import TimelineTable
from goconductor.stores.postgres.leading.terms import FENCE, fenced
from goconductor.stores.postgres.log.rows import LEASE_COLUMNS, lease_of

logger = logger_of("goconductor.store")

Steps: TypeAlias = Mapping[str, Mapping[str, object]]

NEWCOMER_SECONDS = 1.0
"""Seconds after its registration during which an instance is not missed."""

LOCK_CLASS = "'goconductor.participants'::regclass::oid"

INSTANCE = """p.serial, p.participant, p.name, p.steps, p.features, p.speaks,
    extract(epoch FROM p.started_at)::float8 AS started_at, extract(epoch FROM p.dead_at)::float8 AS dead_at"""

LOCKS = f"""FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid = {LOCK_CLASS}
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

END_LEASES = f"""
    WITH held AS MATERIALIZED (
        SELECT saga_id, step, direction, round, token FROM goconductor.leases WHERE instance = $1
        ORDER BY saga_id, step, direction, round FOR UPDATE
    )
    UPDATE goconductor.leases AS l SET expires_at = least(l.expires_at, clock_timestamp()) FROM held AS h
    WHERE l.saga_id = h.saga_id AND l.step = h.step AND l.direction = h.direction AND l.round = h.round AND l.token = h.token
    RETURNING {LEASE_COLUMNS}
"""

END_PERMITS = """
    UPDATE goconductor.permits SET expires_at = least(expires_at, clock_timestamp()) WHERE instance = $1 AND kind = 'total'
"""

_DURABLE = """
    SELECT set_config('synchronous_commit', CASE WHEN reset_val IN ('off', 'local') THEN 'on' ELSE reset_val END, true)
    FROM pg_settings WHERE name = 'synchronous_commit'
"""
"""For one transaction of a session that waits for no disk: it waits, and no less than role and database say."""

_steps = msgspec.json.Decoder(dict[str, dict[str, object]])
_reports = msgspec.json.Decoder(dict[str, Report])


def instance_of(row: Row) -> Instance:
    """Read a row of :data:`INSTANCE`."""
    return Instance(
        serial=row["serial"],
        participant=row["participant"],
        name=row["name"],
        steps=_steps.decode(row["steps"]),
        features=tuple(row["features"]),
        started_at=row["started_at"],
        dead_at=row["dead_at"],
        reports=_reports.decode(row["speaks"]),
    )


@dataclass
class _Registered:
    """An instance of this process, with its registration, which is repeated where the log has lost it."""

    instance: Instance
    steps: bytes
    features: list[str]
    on_rewind: Callable[[Instance], None]


class SignsOfLife:
    """The locks of the instances that live in this process, and those of all others.

    Args:
        open_session: makes the session that holds the locks of ours; it is given what each new connection is to begin with.
        sessions: for all else.
        address: the database and our schema.
        timelines: are noted on each new connection.

    Attributes:
        session: the one that holds the locks.
    """

    def __init__(
        self,
        open_session: Callable[[Callable[[Connection], Awaitable[None]]], Session],
        sessions: Usable,
        address: Address,
        timelines: TimelineTable,
    ) -> None:
        self.session = open_session(self._assert_all)
        self._sessions = sessions
        self._address = address
        self._timelines = timelines
        self._timeline = 0
        self._rewound = False
        """Whether there is another timeline, of which not all of ours have been told."""
        self._ours: list[_Registered] = []

    async def register(
        self,
        participant: str,
        name: str,
        steps: Mapping[str, Mapping[str, object]],
        *,
        features: Collection[str] = (),
        on_rewind: Callable[[Instance], None] = ignore,
    ) -> Instance:
        async with self.session.use() as connection:
            encoded, known = msgspec.json.encode(steps), list(features)
            instance = await self._insert(connection, participant, name, encoded, known)
        self._ours.append(_Registered(instance, encoded, known, on_rewind))
        return instance

    async def _insert(self, connection: Connection, participant: str, name: str, steps: bytes, features: list[str]) -> Instance:
        async with transaction(connection):
            await connection.execute(_DURABLE)  # a serial is never given twice
            rows = await connection.fetch(
                self._address.sql(
                    f"""
                    INSERT INTO goconductor.participants AS p (participant, name, application_name, steps, features)
                    VALUES ($1, $2, $3, $4, $5) RETURNING {INSTANCE}
                    """
                ),
                participant,
                name,
                self._address.application_name,
                steps,
                features,
            )
            instance = instance_of(rows[0])
            await connection.execute(self._address.sql(f"SELECT pg_advisory_lock({LOCK_CLASS}::int4, $1)"), instance.serial)
        return instance

    async def offer(self, serial: int, steps: Mapping[str, Mapping[str, object]]) -> None:
        encoded = msgspec.json.encode(steps)
        for one in self._ours:
            if one.instance.serial == serial:
                one.steps = encoded
        async with self.session.use() as connection:
            await connection.execute(
                self._address.sql("UPDATE goconductor.participants SET steps = $3 WHERE serial = $1 AND application_name = $2"),
                serial,
                self._address.application_name,
                encoded,
            )

    async def unregister(self, serial: int) -> None:
        self._ours = [one for one in self._ours if one.instance.serial != serial]
        async with self.session.use() as connection:
            await connection.execute(
                self._address.sql(
                    """
                    UPDATE goconductor.participants SET dead_at = clock_timestamp()
                    WHERE serial = $1 AND application_name = $2
                    """
                ),
                serial,
                self._address.application_name,
            )
            await connection.execute(self._address.sql(f"SELECT pg_advisory_unlock({LOCK_CLASS}::int4, $1)"), serial)

    async def _assert_all(self, connection: Connection) -> None:
        """Take the locks of our instances on a new connection, whatever became of the old one, and register anew who is lost.

        A failover may have taken a registration, and given its serial to another process: the name tells. The other's lock is not
        waited for.
        """
        timeline = await self._timelines.note_connected(connection)
        self._rewound = self._rewound or self._timeline not in (0, timeline)
        self._timeline = timeline
        if not self._ours:
            self._rewound = False
            return
        rows = await connection.fetch(
            self._address.sql("SELECT serial FROM goconductor.participants WHERE serial = ANY ($1) AND application_name = $2"),
            [one.instance.serial for one in self._ours],
            self._address.application_name,
        )
        kept = {row["serial"] for row in rows}
        await self._take_again(connection, sorted(kept))
        for one in self._ours:
            if one.instance.serial not in kept:
                lost, one.instance = (
                    one.instance,
                    await self._insert(connection, one.instance.participant, one.instance.name, one.steps, one.features),
                )
                logger.warning(
                    "the log has lost the registration of %s (serial %d), it is registered anew (serial %d)",
                    *(lost.name, lost.serial, one.instance.serial),
                )
            elif not self._rewound:
                continue
            one.on_rewind(one.instance)
        self._rewound = False

    async def _take_again(self, connection: Connection, serials: list[int]) -> None:
        await connection.execute(
            self._address.sql(
                f"""
                SELECT pg_terminate_backend(l.pid) {LOCKS} AND l.objid::int4 = ANY ($1)
                AND l.pid IN (SELECT pid FROM pg_stat_activity WHERE application_name = $2)
                """
            ),
            serials,
            self._address.application_name,
        )
        lock = f"SELECT pg_advisory_lock({LOCK_CLASS}::int4, serial) FROM unnest($1::int[]) AS s(serial)"
        await connection.execute(self._address.sql(lock), serials)
        await connection.execute(
            self._address.sql(
                "UPDATE goconductor.participants SET dead_at = NULL WHERE serial = ANY ($1) AND dead_at IS NOT NULL"
            ),
            serials,
        )

    async def missing(self) -> list[Instance]:
        async with self._sessions.use() as connection:
            rows = await connection.fetch(
                self._address.sql(
                    f"""
                    SELECT {INSTANCE} FROM goconductor.participants AS p
                    WHERE p.dead_at IS NULL AND p.started_at < clock_timestamp() - make_interval(secs => $1)
                    AND p.serial NOT IN (SELECT l.objid::int4 {LOCKS})
                    AND p.application_name NOT IN (SELECT application_name FROM pg_stat_activity WHERE application_name <> '')
                    ORDER BY p.serial
                    """
                ),
                NEWCOMER_SECONDS,
            )
        return [instance_of(row) for row in rows]

    async def mark_dead(self, serial: int, *, epoch: int) -> tuple[list[Lease], list[UUID]]:
        """Record a death. An instance whose lock is held, or that has a connection, lives: nothing is marked or returned."""
        async with self._sessions.use() as connection, transaction(connection):
            rows = await connection.fetch(
                self._address.sql(
                    f"""
                    WITH {FENCE}, dead AS (
                        UPDATE goconductor.participants SET dead_at = coalesce(dead_at, clock_timestamp())
                        WHERE serial = $2 AND EXISTS (SELECT FROM fence)
                        AND application_name NOT IN (SELECT application_name FROM pg_stat_activity WHERE application_name <> '')
                        AND pg_try_advisory_xact_lock({LOCK_CLASS}::int4, serial)
                        RETURNING serial
                    )
                    SELECT EXISTS (SELECT FROM fence) AS leads, EXISTS (SELECT FROM dead) AS dead
                    """
                ),
                epoch,
                serial,
            )
            if not rows[0]["leads"]:
                raise fenced(epoch)
            if not rows[0]["dead"]:
                return [], []
            leases = await connection.fetch(self._address.sql(END_LEASES), serial)
            await connection.execute(self._address.sql(END_PERMITS), serial)
            sagas = await connection.fetch(
                self._address.sql(
                    "SELECT s.saga_id FROM goconductor.sagas AS s WHERE s.wake_at IS NOT NULL AND s.last_instance = $1"
                ),
                serial,
            )
        return [lease_of(lease) for lease in leases], sorted(saga[0] for saga in sagas)

    async def registered(self, participant: str | None = None) -> list[Instance]:
        async with self._sessions.use() as connection:
            rows = await connection.fetch(
                self._address.sql(
                    f"""
                    SELECT {INSTANCE} FROM goconductor.participants AS p
                    WHERE $1::text IS NULL OR p.participant = $1 ORDER BY p.serial
                    """
                ),
                participant,
            )
        return [instance_of(row) for row in rows]

    async def presence(self, *, dead_since: float) -> list[tuple[Instance, Presence]]:
        """Return who is present. The server knows by the connections that bear an instance's name when it last heard of it."""
        async with self._sessions.use() as connection:
            rows = await connection.fetch(
                self._address.sql(
                    f"""
                    SELECT {INSTANCE}, p.serial IN (SELECT l.objid::int4 {LOCKS}) AS alive,
                        extract(epoch FROM (
                            SELECT max(greatest(a.state_change, a.query_start)) FROM pg_stat_activity AS a
                            WHERE a.application_name = p.application_name
                        ))::float8 AS heard_at
                    FROM goconductor.participants AS p
                    WHERE p.dead_at IS NULL OR p.dead_at > to_timestamp($1) ORDER BY p.serial
                    """
                ),
                dead_since,
            )
            leases = await connection.fetch(
                self._address.sql(
                    """
                    SELECT instance, count(*) AS held, extract(epoch FROM min(expires_at))::float8 AS ends_at
                    FROM goconductor.leases WHERE expires_at > clock_timestamp() GROUP BY instance
                    """
                )
            )
        held = {lease["instance"]: lease for lease in leases}
        return [(instance_of(row), _presence_of(row, held.get(row["serial"]))) for row in rows]


def _presence_of(row: Row, leases: Row | None) -> Presence:
    return Presence(
        serial=row["serial"],
        alive=row["alive"] and row["dead_at"] is None,
        heard_at=row["heard_at"],
        leases=leases["held"] if leases else 0,
        lease_ends_at=leases["ends_at"] if leases else None,
    )
