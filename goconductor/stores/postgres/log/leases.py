"""Taking leases, and only then reading the heads.

In one statement the head would come from a snapshot older than the lease, and in one transaction an acquirer and a decider
would not see each other. So: the leases, their commit, and then a second statement. Leases are unlogged; their commits wait
for no disk.

Wishes for leases come as one document, sorted by key, so that all batches lock rows in one order. No statement waits for a lease
which it sees living and which is not its own: so a batch that holds rows waits only for leases that are absent or expired, and a
release cannot meet a wish for the same lease in a deadly embrace.

An instance may take a lease that another one held and did not free. It must then write the other's attempt into the log first.
The row itself keeps whose it was (``taken_from``), so nothing is lost if the new holder dies before it has done so. At READ
COMMITTED a look at the row beside the statement could see another version of it; an ON CONFLICT sees the version that it has
locked. An append takes absent leases only, as it could not report the other's attempt.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from goconductor.ports.store import Acquire, Acquired, Lease, LeaseKey, Tail
from goconductor.postgres.session import Session
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.log.batch import columns, document, fetch, held_columns, lease_row
from goconductor.stores.postgres.log.rows import LEASE_COLUMNS, key_of, lease_of
from goconductor.stores.postgres.log.sifting import LOCK_TABLES, Sieve
from goconductor.stores.postgres.log.statement import statement
from goconductor.stores.postgres.log.tails import TailReader

_LEASE_KEYS = {"saga_id": "uuid[]", "step": "text[]", "direction": "text[]", "round": "int[]"}
_HELD_LEASES = {**_LEASE_KEYS, "instance": "int[]", "token": "bigint[]"}

ACQUIRE = statement(
    """
INSERT INTO goconductor.leases AS l (saga_id, step, direction, round, instance, token, expires_at)
SELECT u.saga_id, u.step, u.direction, u.round, u.instance, u.token, clock_timestamp() + make_interval(secs => u.seconds)
FROM (
    SELECT (w.wish ->> 0)::uuid AS saga_id, w.wish ->> 1 AS step, w.wish ->> 2 AS direction, (w.wish ->> 3)::int AS round,
        (w.wish ->> 4)::int AS instance, (w.wish ->> 5)::bigint AS token, (w.wish ->> 6)::float8 AS seconds
    FROM jsonb_array_elements(convert_from(:wishes, 'UTF8')::jsonb) AS w(wish)
) AS u
WHERE NOT EXISTS (
    SELECT FROM goconductor.leases AS h
    WHERE h.saga_id = u.saga_id AND h.step = u.step AND h.direction = u.direction AND h.round = u.round
    AND h.expires_at > clock_timestamp() AND NOT (h.instance = u.instance AND h.token = u.token)
)
ON CONFLICT (saga_id, step, direction, round) DO UPDATE
SET instance = excluded.instance, token = excluded.token, expires_at = excluded.expires_at,
    taken_from = CASE WHEN l.token = excluded.token THEN l.taken_from ELSE l.instance END
WHERE l.expires_at <= clock_timestamp() OR (l.instance = excluded.instance AND l.token = excluded.token)
RETURNING token, taken_from
""",
    wishes="bytea",
)

# An update, which looks again at a row that it waited for: a lease that was released meanwhile stays away.
RENEW = statement(
    """
UPDATE goconductor.leases AS l
SET expires_at = clock_timestamp() + make_interval(secs => :seconds)
FROM unnest(:saga_id, :step, :direction, :round, :instance, :token)
    AS u(saga_id, step, direction, round, instance, token)
WHERE l.saga_id = u.saga_id AND l.step = u.step AND l.direction = u.direction AND l.round = u.round
AND l.instance = u.instance AND l.token = u.token
RETURNING l.saga_id, l.step, l.direction, l.round
""",
    **_HELD_LEASES,
    seconds="float8",
)

ASSERT = statement(
    """
INSERT INTO goconductor.leases AS l (saga_id, step, direction, round, instance, token, expires_at)
SELECT u.saga_id, u.step, u.direction, u.round, u.instance, u.token, clock_timestamp() + make_interval(secs => :seconds)
FROM unnest(:saga_id, :step, :direction, :round, :instance, :token)
    AS u(saga_id, step, direction, round, instance, token)
WHERE NOT EXISTS (SELECT FROM goconductor.lease_marker)
ON CONFLICT DO NOTHING
RETURNING saga_id, step, direction, round
""",
    **_HELD_LEASES,
    seconds="float8",
)

# A lease that was taken from another instance, whose attempt is not in the log yet, only ends: its row keeps that fact.
RELEASE = statement(
    """
WITH u AS MATERIALIZED (
    SELECT * FROM unnest(:saga_id, :step, :direction, :round, :instance, :token)
        AS u(saga_id, step, direction, round, instance, token)
), ended AS (
    UPDATE goconductor.leases AS l SET expires_at = least(l.expires_at, clock_timestamp()) FROM u
    WHERE l.saga_id = u.saga_id AND l.step = u.step AND l.direction = u.direction AND l.round = u.round
    AND l.instance = u.instance AND l.token = u.token AND l.taken_from IS NOT NULL AND NOT :told
)
DELETE FROM goconductor.leases AS l USING u
WHERE l.saga_id = u.saga_id AND l.step = u.step AND l.direction = u.direction AND l.round = u.round
AND l.instance = u.instance AND l.token = u.token AND (l.taken_from IS NULL OR :told)
""",
    **_HELD_LEASES,
    told="boolean",
)

HOLDERS = statement(
    f"""
SELECT {LEASE_COLUMNS}
FROM unnest(:saga_id, :step, :direction, :round) AS u(saga_id, step, direction, round)
JOIN goconductor.leases AS l
    ON l.saga_id = u.saga_id AND l.step = u.step AND l.direction = u.direction AND l.round = u.round
""",
    **_LEASE_KEYS,
)

NOTHING = Tail(head=None)
REFUSED = Acquired(granted=False, tail=NOTHING)


class PostgresLeases:
    """Leases, on a session of their own."""

    def __init__(self, session: Session, address: Address, tails: TailReader) -> None:
        self._session = session
        self._tails = tails
        self._acquire = address.sql(ACQUIRE)
        self._holders = address.sql(HOLDERS)
        self._renew = address.sql(RENEW)
        self._assert = address.sql(ASSERT)
        self._release = address.sql(RELEASE)
        self._lock_tables = address.sql(LOCK_TABLES)

    async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]:
        """Take leases and read tails. Of two wishes for one lease in a batch, the first is the one that is tried."""
        async with self._session.use() as connection:

            async def run(batch: Sequence[Acquire]) -> list[Acquired]:
                return await self._run(connection, batch)

            return await Sieve(connection, self._lock_tables).run(requests, run, lambda *_: REFUSED, lambda _: REFUSED)

    async def _run(self, connection: Connection, requests: Sequence[Acquire]) -> list[Acquired]:
        first: dict[tuple[int, str, str, int], Acquire] = {}
        for request in requests:
            first.setdefault(_order(request.lease.key), request)
        wishes = document([_wish(first[key]) for key in sorted(first)])
        got = {row["token"]: row["taken_from"] for row in await fetch(connection, self._acquire, [wishes])}
        granted = [request.lease.token in got for request in requests]
        known = [request.known for request, ok in zip(requests, granted, strict=True) if ok]
        tails = iter(await self._tails.read(connection, known))
        holders = await self._held(connection, {r.lease.key for r, ok in zip(requests, granted, strict=True) if not ok})
        return [
            Acquired(granted=True, tail=next(tails), taken_from=got[request.lease.token])
            if ok
            else Acquired(granted=False, tail=NOTHING, holder=holders.get(request.lease.key))
            for request, ok in zip(requests, granted, strict=True)
        ]

    async def _held(self, connection: Connection, keys: set[LeaseKey]) -> dict[LeaseKey, Lease]:
        if not keys:
            return {}
        arrays = columns(((key.saga_id, key.step, key.direction.value, key.round) for key in sorted(keys)), 4)
        return {lease.key: lease for lease in map(lease_of, await connection.fetch(self._holders, *arrays))}

    async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        return await self._prolonged(self._renew, leases, lease_seconds)

    async def reassert(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        """Bring absent leases back while the marker is absent too: a crash empties its table with that of the leases."""
        return await self._prolonged(self._assert, leases, lease_seconds)

    async def _prolonged(self, statement: str, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        wanted = _unique(leases)
        async with self._session.use() as connection:
            return {key_of(row) for row in await fetch(connection, statement, [*held_columns(wanted), lease_seconds])}

    async def release(self, leases: Sequence[Lease], *, told: bool = False) -> None:
        arguments = [*held_columns(sorted(leases, key=lambda lease: lease.key)), told]
        async with self._session.use() as connection:
            await fetch(connection, self._release, arguments)


def _order(key: LeaseKey) -> tuple[int, str, str, int]:
    """Return a lease's key as PostgreSQL orders it; a UUID would be compared and hashed in Python."""
    return key.saga_id.int, key.step, key.direction, key.round


def _wish(request: Acquire) -> tuple[Any, ...]:
    return (request.lease.key.saga_id, *lease_row(request.lease), request.lease_seconds)


def _unique(leases: Sequence[Lease]) -> list[Lease]:
    by_key = {lease.key: lease for lease in leases}
    return [by_key[key] for key in sorted(by_key)]
