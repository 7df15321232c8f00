"""What PostgreSQL would refuse, so that the fake refuses it too: a NUL, a number too wide, a live saga that nobody wakes."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec.structs import astuple

from goconductor.ports.store import Append, LogEntry, Note, Start, Take

STATUSES = frozenset(
    (
        *("queued", "running", "waiting", "paused", "compensating", "completed", "compensated", "stuck"),
        *("terminating", "terminated", "held"),
    )
)
LIVE = frozenset(("queued", "running", "compensating", "terminating"))

NUL_IN_JSON = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def problem_of_append(append: Append) -> str:
    """Return what is wrong with an append, or nothing."""
    problems = (
        _of_status(append.status, append.wake_at),
        _of_numbers(append.seq, append.tag, append.new_tag, bits=64),
        _of_numbers(append.instance, bits=32),
        *map(_of_entry, append.entries),
        _of_texts(*(signal.id for signal in append.signals)),
        *map(_of_note, append.notes),
        *map(_of_take, append.take),
    )
    return _first(problems)


def problem_of_start(start: Start) -> str:
    """Return what is wrong with a start, or nothing."""
    problems = (
        _of_status(start.status, start.wake_at),
        _of_numbers(start.new_tag, bits=64),
        _of_numbers(start.instance, bits=32),
        _of_texts(start.namespace, start.saga, start.version, start.key or "", *start.labels, *start.labels.values()),
        *map(_of_entry, start.entries),
        *map(_of_note, start.notes),
        *map(_of_take, start.take),
    )
    return _first(problems)


def problem_of_lease(step: str, round_: int) -> str:
    """Return what is wrong with a lease's key, or nothing."""
    return _of_texts(step) or _of_numbers(round_, bits=32)


def _first(problems: Iterable[str]) -> str:
    return next((problem for problem in problems if problem), "")


def _of_status(status: str, wake_at: float | None) -> str:
    if status not in STATUSES:
        return f"there is no status {status!r}"
    if wake_at is None and status in LIVE:
        return f"a saga that is {status} needs a wake_at"
    return ""


def _of_note(note: Note) -> str:
    return _of_texts(*(text for text in astuple(note) if isinstance(text, str)))


def _of_entry(entry: LogEntry) -> str:
    return (
        _of_texts(entry.event, entry.step, entry.participant)
        or _of_numbers(entry.round, entry.attempt, bits=32)
        or _of_numbers(entry.token, bits=64)
        or _of_json(entry.data)
    )


def _of_take(take: Take) -> str:
    return problem_of_lease(take.lease.key.step, take.lease.key.round) or _of_numbers(take.lease.token, bits=64)


def _of_numbers(*numbers: int, bits: int) -> str:
    wide = [number for number in numbers if not -(1 << bits - 1) <= number < 1 << bits - 1]
    return f"{wide[0]} does not fit in {bits} bits" if wide else ""


def _of_texts(*texts: str) -> str:
    for text in texts:
        if "\0" in text:
            return f"a NUL in {text!r}"
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"half a character in {text!r}"
    return ""


def _of_json(data: bytes) -> str:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"not JSON: {error}"
    return "a NUL in the data" if NUL_IN_JSON.search(data) else ""
