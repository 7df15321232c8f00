"""Deletes what is old: one short statement a step, by primary keys, under the leader's epoch.

A walk goes up the primary key. That of the sagas begins with the time of their start, so it ends where sagas begin that cannot
be old enough; what it passes by is what still lives. Each statement is bounded in sagas and in log entries, locks rows that
nobody writes to any more, and commits by itself: a saga that an operator touches meanwhile is left, since its row is looked
at again when its lock is had. Which saga has started another one stands in the first entry of the log of the latter. Locks of
sagas go in the order in which a look at them takes them away, so neither waits for the other in a circle.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from goconductor.ports.store import ID_SLACK_SECONDS, Cursor, Forgettable, Forgotten, id_bound
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.leading.instances import LOCK_CLASS
from goconductor.stores.postgres.leading.terms import FENCE, fenced

ENTRIES_MAX = 20_000
"""Log entries that one statement takes away, or those of one saga if it has more."""

_OLD = "s.status = ANY ($3::text[]) AND s.updated_at < to_timestamp($2::float8)"

# The two subqueries are scalar, so that each is a look at a primary key and never a scan, whatever the planner expects.
_PARENT_LIVES = """coalesce((
    SELECT parent.status <> ALL ($3::text[]) FROM goconductor.sagas AS parent WHERE parent.saga_id = (
        SELECT (e.data -> 'parent' ->> 'saga_id')::uuid FROM goconductor.saga_log AS e WHERE e.saga_id = s.saga_id AND e.seq = 1
    )
), false)"""
_MAY_GO = f"CASE WHEN {_OLD} THEN NOT {_PARENT_LIVES} ELSE false END"

_LEASES = f"""
WITH {FENCE}, page AS MATERIALIZED (
    SELECT l.saga_id, l.step, l.direction, l.round, l.token, l.expires_at < to_timestamp($2::float8) AS old
    FROM goconductor.leases AS l
    WHERE (l.saga_id, l.step, l.direction, l.round) > ($5::uuid, $6::text, $7::text, $8::int)
    ORDER BY l.saga_id, l.step, l.direction, l.round LIMIT $4::bigint
), old AS MATERIALIZED (
    SELECT p.* FROM page AS p LEFT JOIN goconductor.sagas AS s ON s.saga_id = p.saga_id
    WHERE p.old AND (s.saga_id IS NULL OR s.status = ANY ($3::text[]))
), gone AS (
    DELETE FROM goconductor.leases AS l USING old AS o
    WHERE l.saga_id = o.saga_id AND l.step = o.step AND l.direction = o.direction AND l.round = o.round
    AND l.token = o.token AND l.expires_at < to_timestamp($2::float8) AND EXISTS (SELECT FROM fence)
    RETURNING l.saga_id
)
SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS taken, 0::bigint AS entries,
    (SELECT count(*) FROM page) = $4::bigint AS more,
    (SELECT ARRAY[saga_id::text, step, direction, round::text] FROM page
        ORDER BY saga_id DESC, step DESC, direction DESC, round DESC LIMIT 1) AS last
"""

_START_KEYS = f"""
WITH {FENCE}, page AS MATERIALIZED (
    SELECT k.namespace, k.saga, k.key, k.saga_id FROM goconductor.start_keys AS k
    WHERE (k.namespace, k.saga, k.key) > ($5::text, $6::text, $7::text)
    ORDER BY k.namespace, k.saga, k.key LIMIT $4::bigint
), old AS MATERIALIZED (
    SELECT p.namespace, p.saga, p.key, p.saga_id FROM page AS p LEFT JOIN goconductor.sagas AS s ON s.saga_id = p.saga_id
    WHERE s.saga_id IS NULL OR {_MAY_GO}
), gone AS (
    DELETE FROM goconductor.start_keys AS k USING old AS o
    WHERE k.namespace = o.namespace AND k.saga = o.saga AND k.key = o.key AND k.saga_id = o.saga_id
    AND EXISTS (SELECT FROM fence)
    RETURNING k.saga_id
)
SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS taken, 0::bigint AS entries,
    (SELECT count(*) FROM page) = $4::bigint AS more,
    (SELECT ARRAY[namespace, saga, key] FROM page ORDER BY namespace DESC, saga DESC, key DESC LIMIT 1) AS last
"""

_SAGAS = f"""
WITH {FENCE}, page AS MATERIALIZED (
    SELECT s.saga_id, {_MAY_GO} AS old, s.seq FROM goconductor.sagas AS s
    WHERE s.saga_id > $5::uuid AND s.saga_id < $6::uuid ORDER BY s.saga_id LIMIT $4::bigint
), counted AS (
    SELECT saga_id, old, coalesce(sum(seq) FILTER (WHERE old)
        OVER (ORDER BY saga_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
    FROM page
), chosen AS MATERIALIZED (
    SELECT saga_id, old FROM counted WHERE before < {ENTRIES_MAX}
), gone AS (
    DELETE FROM goconductor.sagas AS s USING (SELECT saga_id FROM chosen WHERE old) AS o
    WHERE s.saga_id = o.saga_id AND {_OLD} AND EXISTS (SELECT FROM fence)
    RETURNING s.saga_id
), entries AS (
    DELETE FROM goconductor.saga_log AS e USING gone AS g WHERE e.saga_id = g.saga_id RETURNING e.saga_id
), freed AS (
    DELETE FROM goconductor.leases AS l USING gone AS g WHERE l.saga_id = g.saga_id
), signals AS (
    DELETE FROM goconductor.signals AS k USING gone AS g WHERE k.saga_id = g.saga_id
), held AS MATERIALIZED (
    SELECT k.key, k.saga_id FROM goconductor.locks AS k JOIN gone AS g ON k.saga_id = g.saga_id
    ORDER BY k.key, k.saga_id FOR UPDATE OF k
), locks AS (
    DELETE FROM goconductor.locks AS k USING held AS h WHERE k.key = h.key AND k.saga_id = h.saga_id
)
SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS taken, (SELECT count(*) FROM entries) AS entries,
    (SELECT count(*) FROM page) = $4::bigint OR (SELECT count(*) FROM chosen) < (SELECT count(*) FROM page) AS more,
    (SELECT ARRAY[saga_id::text] FROM chosen ORDER BY saga_id DESC LIMIT 1) AS last
"""

_DEAD_LETTERS = f"""
WITH {FENCE}, page AS MATERIALIZED (
    SELECT letter_id, at < to_timestamp($2::float8) AS old FROM goconductor.dead_letters
    WHERE letter_id > $4::bigint ORDER BY letter_id LIMIT $3::bigint
), gone AS (
    DELETE FROM goconductor.dead_letters AS d USING (SELECT letter_id FROM page WHERE old) AS o
    WHERE d.letter_id = o.letter_id AND EXISTS (SELECT FROM fence)
    RETURNING d.letter_id
)
SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS taken, 0::bigint AS entries,
    (SELECT count(*) FROM page WHERE old) = $3::bigint AS more, (SELECT ARRAY[max(letter_id)::text] FROM page) AS last
"""

# The lock is the instance's sign of life: while it is held, whatever is said of its end is wrong.
_INSTANCES = f"""
WITH {FENCE}, page AS MATERIALIZED (
    SELECT serial, dead_at < to_timestamp($2::float8) AS old FROM goconductor.participants
    WHERE serial > $4::int ORDER BY serial LIMIT $3::bigint
), gone AS (
    DELETE FROM goconductor.participants AS p USING (SELECT serial FROM page WHERE old) AS o
    WHERE p.serial = o.serial AND p.dead_at < to_timestamp($2::float8) AND EXISTS (SELECT FROM fence)
    AND pg_try_advisory_xact_lock({LOCK_CLASS}::int4, p.serial)
    RETURNING p.serial
)
SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS taken, 0::bigint AS entries,
    (SELECT count(*) FROM page) = $3::bigint AS more, (SELECT ARRAY[max(serial)::text] FROM page) AS last
"""

# The last of the old ones stays: the next one's link is made of it.
_AUDIT = f"""
WITH {FENCE}, page AS MATERIALIZED (
    SELECT seq, at < to_timestamp($2::float8) AS old FROM goconductor.audit WHERE seq IS NOT NULL ORDER BY seq LIMIT $3::bigint
), kept AS MATERIALIZED (
    SELECT coalesce(min(seq) FILTER (WHERE NOT old) - 1, max(seq)) AS seq FROM page
), gone AS (
    DELETE FROM goconductor.audit AS a WHERE a.seq < (SELECT seq FROM kept) AND EXISTS (SELECT FROM fence) RETURNING a.seq
)
SELECT EXISTS (SELECT FROM fence) AS leads, (SELECT count(*) FROM gone) AS taken, 0::bigint AS entries,
    (SELECT count(*) FROM page WHERE old) = $3::bigint AND $3::bigint > 1 AS more, ARRAY[]::text[] AS last
"""

STATEMENTS = {
    Forgettable.LEASES: _LEASES,
    Forgettable.START_KEYS: _START_KEYS,
    Forgettable.SAGAS: _SAGAS,
    Forgettable.DEAD_LETTERS: _DEAD_LETTERS,
    Forgettable.INSTANCES: _INSTANCES,
    Forgettable.AUDIT: _AUDIT,
}


class RetentionWalk:
    """The walk over what is old, on the sessions for everybody."""

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address

    async def forget(
        self, kind: Forgettable, *, before: float, ended: Sequence[str], after: Cursor | None, limit: int, epoch: int
    ) -> Forgotten:
        arguments = _arguments(kind, before, ended, after, limit)
        async with self._sessions.use() as connection:
            row = await connection.fetchrow(self._address.sql(STATEMENTS[kind]), epoch, before, *arguments)
        assert row is not None  # noqa: S101  (a SELECT without FROM has one row)
        if not row["leads"]:
            raise fenced(epoch)
        return Forgotten(taken=row["taken"], entries=row["entries"], after=tuple(row["last"]) if row["more"] else None)


def _arguments(kind: Forgettable, before: float, ended: Sequence[str], after: Cursor | None, limit: int) -> list[object]:
    """Return the arguments behind the epoch and the time."""
    match kind:
        case Forgettable.LEASES:
            saga_id, step, direction, round_ = after or (str(UUID(int=0)), "", "", "0")
            return [list(ended), limit, UUID(saga_id), step, direction, int(round_)]
        case Forgettable.START_KEYS:
            return [list(ended), limit, *(after or ("", "", ""))]
        case Forgettable.SAGAS:
            low = UUID(after[0]) if after else UUID(int=0)
            return [list(ended), limit, low, id_bound(before + ID_SLACK_SECONDS)]
        case Forgettable.AUDIT:  # each step begins at the oldest that is left
            return [limit]
        case Forgettable.DEAD_LETTERS | Forgettable.INSTANCES:
            return [limit, int(after[0]) if after else 0]
