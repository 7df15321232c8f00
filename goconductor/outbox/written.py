"""A start as it is written into the outbox: checked like any, and made of plain values."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from goconductor.control.sagas.starting import check_names, check_priority
from goconductor.errors import ConfigurationError, OutboxError, check_type
from goconductor.outbox.table import TABLE, Statements
from goconductor.postgres.callers.transactions import Caller
from goconductor.postgres.meaning import Meaning, meaning_of
from goconductor.saga.types.completing import normalised
from goconductor.saga.types.encoding import to_json_value
from goconductor.saga.writing.builder import Saga

NOTIFY_SECONDS = 0.01
"""Seconds between two notifications of one process. The server lets one commit with a notification follow another, over all its
databases; the reader looks again by itself while there are rows."""
_NAME = "a saga written in Python, or the name of a registered one"


class WrittenStart(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox that could not be started yet.

    Attributes:
        id: its number.
        saga: the name of its definition.
        key: its start key.
        written_at: when it was written.
        attempts: how often it was tried.
        reason: why it could not be started the last time.
        refused: whether it is not tried again by itself.
    """

    id: int
    saga: str
    key: str
    written_at: datetime
    attempts: int
    reason: str
    refused: bool


class Writer:
    """Writes starts into the table, in a caller's own transaction.

    Args:
        sagas: the sagas written in Python that may be started; each process that reads the table has to be given them.
        table: the table's name, perhaps with its schema.

    Raises:
        ArgumentError: one of these is no saga.
        ConfigurationError: the table's name is not one or two identifiers.
    """

    def __init__(self, *, sagas: Sequence[Saga[Any, Any]] = (), table: str = TABLE) -> None:
        for saga in sagas:
            check_type("sagas", saga, Saga, "sagas written in Python")
        check_type("table", table, str, "the name of a table")
        self.sagas = tuple(sagas)
        self.statements = Statements(table)
        self._lock = threading.Lock()
        self._notify_at = 0.0

    def ddl(self) -> tuple[str, ...]:
        """Return the statements that create the table, for migrations of your own."""
        return self.statements.create

    def _written(
        self, saga: Saga[Any, Any] | str, input: Any, key: str | None, labels: Mapping[str, str] | None, priority: int
    ) -> tuple[str, list[object]]:
        """Return a start's key, and the values of its row."""
        check_type("saga", saga, (Saga, str), _NAME)
        if key is not None or labels is not None:
            check_names(key, {} if labels is None else labels)
        if type(priority) is not int or priority:
            check_priority(priority)
        data, version = to_json_value(input), None
        if isinstance(saga, Saga):
            if not any(each is saga for each in self.sagas):
                raise ConfigurationError(
                    f"saga {saga.name!r} is not one that this outbox starts: give it to Outbox(…, sagas=[…]), where rows are "
                    "written and where they are read, or start it by its name"
                )
            version = saga.definition.version
            if saga.input_type is not None:
                normalised(saga.input_type, data)  # it is kept as it was given, and completed where it starts
        key = key or f"outbox/{uuid4()}"
        name = saga if isinstance(saga, str) else saga.name
        return key, [name, version, key, _text(data), _text(dict(labels or {})), priority]

    def _statement(self) -> str:
        """Return the statement that writes a row, with a notification where the last one is long enough ago."""
        with self._lock:
            now = time.monotonic()
            if now < self._notify_at:
                return self.statements.write
            self._notify_at = now + NOTIFY_SECONDS
        return self.statements.write_and_notify

    def _meaning(self, caller: Caller, error: Exception) -> OutboxError:
        fault = caller.fault(error)
        if fault.sqlstate == "42P01":
            return OutboxError(f"the outbox's table is not in this database: {fault.text}; create it by outbox.create_table()")
        if fault.sqlstate and meaning_of(fault.sqlstate, fault.text) is Meaning.RIGHTS:
            return OutboxError(
                f"the start cannot be written: {fault.text}; as the owner: GRANT INSERT ON {self.statements.quoted} TO the role"
            )
        return OutboxError(f"the start cannot be written into the outbox: {fault.text}; roll back, and try again")


def _text(data: Any) -> str:
    return msgspec.json.encode(data).decode()
