"""The hot statements. ``goconductor`` stands for the schema, whatever its name; ``:name`` for a parameter of the statement.

Those that write the log have a module of their own (:mod:`.writes`). Wishes for leases come as one document, as a batch does
there; the other statements take arrays, an element for each saga. The rows come sorted by key, so that all batches lock rows in
one order. No statement waits for a lease which it sees living and which is not its own: so a batch that holds rows waits only
for leases that are absent or expired, and a release cannot meet a wish for the same lease in a deadly embrace.

Who takes a lease that another held and did not free has to tell the log of that one's attempt first. The row itself remembers
whose it was (``taken_from``), so it does not matter when the one who took it dies before he has told, nor that at READ COMMITTED
a look at the row beside the statement may see another one than the statement meets: an ON CONFLICT sees the row that it has
locked. An append takes absent leases only, as it could not tell.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

import re

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


def statement(text: str, **types: str) -> str:
    """The statement with ``$n::type`` for each ``:name``, numbered in the order of the types."""
    numbers = {name: f"${number}::{kind}" for number, (name, kind) in enumerate(types.items(), 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], text)


START_KEYS = statement(
    """
SELECT k.namespace, k.saga, k.key, k.saga_id, k.input_hash
FROM unnest(:namespace, :saga, :key) AS u(namespace, saga, key)
JOIN goconductor.start_keys AS k ON k.namespace = u.namespace AND k.saga = u.saga AND k.key = u.key
""",
    namespace="text[]",
    saga="text[]",
    key="text[]",
)

UNCHANGED = statement(
    """
SELECT s.saga_id
FROM unnest(:saga_id, :seq, :tag) AS u(saga_id, seq, tag)
JOIN goconductor.sagas AS s ON s.saga_id = u.saga_id AND s.seq = u.seq AND s.tag = u.tag
""",
    saga_id="uuid[]",
    seq="bigint[]",
    tag="bigint[]",
)

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

# One that was taken from another, of which the log is not told yet, only ends: its row is the memory of it.
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

LEASE_COLUMNS = (
    "l.saga_id, l.step, l.direction, l.round, l.instance, l.token, extract(epoch FROM l.expires_at)::float8 AS expires_at"
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

HEAD_COLUMNS = """s.saga_id, s.saga, s.version, s.status, s.seq, s.tag, s.last_instance, s.labels,
    extract(epoch FROM s.wake_at)::float8 AS wake_at, extract(epoch FROM s.started_at)::float8 AS started_at,
    extract(epoch FROM s.updated_at)::float8 AS updated_at"""

HEADS = statement(
    f"""
SELECT {HEAD_COLUMNS} FROM unnest(:saga_id) AS u(saga_id) JOIN goconductor.sagas AS s ON s.saga_id = u.saga_id
""",
    saga_id="uuid[]",
)

# The time is asked for in a query of its own: a volatile function is no bound of an index, which would be read to its end.
DUE = statement(
    f"""
SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s
WHERE s.wake_at IS NOT NULL AND s.wake_at <= (SELECT clock_timestamp())
ORDER BY s.wake_at LIMIT :limit
""",
    limit="bigint",
)

LIVE = statement(
    f"""
SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s
WHERE s.wake_at IS NOT NULL AND s.saga_id > :after
ORDER BY s.saga_id LIMIT :limit
""",
    after="uuid",
    limit="bigint",
)

EVENT_COLUMNS = """e.event_id, e.event, e.step, e.round, e.attempt, e.token, e.participant, e.data, e.seq, e.tag,
    extract(epoch FROM e.at)::float8 AS at"""

TAILS = statement(
    f"""
SELECT u.saga_id, u.seq AS known_seq, u.tag AS known_tag, {EVENT_COLUMNS}
FROM unnest(:saga_id, :seq, :tag, :head_seq) AS u(saga_id, seq, tag, head_seq)
CROSS JOIN LATERAL (SELECT EXISTS (
    SELECT FROM goconductor.saga_log AS k WHERE k.saga_id = u.saga_id AND k.seq = u.seq AND k.tag = u.tag
) AS known) AS b
CROSS JOIN LATERAL (
    SELECT * FROM goconductor.saga_log AS t
    WHERE t.saga_id = u.saga_id AND t.seq > CASE WHEN b.known THEN u.seq ELSE 0 END AND t.seq <= u.head_seq
    ORDER BY t.seq
) AS e
""",
    saga_id="uuid[]",
    seq="bigint[]",
    tag="bigint[]",
    head_seq="bigint[]",
)
