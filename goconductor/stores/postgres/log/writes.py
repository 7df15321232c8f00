"""The statements that write the log: a start and an append, of a batch and of one saga alone.

A batch is one JSON document, a row for each saga, with the rows of its events and leases inside; only the events' bodies come
beside it, as they may be large: one after the other, each found by its place and length. (The driver looks at each element of
each array in Python; this costs it nothing, and the server reads it faster than thirty arrays.) What one part of a statement
returns feeds the next directly: joining two results would be quadratic, as they have no index.

For a saga alone, reading the document would be half of the server's work. So each of its values is a parameter, where it has one
event and at most one lease of a kind. What is done is the same text; only where the rows come from differs.
"""

# ruff: noqa: S608 - statements are put together from constants of this module

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from goconductor.stores.postgres.database.notes import NOTE
from goconductor.stores.postgres.log.statement import statement

LED = "single AND holder <> ''"
"""Condition for the leadership's row while somebody holds it: a resigned term has no holder, and nothing is written under it."""

_LEASE = {"step": "text", "direction": "text", "round": "int", "instance": "int", "token": "bigint"}
_TAKE = {**_LEASE, "seconds": "float8"}
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
_APPEND = {
    "saga_id": "uuid",
    "seq": "bigint",
    "tag": "bigint",
    "new_tag": "bigint",
    "status": "text",
    "instance": "int",
    "wake_at": "float8",
    "due_at": "float8",
}
_START = {
    "saga_id": "uuid",
    "saga": "text",
    "version": "text",
    "new_tag": "bigint",
    "status": "text",
    "instance": "int",
    "wake_at": "float8",
    "labels": "jsonb",  # a text that is cast, where it is a parameter: a caller's session may know no jsonb
}


class _Rows(NamedTuple):
    """Where a statement's rows come from: what follows SELECT, and the parameters that it reads.

    Args:
        parameters: their types, in their order.
        sagas: a row for each saga.
        event_count: of the events of such a row.
        lists: what else a saga that won hands on to its events and leases.
        events: theirs, numbered by ``i``.
        releases: the leases that are freed; empty for none.
        takes: the leases that are taken; empty for none.
        signals: the ids of signals that are noted; empty for none.
        notes: what the audit log is told; empty for none.
    """

    parameters: dict[str, str]
    sagas: str
    event_count: str
    lists: str
    events: str
    releases: str
    takes: str
    signals: str = ""
    notes: str = ""


def _elements(row: str, types: dict[str, str]) -> str:
    """Return the columns of a JSON array, each by its place in it, with its name and type."""
    return ", ".join(
        f"{row} -> {n} AS {name}" if kind == "jsonb" else f"({row} ->> {n})::{kind} AS {name}"
        for n, (name, kind) in enumerate(types.items())
    )


def _batched(row: dict[str, str], *lists: str) -> _Rows:
    """Write rows of a document; the last columns of a saga's are its lists."""
    columns = _elements("a.saga", row | dict.fromkeys(lists, "jsonb"))
    inside = "FROM won AS w CROSS JOIN LATERAL jsonb_array_elements"
    return _Rows(
        parameters={"sagas": "bytea", "bodies": "bytea", "handed_on": "bigint[]"},
        sagas=f"{columns} FROM jsonb_array_elements(convert_from(:sagas, 'UTF8')::jsonb) AS a(saga)",
        event_count="jsonb_array_length(u.events)",
        lists="".join(f", u.{name}" for name in lists),
        events=f"e.i, {_elements('e.event', _EVENT)} {inside}(w.events) WITH ORDINALITY AS e(event, i)",
        # OFFSET 0, so that each lease is looked up by its whole key: a wide saga holds thousands
        signals=f"(e.signal ->> 0) AS id, decode(e.signal ->> 1, 'hex') AS digest {inside}(w.signals) AS e(signal)"
        if "signals" in lists
        else "",
        notes=f"{_elements('e.note', NOTE)} {inside}(w.notes) AS e(note)" if "notes" in lists else "",
        releases=f"{_elements('e.lease', _LEASE)} {inside}(w.releases) AS e(lease) OFFSET 0" if "releases" in lists else "",
        takes=f"{_elements('e.lease', _TAKE)} {inside}(w.takes) AS e(lease)",
    )


def _plain(row: dict[str, str], *, releases: int = 0, takes: int) -> _Rows:
    """Write rows of one saga with one event, and at most one lease of a kind, from as many parameters as they have columns."""
    parts = {"saga": row, "event": _EVENT, "release": _LEASE if releases else {}, "take": _TAKE if takes else {}}
    columns = {part: ", ".join(f":{part}_{name} AS {name}" for name in types) for part, types in parts.items()}
    parameters = {f"{part}_{name}": kind for part, types in parts.items() for name, kind in types.items()}
    return _Rows(
        parameters=parameters | {"bodies": "bytea"} | ({"handed_on": "bigint[]"} if takes else {}),
        sagas=columns["saga"],
        event_count="1",
        lists="",
        events=f"1 AS i, {columns['event']} FROM won AS w",
        releases=f"{columns['release']} FROM won AS w" if releases else "",
        takes=f"{columns['take']} FROM won AS w" if takes else "",
    )


def _written(rows: _Rows) -> str:
    """Write what follows from a win: the events are logged, leases freed and taken; and who won, with the tokens taken."""
    parts = f"""logged AS (
    INSERT INTO goconductor.saga_log
        (saga_id, seq, tag, event_id, event, step, round, attempt, token, participant, data, at)
    SELECT n.saga_id, n.seq + n.i, n.new_tag, n.event_id, n.event, n.step, n.round, n.attempt, n.token, n.participant,
        convert_from(substring(:bodies FROM n.begins FOR n.length), 'UTF8')::json, to_timestamp(n.at)
    FROM (SELECT w.saga_id, w.seq, w.new_tag, {rows.events}) AS n
)"""
    won = "SELECT saga_id, NULL::bigint AS token FROM won"
    if rows.signals:
        parts += f""", noted AS (
    INSERT INTO goconductor.signals (saga_id, id, digest)
    SELECT n.saga_id, n.id, n.digest FROM (SELECT w.saga_id, {rows.signals}) AS n
)"""
    if rows.notes:
        parts += f""", audited AS (
    INSERT INTO goconductor.audit ({", ".join(NOTE)}) SELECT {rows.notes}
)"""
    if rows.releases:
        parts += f""", freed AS (
    DELETE FROM goconductor.leases AS l USING (SELECT w.saga_id, {rows.releases}) AS n
    WHERE l.saga_id = n.saga_id AND l.step = n.step AND l.direction = n.direction AND l.round = n.round
    AND l.instance = n.instance AND l.token = n.token
)"""
    if rows.takes:
        parts += f""", taken AS (
    INSERT INTO goconductor.leases AS l (saga_id, step, direction, round, instance, token, expires_at)
    SELECT t.saga_id, t.step, t.direction, t.round, t.instance, t.token, clock_timestamp() + make_interval(secs => t.seconds)
    FROM (SELECT w.saga_id, {rows.takes}) AS t
    WHERE coalesce((  -- a scalar, so that each is looked up by its key: as NOT EXISTS it becomes a join that reads all leases
        SELECT h.token = ANY (:handed_on) FROM goconductor.leases AS h
        WHERE h.saga_id = t.saga_id AND h.step = t.step AND h.direction = t.direction AND h.round = t.round
    ), true)
    ON CONFLICT (saga_id, step, direction, round) DO UPDATE
    SET instance = excluded.instance, token = excluded.token, expires_at = excluded.expires_at, taken_from = NULL
    WHERE l.token = ANY (:handed_on)
    RETURNING saga_id, token
)"""
        won += " UNION ALL SELECT saga_id, token FROM taken"
    return f"{parts}\n{won}"


def _append(rows: _Rows, *, is_fenced: bool = False, is_guarded: bool = False, migrates: bool = False) -> str:
    fence = f"""fence AS MATERIALIZED (
    SELECT epoch FROM goconductor.leadership WHERE {LED} AND epoch = :epoch FOR SHARE
), """
    conditions = " AND EXISTS (SELECT FROM fence)" if is_fenced else ""
    if is_guarded:  # locked in the order of all appends
        fence = """others AS MATERIALIZED (
    SELECT s.saga_id FROM goconductor.sagas AS s
    JOIN unnest(:other_id, :other_seq, :other_tag) AS o(saga_id, seq, tag) ON o.saga_id = s.saga_id
    WHERE s.seq = o.seq AND s.tag = o.tag ORDER BY s.saga_id FOR NO KEY UPDATE OF s
), """
        conditions = " AND (SELECT count(*) FROM others) = cardinality(:other_id)"
    if rows.signals:  # the head's seq guards this look as well: an id that is noted after our snapshot has moved it
        conditions += """ AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(u.signals) AS i(signal)
        JOIN goconductor.signals AS k ON k.saga_id = u.saga_id AND k.id = i.signal ->> 0
    )"""
    return statement(
        f"""
WITH {fence if is_fenced or is_guarded else ""}won AS (
    UPDATE goconductor.sagas AS s
    SET seq = u.seq + {rows.event_count}, tag = u.new_tag, status = u.status, wake_at = to_timestamp(u.wake_at),
        last_instance = u.instance, updated_at = clock_timestamp(){", version = u.version" if migrates else ""}
    FROM (SELECT {rows.sagas}) AS u
    WHERE s.saga_id = u.saga_id AND s.seq = u.seq AND s.tag = u.tag
    AND (u.due_at IS NULL OR to_timestamp(u.due_at) <= clock_timestamp()){conditions}
    RETURNING u.saga_id, u.seq, u.new_tag{rows.lists}
), {_written(rows)}
""",
        **rows.parameters,
        **({"epoch": "bigint"} if is_fenced else {}),
        **({"other_id": "uuid[]", "other_seq": "bigint[]", "other_tag": "bigint[]"} if is_guarded else {}),
    )


class _Keys(NamedTuple):
    """The keys that starts write first: the rows, who of the sagas goes on, and the parameters of both."""

    rows: str
    winners: str
    parameters: dict[str, str]


_KEYS = _Keys(
    rows="* FROM unnest(:key_namespace, :key_saga, :key, :key_saga_id, :input_hash)",
    winners="WHERE NOT u.has_key OR u.saga_id IN (SELECT saga_id FROM keyed)",
    parameters={
        "key_namespace": "text[]",
        "key_saga": "text[]",
        "key": "text[]",
        "key_saga_id": "uuid[]",
        "input_hash": "bytea[]",
    },
)
_ONE_KEY = _Keys(
    rows=":key_namespace, :saga_saga, :key, :saga_saga_id, :input_hash",
    winners="WHERE EXISTS (SELECT FROM keyed)",
    parameters={"key_namespace": "text", "key": "text", "input_hash": "bytea"},
)


def _start(rows: _Rows, keys: _Keys | None) -> str:
    keyed = f"""keyed AS (
    INSERT INTO goconductor.start_keys (namespace, saga, key, saga_id, input_hash) SELECT {keys.rows if keys else ""}
    ON CONFLICT DO NOTHING
    RETURNING saga_id
), """
    return statement(
        f"""
WITH {keyed if keys else ""}won AS MATERIALIZED (
    SELECT u.*, 0::bigint AS seq FROM (SELECT {rows.sagas}) AS u {keys.winners if keys else ""}
), born AS (
    INSERT INTO goconductor.sagas
        (saga_id, saga, version, status, seq, tag, wake_at, last_instance, labels, started_at, updated_at)
    SELECT u.saga_id, u.saga, u.version, u.status, {rows.event_count}, u.new_tag, to_timestamp(u.wake_at), u.instance,
        u.labels::jsonb, clock_timestamp(), clock_timestamp()
    FROM won AS u
), {_written(rows)}
""",
        **rows.parameters,
        **(keys.parameters if keys else {}),
    )


APPEND = _append(_batched(_APPEND, "events", "releases", "takes"))
APPEND_FENCED = _append(_batched(_APPEND, "events", "releases", "takes"), is_fenced=True)
APPEND_GUARDED = _append(_batched(_APPEND, "events", "releases", "takes"), is_guarded=True)
"""The same where other heads must not have moved."""
APPEND_SIGNALS = _append(_batched(_APPEND, "events", "releases", "takes", "signals", "notes"))
APPEND_SIGNALS_FENCED = _append(_batched(_APPEND, "events", "releases", "takes", "signals", "notes"), is_fenced=True)
"""The same with signals, or with notes for the audit log: a statement of its own, since most appends have neither."""
APPEND_MIGRATION = _append(_batched(_APPEND | {"version": "text"}, "events", "releases", "takes", "notes"), migrates=True)
"""The append that gives a saga another version of its definition."""
APPEND_ALONE = {
    (releases, takes): _append(_plain(_APPEND, releases=releases, takes=takes)) for releases, takes in product((0, 1), repeat=2)
}
"""The append of one saga, by how many leases it frees and takes."""

START = _start(_batched(_START | {"has_key": "boolean"}, "events", "takes"), _KEYS)
START_NOTED = _start(_batched(_START | {"has_key": "boolean"}, "events", "takes", "notes"), _KEYS)
"""The same with notes for the audit log."""
START_ALONE = {
    (keys, takes): _start(_plain(_START | {"labels": "text"}, takes=takes), _ONE_KEY if keys else None)
    for keys, takes in product((0, 1), repeat=2)
}
"""The start of one saga, by how many keys it has and leases it takes."""
