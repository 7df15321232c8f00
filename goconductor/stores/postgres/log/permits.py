"""Permits as rows: a slot of a limited step, with the token of its holder and an end.

A free slot is one whose end has come. An instance takes the first slot that no other one is just taking (``SKIP LOCKED``). So
instances neither wait for one another nor run into a deadlock, and a step with five slots costs no more than a counter. The
rows of a step are made when it first lacks some, and again after a crash of the database: the table is unlogged, as the leases
are, and is emptied with them. As long as their marker is gone nobody gets a permit, for those who hold one may not have asserted
it again.

Work that is refused is put into ``permit_queue``, in the same statement. There ``since`` is kept, however often the work asks
again, ``woken_at`` says that it was told of room, and ``wakes`` how often that was since it asked last. A newcomer gets a slot
only if there are more free slots than work that waits, so nothing is overtaken for ever. Only the statements that show a queue
count it to its end, which may be long.
"""

# ruff: noqa: S106, S608 - statements are put together from constants of this module

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from goconductor.ports.store import LeaseKey, Limit, Permit, PermitAnswer, PermitUse, Woken
from goconductor.ports.store.log.permits import WAKE_MAX, WAKES_MAX, WOKEN_SECONDS
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.log.batch import columns, document, fetch
from goconductor.stores.postgres.log.rows import key_of
from goconductor.stores.postgres.log.statement import statement

ROUND_MAX = 2**31 - 1

_WISHES = """
    SELECT (w.wish ->> 0)::uuid AS saga_id, w.wish ->> 1 AS step, w.wish ->> 2 AS direction, (w.wish ->> 3)::int AS round,
        (w.wish ->> 4)::int AS instance, (w.wish ->> 5)::bigint AS token, w.wish ->> 6 AS code, (w.wish ->> 7)::int AS total,
        (w.wish ->> 8)::int AS rate, (w.wish ->> 9)::float8 AS interval_seconds
    FROM jsonb_array_elements(convert_from(:wishes, 'UTF8')::jsonb) AS w(wish)
"""


def _free(kind: str, size: str, *, which: str = "slot") -> str:
    """Return the free slots of one kind."""
    return f"""SELECT {which} FROM goconductor.permits AS p
        WHERE p.code = s.code AND p.kind = '{kind}' AND p.slot < {size} AND p.expires_at <= clock_timestamp()"""


def _locked(kind: str, size: str) -> str:
    """Return as many free slots as are wanted, locked, and numbered for each step."""
    return f"""SELECT s.code, f.slot, row_number() OVER (PARTITION BY s.code ORDER BY f.slot) AS place
    FROM steps AS s CROSS JOIN LATERAL (
        {_free(kind, size, which="p.slot")} ORDER BY p.slot LIMIT s.wanted FOR UPDATE SKIP LOCKED
    ) AS f
    WHERE {size} IS NOT NULL"""


_ROOM = f"""least(
            CASE WHEN s.total IS NOT NULL THEN ({_free("total", "s.total", which="count(*)")}) END,
            CASE WHEN s.rate IS NOT NULL THEN ({_free("rate", "s.rate", which="count(*)")}) END
        )"""
_KEPT = f"""(
            SELECT count(*) FROM goconductor.permit_queue AS k
            WHERE k.code = s.code AND k.woken_at > clock_timestamp() - make_interval(secs => {WOKEN_SECONDS})
        )"""
_ASLEEP = f"(q.woken_at IS NULL OR q.woken_at <= clock_timestamp() - make_interval(secs => {WOKEN_SECONDS}))"
_MARKED = "EXISTS (SELECT FROM goconductor.lease_marker)"

TAKE = statement(
    f"""
WITH asked AS MATERIALIZED (
    SELECT u.*, q.since, (
        SELECT h.expires_at > clock_timestamp() FROM goconductor.leases AS h
        WHERE h.saga_id = u.saga_id AND h.step = u.step AND h.direction = u.direction AND h.round = u.round
    ) IS TRUE AS held
    FROM ({_WISHES}) AS u LEFT JOIN goconductor.permit_queue AS q
        ON q.saga_id = u.saga_id AND q.step = u.step AND q.direction = u.direction AND q.round = u.round
), wanted AS MATERIALIZED (
    SELECT a.*, row_number() OVER (PARTITION BY a.code ORDER BY a.since NULLS LAST, a.token) AS place FROM asked AS a
    WHERE NOT a.held
), steps AS MATERIALIZED (
    SELECT s.*, {_ROOM} AS room, (
        SELECT count(*) FROM (
            SELECT FROM goconductor.permit_queue AS k WHERE k.code = s.code LIMIT greatest(s.total, s.rate)
        ) AS counted
    ) AS queue FROM (
        SELECT w.code, max(w.total) AS total, max(w.rate) AS rate, count(*) AS wanted FROM wanted AS w GROUP BY w.code
    ) AS s ORDER BY s.code
), totals AS MATERIALIZED (
    {_locked("total", "s.total")}
), rates AS MATERIALIZED (
    {_locked("rate", "s.rate")}
), given AS MATERIALIZED (
    SELECT w.*, t.slot AS total_slot, r.slot AS rate_slot
    FROM wanted AS w JOIN steps AS s ON s.code = w.code
    LEFT JOIN totals AS t ON t.code = w.code AND t.place = w.place
    LEFT JOIN rates AS r ON r.code = w.code AND r.place = w.place
    WHERE {_MARKED} AND (s.total IS NULL OR t.slot IS NOT NULL) AND (s.rate IS NULL OR r.slot IS NOT NULL)
    AND (w.since IS NOT NULL OR w.place + s.queue <= s.room)
), taken AS (
    UPDATE goconductor.permits AS p
    SET token = g.token, instance = g.instance, expires_at = clock_timestamp() + make_interval(secs => g.seconds)
    FROM (
        SELECT code, 'total' AS kind, total_slot AS slot, token, instance, :seconds AS seconds FROM given
        UNION ALL SELECT code, 'rate', rate_slot, token, instance, interval_seconds FROM given
    ) AS g
    WHERE p.code = g.code AND p.kind = g.kind AND p.slot = g.slot
), served AS (
    DELETE FROM goconductor.permit_queue AS q USING given AS g
    WHERE q.saga_id = g.saga_id AND q.step = g.step AND q.direction = g.direction AND q.round = g.round
), queued AS (
    INSERT INTO goconductor.permit_queue AS q (saga_id, step, direction, round, code, since, wakes)
    SELECT w.saga_id, w.step, w.direction, w.round, w.code, clock_timestamp(), 0 FROM wanted AS w
    WHERE NOT EXISTS (SELECT FROM given AS g WHERE g.token = w.token)
    ORDER BY w.saga_id, w.step, w.direction, w.round
    ON CONFLICT (saga_id, step, direction, round) DO UPDATE SET woken_at = NULL, wakes = 0
)
SELECT token, true AS granted FROM given UNION ALL SELECT token, false FROM asked WHERE held
""",
    wishes="bytea",
    seconds="float8",
)

MAKE = statement(
    f"""
INSERT INTO goconductor.permits (code, kind, slot, instance, token, expires_at)
SELECT m.code, m.kind, g.slot, 0, 0, '-infinity' FROM (
    SELECT DISTINCT w.code, k.kind, k.size FROM ({_WISHES}) AS w
    CROSS JOIN LATERAL (VALUES ('total', w.total), ('rate', w.rate)) AS k(kind, size) WHERE k.size IS NOT NULL
) AS m CROSS JOIN LATERAL generate_series(0, m.size - 1) AS g(slot)
WHERE NOT EXISTS (SELECT FROM goconductor.permits AS p WHERE p.code = m.code AND p.kind = m.kind AND p.slot = g.slot)
ORDER BY m.code, m.kind, g.slot
ON CONFLICT DO NOTHING
RETURNING slot
""",
    wishes="bytea",
)

RENEW = statement(
    """
UPDATE goconductor.permits AS p SET expires_at = clock_timestamp() + make_interval(secs => :seconds)
FROM unnest(:code, :token) AS u(code, token)
WHERE p.code = u.code AND p.kind = 'total' AND p.token = u.token
RETURNING p.token
""",
    code="text[]",
    token="bigint[]",
    seconds="float8",
)

REASSERT = statement(
    f"""
WITH wanted AS MATERIALIZED (
    SELECT u.*, row_number() OVER (PARTITION BY u.code ORDER BY u.token) AS place FROM ({_WISHES}) AS u
    WHERE u.total IS NOT NULL AND NOT {_MARKED}
), steps AS MATERIALIZED (
    SELECT w.code, max(w.total) AS total, count(*) AS wanted FROM wanted AS w GROUP BY w.code
), totals AS MATERIALIZED (
    {_locked("total", "s.total")}
)
UPDATE goconductor.permits AS p
SET token = g.token, instance = g.instance, expires_at = clock_timestamp() + make_interval(secs => :seconds)
FROM (SELECT w.code, t.slot, w.token, w.instance FROM wanted AS w JOIN totals AS t ON t.code = w.code AND t.place = w.place) AS g
WHERE p.code = g.code AND p.kind = 'total' AND p.slot = g.slot
RETURNING p.token
""",
    wishes="bytea",
    seconds="float8",
)

GIVE_BACK = statement(
    """
WITH u AS MATERIALIZED (SELECT * FROM unnest(:code, :token) AS u(code, token)),
freed AS (
    UPDATE goconductor.permits AS p SET token = 0, expires_at = '-infinity' FROM u
    WHERE p.code = u.code AND p.token = u.token AND (p.kind = 'total' OR :unused) AND p.expires_at > clock_timestamp()
)
SELECT DISTINCT u.code FROM u WHERE EXISTS (SELECT FROM goconductor.permit_queue AS q WHERE q.code = u.code)
""",
    code="text[]",
    token="bigint[]",
    unused="boolean",
)

WAKE = statement(
    f"""
WITH steps AS MATERIALIZED (
    SELECT s.*, {_ROOM} - {_KEPT} AS room FROM unnest(:code, :total, :rate) AS s(code, total, rate) WHERE {_MARKED}
), forgotten AS (
    DELETE FROM goconductor.permit_queue AS q USING (
        SELECT o.saga_id, o.step, o.direction, o.round FROM goconductor.permit_queue AS o
        WHERE o.code = ANY (:code) AND o.wakes >= {WAKES_MAX}
        AND o.woken_at <= clock_timestamp() - make_interval(secs => {WOKEN_SECONDS}) FOR UPDATE SKIP LOCKED
    ) AS f
    WHERE q.saga_id = f.saga_id AND q.step = f.step AND q.direction = f.direction AND q.round = f.round
), picked AS MATERIALIZED (
    SELECT f.* FROM steps AS s CROSS JOIN LATERAL (
        SELECT q.saga_id, q.step, q.direction, q.round FROM goconductor.permit_queue AS q
        WHERE q.code = s.code AND {_ASLEEP} AND q.wakes < {WAKES_MAX}
        ORDER BY q.since LIMIT least(greatest(s.room, 0), {WAKE_MAX}) FOR UPDATE SKIP LOCKED
    ) AS f
)
UPDATE goconductor.permit_queue AS q SET woken_at = clock_timestamp(), wakes = q.wakes + 1 FROM picked AS f
WHERE q.saga_id = f.saga_id AND q.step = f.step AND q.direction = f.direction AND q.round = f.round
RETURNING q.saga_id, q.step, q.direction, q.round, q.code, q.since
""",
    code="text[]",
    total="int[]",
    rate="int[]",
)

QUEUES = statement(
    """
SELECT u.code, (SELECT count(*) FROM goconductor.permit_queue AS q WHERE q.code = u.code) AS waiting, (
    SELECT extract(epoch FROM min(p.expires_at) - clock_timestamp())::float8 FROM goconductor.permits AS p
    WHERE p.code = u.code AND p.expires_at > clock_timestamp()
) AS free_seconds
FROM unnest(:code) AS u(code)
""",
    code="text[]",
)

FORGET = statement(
    """
DELETE FROM goconductor.permit_queue AS q USING unnest(:saga_id, :step, :direction, :round) AS u(saga_id, step, direction, round)
WHERE q.saga_id = u.saga_id AND q.step = u.step AND q.direction = u.direction AND q.round = u.round
""",
    saga_id="uuid[]",
    step="text[]",
    direction="text[]",
    round="int[]",
)

USAGE = """
SELECT coalesce(p.code, q.code) AS code, coalesce(p.running, 0) AS running, coalesce(p.begun, 0) AS begun,
    coalesce(q.waiting, 0) AS waiting, coalesce(q.waiting_seconds, 0)::float8 AS waiting_seconds
FROM (
    SELECT code, count(*) FILTER (WHERE kind = 'total' AND expires_at > clock_timestamp()) AS running,
        count(*) FILTER (WHERE kind = 'rate' AND expires_at > clock_timestamp()) AS begun
    FROM goconductor.permits GROUP BY code
) AS p FULL JOIN (
    SELECT code, count(*) AS waiting, greatest(0, extract(epoch FROM clock_timestamp() - min(since))) AS waiting_seconds
    FROM goconductor.permit_queue GROUP BY code
) AS q ON q.code = p.code ORDER BY 1
"""

WAITING_OF = "SELECT saga_id, step, direction, round, code FROM goconductor.permit_queue WHERE saga_id = $1"


class PostgresPermits:
    """Permits, on sessions whose commits wait for no disk."""

    def __init__(self, sessions: Usable, reading: Usable, address: Address) -> None:
        self._sessions = sessions
        self._reading = reading
        self._take = address.sql(TAKE)
        self._make = address.sql(MAKE)
        self._renew = address.sql(RENEW)
        self._reassert = address.sql(REASSERT)
        self._give_back = address.sql(GIVE_BACK)
        self._wake = address.sql(WAKE)
        self._queues = address.sql(QUEUES)
        self._forget = address.sql(FORGET)
        self._usage = address.sql(USAGE)
        self._waiting_of = address.sql(WAITING_OF)

    async def take(self, permits: Sequence[Permit], seconds: float) -> list[PermitAnswer]:
        """Take permits. Of two wishes for one piece of work in a batch, the first is the one that is tried."""
        first: dict[LeaseKey, Permit] = {}
        for permit in permits:
            if permit.lease.key.round <= ROUND_MAX:  # else no lease can be had either
                first.setdefault(permit.lease.key, permit)
        wishes = document([_wish(first[key]) for key in sorted(first)])
        async with self._sessions.use() as connection:
            answers = await self._taken(connection, wishes, seconds)
            if len(answers) < len(first) and await fetch(connection, self._make, [wishes]):  # there were not all rows yet
                answers |= await self._taken(connection, document([_wish(p) for p in _left(first, answers)]), seconds)
        return [answers.get(permit.lease.token, PermitAnswer.REFUSED) for permit in permits]

    async def _taken(self, connection: Connection, wishes: bytes, seconds: float) -> dict[int, PermitAnswer]:
        rows = await fetch(connection, self._take, [wishes, seconds])
        return {row["token"]: PermitAnswer.GRANTED if row["granted"] else PermitAnswer.HELD for row in rows}

    async def renew(self, permits: Sequence[Permit], seconds: float) -> set[int]:
        async with self._sessions.use() as connection:
            return {row[0] for row in await fetch(connection, self._renew, [*_tokens(permits), seconds])}

    async def reassert(self, permits: Sequence[Permit], seconds: float) -> set[int]:
        wishes = document([_wish(permit) for permit in permits])
        async with self._sessions.use() as connection:
            await fetch(connection, self._make, [wishes])
            return {row[0] for row in await fetch(connection, self._reassert, [wishes, seconds])}

    async def give_back(self, permits: Sequence[Permit], *, unused: bool = False) -> set[str]:
        async with self._sessions.use() as connection:
            return {row[0] for row in await fetch(connection, self._give_back, [*_tokens(permits), unused])}

    async def wake(self, limits: Sequence[Limit]) -> list[Woken]:
        codes = [limit.step for limit in limits]
        async with self._sessions.use() as connection:
            arguments = [codes, [limit.total for limit in limits], [limit.rate for limit in limits]]
            rows = sorted(await fetch(connection, self._wake, arguments), key=lambda row: row["since"])
            queues = {row["code"]: row for row in await fetch(connection, self._queues, [codes])}
        return [
            Woken(
                step=code,
                works=tuple(key_of(row) for row in rows if row["code"] == code),
                waiting=queues[code]["waiting"],
                free_seconds=queues[code]["free_seconds"],
            )
            for code in codes
        ]

    async def forget(self, works: Sequence[LeaseKey]) -> None:
        rows = ((key.saga_id, key.step, key.direction.value, key.round) for key in sorted(works))
        async with self._sessions.use() as connection:
            await fetch(connection, self._forget, columns(rows, 4))

    async def usage(self) -> list[PermitUse]:
        async with self._reading.use() as connection:
            rows = await connection.fetch(self._usage)
        return [
            PermitUse(
                step=row["code"],
                running=row["running"],
                begun=row["begun"],
                waiting=row["waiting"],
                waiting_seconds=row["waiting_seconds"],
            )
            for row in rows
        ]

    async def waiting_of(self, saga_id: UUID) -> dict[LeaseKey, str]:
        async with self._reading.use() as connection:
            return {key_of(row): row["code"] for row in await connection.fetch(self._waiting_of, saga_id)}


def _left(first: dict[LeaseKey, Permit], answers: dict[int, PermitAnswer]) -> list[Permit]:
    return [first[key] for key in sorted(first) if first[key].lease.token not in answers]


def _wish(permit: Permit) -> tuple[Any, ...]:
    key, limit = permit.lease.key, permit.limit
    lease = (key.saga_id, key.step, key.direction, key.round, permit.lease.instance, permit.lease.token)
    return (*lease, limit.step, limit.total, limit.rate, limit.interval_seconds)


def _tokens(permits: Sequence[Permit]) -> list[list[Any]]:
    ordered = sorted(permits, key=lambda permit: (permit.limit.step, permit.lease.token))
    return [[permit.limit.step for permit in ordered], [permit.lease.token for permit in ordered]]
