"""Rows turned into the port's values."""

from __future__ import annotations

from typing import Any

import msgspec

from goconductor.ports.store import Head, Lease, LogEntry
from goconductor.stores.postgres.database.dial import Row
from goconductor.stores.postgres.log.batch import key_of

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
    """From :data:`sql.HEAD_COLUMNS`."""
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
    """From :data:`sql.EVENT_COLUMNS`."""
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


def lease_of(row: Row) -> Lease:
    """From :data:`sql.LEASE_COLUMNS`."""
    return Lease(key=key_of(row), instance=row["instance"], token=row["token"], expires_at=row["expires_at"])
