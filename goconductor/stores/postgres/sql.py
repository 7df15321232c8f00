"""The hot statements. ``goconductor`` stands for the schema, whatever its name; ``:name`` for a parameter of the statement.

Appends and starts take their batch as one JSON document, a row for each saga, with the rows of its events and leases inside;
only the events' bodies come beside it, as they may be large: one after the other, each found by its place and length. (The
driver looks at each element of each array in Python; this costs it nothing, and the server reads it faster than thirty
arrays.) The other statements take arrays, an element for each saga. What one part of a statement returns feeds the next
directly: joining two results would be quadratic, as they have no index. The rows come sorted by key, so that all batches lock
rows in one order. No statement waits for a lease which it sees living and which is not its own: so a batch that holds rows
waits only for leases that are absent or expired, and a release cannot meet a wish for the same lease in a deadly embrace.

Who takes a lease that another held and did not free has to tell the log of that one's attempt first. The row itself remembers
whose it was (``taken_from``), so it does not matter when the one who took it dies before he has told, nor that at READ COMMITTED
a look at the row beside the statement may see another one than the statement meets: an ON CONFLICT sees the row that it has
locked. An append takes absent leases only, as it could not tell.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

import re

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


def _statement(text: str, **types: str) -> str:
    """The statement with ``$n::type`` for each ``:name``, numbered in the order of the types."""
    numbers = {name: f"${number}::{kind}" for number, (name, kind) in enumerate(types.items(), 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], text)


def _rows(row: str, **types: str) -> str:
    """The columns of a JSON array, each by its place in it, with its name and type."""
    places = enumerate(types.items())
    return ", ".join(
        f"{row} -> {n} AS {name}" if kind == "jsonb" else f"({row} ->> {n})::{kind} AS {name}" for n, (name, kind) in places
    )


_LEASE = {"step": "text", "direction": "text", "round": "int", "instance": "int", "token": "bigint"}
_EVENT = {
    "event_id": "uuid",
    "event": "text",
    "step": "text",
    "round": "int",
    "attempt": "int",
    "token": "bigint",
    "participant": "text",
    "at": "float8",
    "begins": "int",
    "length": "int",
}

_NEW_EVENTS = f"""
    INSERT INTO goconductor.saga_log
        (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)
    SELECT n.saga_id, n.seq + n.i, n.new_tag, n.event_id, n.event, n.step, n.round, n.attempt, n.token, n.participant,
        convert_from(substring(:bodies FROM n.begins FOR n.length), 'UTF8')::json, to_timestamp(n.at)
    FROM (
        SELECT w.saga_id, w.seq, w.new_tag, e.i, {_rows("e.event", **_EVENT)}
        FROM won AS w CROSS JOIN LATERAL jsonb_array_elements(w.events) WITH ORDINALITY AS e(event, i)
    ) AS n
"""

_NEW_LEASES = f"""
    INSERT INTO goconductor.leases AS l (saga_id, step, direction, round, instance, token, expires_at)
    SELECT t.saga_id, t.step, t.direction, t.round, t.instance, t.token, clock_timestamp() + make_interval(secs => t.seconds)
    FROM (
        SELECT w.saga_id, {_rows("e.lease", **_LEASE, seconds="float8")}
        FROM won AS w CROSS JOIN LATERAL jsonb_array_elements(w.takes) AS e(lease)
    ) AS t
    WHERE coalesce((  -- a scalar, so that each is looked up by its key: as NOT EXISTS it becomes a join that reads all leases
        SELECT h.token = ANY (:handed_on) FROM goconductor.leases AS h
        WHERE h.saga_id = t.saga_id AND h.step = t.step AND h.direction = t.direction AND h.round = t.round
    ), true)
    ON CONFLICT (saga_id, step, direction, round) DO UPDATE
    SET instance = excluded.instance, token = excluded.token, expires_at = excluded.expires_at, taken_from = NULL
    WHERE l.token = ANY (:handed_on)
    RETURNING saga_id, token
"""

_APPEND_ROW = {
    "saga_id": "uuid",
    "seq": "bigint",
    "tag": "bigint",
    "new_tag": "bigint",
    "status": "text",
    "instance": "int",
    "wake_at": "float8",
    "due_at": "float8",
    "events": "jsonb",
    "releases": "jsonb",
    "takes": "jsonb",
}

_APPEND = f"""
WITH {{fence}}won AS (
    UPDATE goconductor.sagas AS s
    SET seq = u.seq + jsonb_array_length(u.events), tag = u.new_tag, status = u.status, wake_at = to_timestamp(u.wake_at),
        last_instance = u.instance, updated_at = clock_timestamp()
    FROM (
        SELECT {_rows("a.append", **_APPEND_ROW)}
        FROM jsonb_array_elements(convert_from(:appends, 'UTF8')::jsonb) AS a(append)
    ) AS u
    WHERE s.saga_id = u.saga_id AND s.seq = u.seq AND s.tag = u.tag
    AND (u.due_at IS NULL OR to_timestamp(u.due_at) <= clock_timestamp()){{fenced}}
    RETURNING u.*
), logged AS ({_NEW_EVENTS}
), freed AS (
    DELETE FROM goconductor.leases AS l
    USING (
        SELECT w.saga_id, {_rows("e.lease", **_LEASE)}
        FROM won AS w CROSS JOIN LATERAL jsonb_array_elements(w.releases) AS e(lease)
        OFFSET 0  -- so that each lease is looked up by its whole key: a wide saga holds thousands
    ) AS n
    WHERE l.saga_id = n.saga_id AND l.step = n.step AND l.direction = n.direction AND l.round = n.round
    AND l.instance = n.instance AND l.token = n.token
), taken AS ({_NEW_LEASES})
SELECT saga_id, NULL::bigint AS token FROM won
UNION ALL SELECT saga_id, token FROM taken
"""

_APPEND_TYPES = {"appends": "bytea", "bodies": "bytea", "handed_on": "bigint[]"}

APPEND = _statement(_APPEND.format(fence="", fenced=""), **_APPEND_TYPES)
APPEND_FENCED = _statement(
    _APPEND.format(
        fence=(
            "fence AS MATERIALIZED "
            "(SELECT epoch FROM goconductor.leadership WHERE single AND epoch = :epoch AND holder <> '' FOR SHARE), "
        ),
        fenced="\n    AND EXISTS (SELECT FROM fence)",
    ),
    **_APPEND_TYPES,
    epoch="bigint",
)

_START_ROW = {
    "saga_id": "uuid",
    "saga": "text",
    "version": "text",
    "new_tag": "bigint",
    "status": "text",
    "instance": "int",
    "wake_at": "float8",
    "labels": "jsonb",
    "has_key": "boolean",
    "events": "jsonb",
    "takes": "jsonb",
}

START = _statement(
    f"""
WITH keyed AS (
    INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash)
    SELECT * FROM unnest(:key_namespace, :key_saga, :key, :key_saga_id, :input_hash)
    ON CONFLICT DO NOTHING
    RETURNING saga_id
), won AS MATERIALIZED (
    SELECT u.*, 0::bigint AS seq
    FROM (
        SELECT {_rows("a.start", **_START_ROW)}
        FROM jsonb_array_elements(convert_from(:starts, 'UTF8')::jsonb) AS a(start)
    ) AS u
    WHERE NOT u.has_key OR u.saga_id IN (SELECT saga_id FROM keyed)
), born AS (
    INSERT INTO goconductor.sagas
        (saga_id, saga, version, status, seq, tag, wake_at, last_instance, labels, started_at, updated_at)
    SELECT saga_id, saga, version, status, jsonb_array_length(events), new_tag, to_timestamp(wake_at), instance, labels,
        clock_timestamp(), clock_timestamp()
    FROM won
), logged AS ({_NEW_EVENTS}
), taken AS ({_NEW_LEASES})
SELECT saga_id, NULL::bigint AS token FROM won
UNION ALL SELECT saga_id, token FROM taken
""",
    key_namespace="text[]",
    key_saga="text[]",
    key="text[]",
    key_saga_id="uuid[]",
    input_hash="bytea[]",
    starts="bytea",
    bodies="bytea",
    handed_on="bigint[]",
)

START_KEYS = _statement(
    """
SELECT k.namespace, k.saga, k.key, k.saga_id, k.input_hash
FROM unnest(:namespace, :saga, :key) AS u(namespace, saga, key)
JOIN goconductor.start_keys AS k ON k.namespace = u.namespace AND k.saga = u.saga AND k.key = u.key
""",
    namespace="text[]",
    saga="text[]",
    key="text[]",
)

UNCHANGED = _statement(
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

ACQUIRE = _statement(
    """
INSERT INTO goconductor.leases AS l (saga_id, step, direction, round, instance, token, expires_at)
SELECT u.saga_id, u.step, u.direction, u.round, u.instance, u.token, clock_timestamp() + make_interval(secs => u.seconds)
FROM unnest(:saga_id, :step, :direction, :round, :instance, :token, :seconds)
    AS u(saga_id, step, direction, round, instance, token, seconds)
WHERE NOT EXISTS (
    SELECT FROM goconductor.leases AS h
    WHERE h.saga_id = u.saga_id AND h.step = u.step AND h.direction = u.direction AND h.round = u.round
    AND h.expires_at > clock_timestamp() AND NOT (h.instance = u.instance AND h.token = u.token)
)
ON CONFLICT (saga_id, step, direction, round) DO UPDATE
SET instance = excluded.instance, token = excluded.token, expires_at = excluded.expires_at,
    taken_from = CASE WHEN l.token = excluded.token THEN l.taken_from ELSE l.instance END
WHERE l.expires_at <= clock_timestamp() OR (l.instance = excluded.instance AND l.token = excluded.token)
RETURNING saga_id, step, direction, round, taken_from
""",
    **_HELD_LEASES,
    seconds="float8[]",
)

# An update, which looks again at a row that it waited for: a lease that was released meanwhile stays away.
RENEW = _statement(
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

ASSERT = _statement(
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
RELEASE = _statement(
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

HOLDERS = _statement(
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

HEADS = _statement(
    f"""
SELECT {HEAD_COLUMNS} FROM unnest(:saga_id) AS u(saga_id) JOIN goconductor.sagas AS s ON s.saga_id = u.saga_id
""",
    saga_id="uuid[]",
)

# The time is asked for in a query of its own: a volatile function is no bound of an index, which would be read to its end.
DUE = _statement(
    f"""
SELECT {HEAD_COLUMNS} FROM goconductor.sagas AS s
WHERE s.wake_at IS NOT NULL AND s.wake_at <= (SELECT clock_timestamp())
ORDER BY s.wake_at LIMIT :limit
""",
    limit="bigint",
)

LIVE = _statement(
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

TAILS = _statement(
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
