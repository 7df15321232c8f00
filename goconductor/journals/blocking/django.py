"""The effect journal in Django's own transaction, for models in steps; :mod:`.threads` describes what it does.

Django rolls back instead of committing where an error was caught inside of ``atomic``, and says nothing. The journal looks for
that before it stores the step's result.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from django import db
from django.db import connections, transaction

from goconductor.errors import ConfigurationError, JournalError
from goconductor.journals.blocking.threads import CONNECTIONS_MAX, Held, ThreadJournal, psycopg_connection
from goconductor.journals.keys import RESULT_BYTES_MAX
from goconductor.journals.table import TABLE


class DjangoJournal(ThreadJournal[Any]):
    """A :class:`goconductor.ports.journal.Journal` for Django's models. Its steps are plain functions, and run inside of
    ``transaction.atomic()``. Their first parameter is Django's connection; models use it by themselves.

    Args:
        using: the database's name in ``DATABASES``.
        table: the journal's table, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.
        connections_max: how many steps may run at once in a process, each with a thread and a connection.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
        ValueError: there may be no connection.
    """

    failures = (db.Error, psycopg.Error, OSError, TimeoutError)
    savepoint = "with transaction.atomic()"

    def __init__(
        self,
        using: str = db.DEFAULT_DB_ALIAS,
        *,
        table: str = TABLE,
        result_bytes_max: int = RESULT_BYTES_MAX,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        super().__init__(table=table, result_bytes_max=result_bytes_max, connections_max=connections_max)
        self._using = using

    def _open(self) -> Held[Any]:
        try:
            connection = connections[self._using]
        except db.utils.ConnectionDoesNotExist as error:
            raise ConfigurationError(f"{error}: name one of DATABASES, as DjangoJournal({self._using!r}) does") from None
        connection.close_if_unusable_or_obsolete()
        connection.ensure_connection()
        raw = psycopg_connection(connection.connection, f"Django's database {self._using!r}")
        if raw.isolation_level is not psycopg.IsolationLevel.READ_COMMITTED:  # a word of the BEGIN, no statement
            raw.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        return _Held(connection, raw, self._using)

    def _raw(self, tx: Any) -> psycopg.Connection[Any]:
        if tx.connection is None:
            raise db.InterfaceError("the step's connection is closed")
        raw: psycopg.Connection[Any] = tx.connection
        return raw

    def _check(self, tx: Any) -> None:
        if tx.needs_rollback:
            raise JournalError(
                "Django would roll the step's transaction back, as an error was caught inside of it; put what may fail into a "
                f"savepoint ({self.savepoint}), or let the error out"
            )

    def _leave_thread(self) -> None:
        with suppress(Exception):
            connections[self._using].close()

    def _driver_error(self, error: BaseException) -> BaseException:
        return error.__cause__ if isinstance(error, db.Error) and isinstance(error.__cause__, psycopg.Error) else error


class _Held(Held[Any]):
    def __init__(self, tx: Any, raw: psycopg.Connection[Any], using: str) -> None:
        super().__init__(tx, raw)
        self._using = using
        self._block = transaction.atomic(using=using, durable=True)
        self._block.__enter__()

    def commit(self) -> None:
        self._block.__exit__(None, None, None)

    def undo(self) -> None:
        wish = psycopg.Rollback()
        self._block.__exit__(type(wish), wish, None)

    def drop(self) -> None:
        for each in (self.raw, self.tx):  # Django may have opened another one, when it could not end its transaction
            with suppress(Exception):
                each.close()
        if self._using in self._own() and connections[self._using] is self.tx:
            del connections[self._using]  # whatever it believes of its transaction; the next step gets a new one

    def release(self) -> None:
        idle = self.raw.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        if self.raw.closed or self.tx.in_atomic_block or not idle:
            self.drop()
            return
        with suppress(Exception):
            self.tx.close_if_unusable_or_obsolete()

    def _own(self) -> list[str]:
        return [self._using] if any(each is self.tx for each in connections.all(initialized_only=True)) else []
