"""Many sagas as the arguments of one statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from goconductor.ports.store import Append, Lease, LogEntry, Outcome, Start, Take, Verdict
from goconductor.stores.postgres.database.dial import Connection, Row

B = TypeVar("B", Append, Start)
Columns = list[Any]

DEADLOCK_RETRIES = 3
"""Number of times that a statement is run again which was the victim of a deadlock."""
_number = attrgetter("saga_id.int")
_encode = msgspec.json.Encoder().encode
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def columns(rows: Iterable[tuple[Any, ...]], count: int) -> Columns:
    """Turn rows into that many arrays."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def document(rows: object) -> bytes:
    """Return a batch, or labels, as JSON.

    Raises:
        asyncpg.DataError: it holds half a character, which the database would refuse as well.
    """
    try:
        return _encode(rows)
    except UnicodeEncodeError as error:
        raise asyncpg.DataError(str(error)) from error


class Bodies:
    """The bodies of a batch's events, one after the other; its document names each by where it begins, from 1, and its length."""

    def __init__(self) -> None:
        self._all: list[bytes] = []
        self._end = 1

    @property
    def all(self) -> bytes:
        """As the statement takes them."""
        return b"".join(self._all)

    def rows(self, entries: Iterable[LogEntry]) -> list[tuple[Any, ...]]:
        """Return the rows of one saga's events, whose bodies are kept.

        Raises:
            asyncpg.DataError: a body has an escape that PostgreSQL would keep and then could not search.
        """
        rows: list[tuple[Any, ...]] = []
        for e in entries:
            if b"\\u" in e.data:  # rare: only for control characters
                _check_escapes(e.data)
            begins, length = self._end, len(e.data)
            self._all.append(e.data)
            self._end += length
            rows.append((e.event_id, e.event, e.step, e.round, e.attempt, e.token, e.participant, e.at, begins, length))
        return rows


def _check_escapes(data: bytes) -> None:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # half a character among them
        raise asyncpg.DataError(str(error)) from error
    if _NUL.search(data):
        raise asyncpg.DataError("a NUL in the data")


def lease_row(lease: Lease) -> tuple[Any, ...]:
    """Return a lease without its saga."""
    key = lease.key
    return (key.step, key.direction, key.round, lease.instance, lease.token)


def take_rows(takes: Sequence[Take]) -> list[tuple[Any, ...]]:
    """Return the rows of leases to be taken by one saga, in the order of their keys."""
    ordered = takes if len(takes) < 2 else sorted(takes, key=lambda take: take.lease.key)
    return [(*lease_row(take.lease), take.lease_seconds) for take in ordered]


def lease_columns(leases: Iterable[Lease]) -> Columns:
    """Return the arrays step, direction, round, instance and token."""
    return columns(((x.key.step, x.key.direction.value, x.key.round, x.instance, x.token) for x in leases), 5)


def held_columns(leases: Sequence[Lease]) -> Columns:
    """Return the leases as arrays, that of their sagas first."""
    return [[lease.key.saga_id for lease in leases], *lease_columns(leases)]


def verdicts(rows: Iterable[Row]) -> dict[UUID, Outcome]:
    """Return the winners of an append or a start, with the leases that they took."""
    won: dict[UUID, list[int]] = {}
    for saga_id, token in rows:
        took = won.setdefault(saga_id, [])
        if token is not None:
            took.append(token)
    return {saga_id: Outcome(verdict=Verdict.WON, took=took) for saga_id, took in won.items()}


def in_order(batch: Iterable[B]) -> list[B]:
    """Return a batch by its sagas' ids, as PostgreSQL orders them, so that all batches lock rows in one order.

    Raises:
        ValueError: it holds a saga twice: fold its facts into one entry, or send the second in the next batch.
    """
    ordered = sorted(batch, key=_number)
    if any(_number(one) == _number(other) for one, other in pairwise(ordered)):
        raise ValueError("a batch may hold each saga once: fold the facts about it into one entry")
    return ordered


async def fetch(connection: Connection, statement: str, arguments: Sequence[object]) -> list[Row]:
    """Return the statement's rows. As the victim of a deadlock it changed nothing, and is run again.

    Deadlocks are not expected; a lease that expires while a statement runs can make one.
    """
    for _ in range(DEADLOCK_RETRIES):
        try:
            return await connection.fetch(statement, *arguments)
        except asyncpg.DeadlockDetectedError:
            continue
    return await connection.fetch(statement, *arguments)
