"""Which sagas a list shows: filters as people write them, and the cursor that goes on where a page ended.

A cursor belongs to its filters: with others it would pass over what they want, so it carries their hash, and is refused with
other ones. It is no secret and needs no signature; one that somebody made up leads to another place of the same list at most.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas.starting import KEY, KEY_CHARACTERS_MAX
from goconductor.errors import PayloadError, nearest
from goconductor.lifecycle.facts.events import EVENTS
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import Wanted
from goconductor.saga.data.values import check_value

ERROR_CHARACTERS_MAX = 200
"""Greatest length of the text that a list is filtered by, in characters."""
LABELS_MAX = 20
"""Greatest number of labels in a filter."""

EXPLAINING_EVENTS = tuple(
    sorted(name for name, event in EVENTS.items() if {"failure", "reason"} & {f.name for f in msgspec.structs.fields(event)})
)
"""Events with an error, or with the reason of an intervention."""

_WHAT = "the filter"
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
_CURSOR_VERSION = b"\x01"
_HASH_BYTES = 8
"""Bytes of the filter's hash in a cursor, which belongs to its filter."""


def wanted(
    *,
    saga: str | None = None,
    status: str | Sequence[str] | None = None,
    started_after: datetime | None = None,
    started_before: datetime | None = None,
    updated_after: datetime | None = None,
    updated_before: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    error: str | None = None,
) -> Wanted:
    """Make a filter; the arguments are those of :func:`goconductor.control.sagas.queries.list_sagas`.

    Raises:
        RequestInvalidError: it does not make sense; names every place.
    """
    statuses = () if status is None else (status,) if isinstance(status, str) else tuple(dict.fromkeys(status))
    times = {
        "started_after": started_after,
        "started_before": started_before,
        "updated_after": updated_after,
        "updated_before": updated_before,
    }
    found = [
        Fault("status", f"{each[:63]!a} is unknown; {nearest(each, SagaStatus)}")
        for each in statuses
        if each not in set(SagaStatus)
    ]
    found += [
        Fault(name, "has no time zone; add one, such as 'Z'")
        for name, at in times.items()
        if at is not None and at.tzinfo is None
    ]
    if len(labels or {}) > LABELS_MAX:
        found.append(Fault("label", f"are {len(labels or {})}, at most {LABELS_MAX} are allowed"))
    if error is not None and not 0 < len(error) <= ERROR_CHARACTERS_MAX:
        found.append(Fault("error", f"should be 1 to {ERROR_CHARACTERS_MAX} characters"))
    for name, value in (("saga", saga), ("label", dict(labels or {})), ("error", error)):
        try:
            check_value(value)
        except PayloadError as problem:
            found.append(Fault(name, problem.problem))
    if found:
        raise RequestInvalidError(_WHAT, found)
    seconds = {name: None if at is None else at.timestamp() for name, at in times.items()}
    return Wanted(
        saga=saga,
        statuses=tuple(sorted(statuses)),
        started_from=seconds["started_after"],
        started_until=seconds["started_before"],
        updated_from=seconds["updated_after"],
        updated_until=seconds["updated_before"],
        labels=dict(sorted((labels or {}).items())),
        error=error or "",
        error_events=EXPLAINING_EVENTS if error else (),
    )


def check_key(wish: Wanted, key: str) -> None:
    """Check that a start key has the name of its definition and no other filter: it finds one saga.

    Raises:
        RequestInvalidError: the name is missing, there is another filter, or the key is not valid.
    """
    found = []
    if not KEY.fullmatch(key):
        found.append(Fault("key", f"should be 1 to {KEY_CHARACTERS_MAX} printable ASCII characters"))
    if wish.saga is None:
        found.append(Fault("saga", "is missing: a key belongs to the sagas of one definition"))
    if wish != Wanted(saga=wish.saga):
        found.append(Fault("key", "finds one saga: leave out the other filters"))
    if found:
        raise RequestInvalidError(_WHAT, found)


def read_labels(texts: Iterable[str]) -> dict[str, str]:
    """``name=value``, each name once.

    Raises:
        RequestInvalidError: one of them is not like that.
    """
    labels: dict[str, str] = {}
    for text in texts:
        label, mark, value = text.partition("=")
        if not mark or not label or label in labels:
            raise RequestInvalidError("the labels", [Fault("label", f"{text[:63]!a}: write name=value, each name once")])
        labels[label] = value
    return labels


def read_time(text: str | None, *, name: str) -> datetime | None:
    """Read a moment in the form of RFC 3339, or a day, which begins at midnight UTC.

    Args:
        text: as it was written; None where nobody gave one.
        name: the name of the place, for the error.

    Raises:
        RequestInvalidError: it is neither.
    """
    if text is None:
        return None
    problem = f"{text[:63]!a} is no time; write it as 2026-01-31T12:00:00Z, or a day as 2026-01-31"
    if not text.isascii() or not _TIME.fullmatch(text):
        raise RequestInvalidError(_WHAT, [Fault(name, problem)])
    try:
        at = datetime.fromisoformat(text.upper())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        at.timestamp()
    except (ValueError, OverflowError):
        raise RequestInvalidError(_WHAT, [Fault(name, problem)]) from None
    return at


def cursor_of(wish: Wanted, before: UUID) -> str:
    """Return the cursor to the sagas below this id."""
    return base64.urlsafe_b64encode(_CURSOR_VERSION + _hash(wish) + before.bytes).decode().rstrip("=")


def read_cursor(wish: Wanted, cursor: str) -> UUID:
    """Return the id below which the list goes on.

    Raises:
        RequestInvalidError: it is no cursor of ours, or one of a list with other filters.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != 1 + _HASH_BYTES + 16 or data[:1] != _CURSOR_VERSION:
        problem = "is no cursor of a list of sagas; take it from the page before, or leave it out for the first page"
        raise RequestInvalidError(_WHAT, [Fault("cursor", problem)])
    if data[1 : 1 + _HASH_BYTES] != _hash(wish):
        problem = "is of a list with other filters; keep them from page to page, or leave it out for the first page"
        raise RequestInvalidError(_WHAT, [Fault("cursor", problem)])
    return UUID(bytes=data[1 + _HASH_BYTES :])


def _hash(wish: Wanted) -> bytes:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(wish, error_events=()))).digest()[:_HASH_BYTES]
