"""The columns of heads, events and leases, and the values that are made of such a row."""

from __future__ import annotations

from typing import Any

import msgspec

from goconductor.lifecycle.facts.status import ENDED
from goconductor.ports.store import Head, Lease, LeaseKey, LogEntry
from goconductor.saga.ids import Direction
from goconductor.stores.postgres.database.dial import Row

HEAD_COLUMNS = """s.saga_id, s.saga, s.version, s.status, s.seq, s.tag, s.last_instance, s.labels,
    extract(epoch FROM s.wake_at)::float8 AS wake_at, extract(epoch FROM s.started_at)::float8 AS started_at,
    extract(epoch FROM s.updated_at)::float8 AS updated_at"""

EVENT_COLUMNS = """e.event_id, e.event, e.step, e.round, e.attempt, e.token, e.participant, e.data, e.seq, e.tag,
    extract(epoch FROM e.at)::float8 AS at"""

LEASE_COLUMNS = (
    "l.saga_id, l.step, l.direction, l.round, l.instance, l.token, extract(epoch FROM l.expires_at)::float8 AS expires_at"
)

OVER = f"({', '.join(repr(status.value) for status in sorted(ENDED))})"
"""The statuses of sagas that have ended, for a statement."""

_DIRECTIONS = {direction.value: direction for direction in Direction}
_texts = msgspec.json.Decoder(dict[str, str])
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])


def texts_of(data: bytes) -> dict[str, str]:
    """Labels and the like. What is stored may be of another kind: a value that is no text is shown as JSON writes it, and what
    has no names shows nothing. One row that is wrong must not hide the others.
    """
    try:
        return _texts.decode(data)
    except msgspec.DecodeError:
        pass
    try:
        return {name: _text(bytes(part)) for name, part in _parts.decode(data).items()}
    except msgspec.DecodeError:
        return {}


def _text(part: bytes) -> str:
    value: Any = msgspec.json.decode(part) if part.startswith(b'"') else part.decode()
    return str(value)


def head_of(row: Row) -> Head:
    """Read a row of :data:`HEAD_COLUMNS`."""
    return Head(
        saga_id=row["saga_id"],
        saga=row["saga"],
        version=row["version"],
        status=row["status"],
        seq=row["seq"],
        tag=row["tag"],
        wake_at=row["wake_at"],
        last_instance=row["last_instance"],
        labels=texts_of(row["labels"]),
        started_at=row["started_at"],
        updated_at=row["updated_at"],
    )


def entry_of(row: Row) -> LogEntry:
    """Read a row of :data:`EVENT_COLUMNS`."""
    return LogEntry(
        event_id=row["event_id"],
        event=row["event"],
        at=row["at"],
        step=row["step"],
        round=row["round"],
        attempt=row["attempt"],
        token=row["token"],
        participant=row["participant"],
        data=row["data"],
        seq=row["seq"],
        tag=row["tag"],
    )


def key_of(row: Row) -> LeaseKey:
    """Return the lease's key that a row begins with."""
    return LeaseKey(row[0], row[1], _DIRECTIONS[row[2]], row[3])


def lease_of(row: Row) -> Lease:
    """Read a row of :data:`LEASE_COLUMNS`."""
    return Lease(key=key_of(row), instance=row["instance"], token=row["token"], expires_at=row["expires_at"])
