"""The filter of lists, in memory."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from goconductor.ports.store import Head, LogEntry, Wanted


def fits(wanted: Wanted, head: Head, log: Iterable[LogEntry]) -> bool:
    """Return whether a saga is wanted."""
    return (
        wanted.saga in (None, head.saga)
        and (not wanted.statuses or head.status in wanted.statuses)
        and _within(head.started_at, wanted.started_from, wanted.started_until)
        and _within(head.updated_at, wanted.updated_from, wanted.updated_until)
        and wanted.labels.items() <= head.labels.items()
        and (not wanted.error or any(_tells(wanted, entry) for entry in log))
    )


def _within(at: float, start: float | None, end: float | None) -> bool:
    return (start is None or at >= start) and (end is None or at < end)


def _tells(wanted: Wanted, entry: LogEntry) -> bool:
    if entry.event not in wanted.error_events:
        return False
    data = msgspec.json.decode(entry.data)
    failure = data.get("failure") or {}
    said = [failure[name] for name in ("type", "message") if name in failure]
    return wanted.error.lower() in "\n".join((": ".join(said), data.get("reason") or "")).lower()
