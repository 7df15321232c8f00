"""The effect journal in a transaction of SQLAlchemy that blocks; :mod:`.threads` describes what it does.

The journal's source decides what the step gets: a ``Connection`` for an engine, a ``Session`` (or the service's own class of it)
for a ``sessionmaker``. What a session has not flushed is flushed before the step's result is stored.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar, cast, overload

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from goconductor.errors import ConfigurationError
from goconductor.journals.blocking.threads import CONNECTIONS_MAX, Held, Lib, ThreadJournal, psycopg_connection
from goconductor.journals.keys import RESULT_BYTES_MAX
from goconductor.journals.table import IN_FAILED_TRANSACTION, TABLE
from goconductor.ports.journal import Pool

S = TypeVar("S", bound=Session)

_READ_COMMITTED = {"isolation_level": "READ COMMITTED"}


class BlockingSqlalchemyJournal(ThreadJournal[Lib]):
    """A :class:`goconductor.ports.journal.Journal` for SQLAlchemy 2 that blocks, over psycopg 3. Its steps are plain functions.

    Args:
        source: the service's ``sessionmaker``, then steps get a ``Session``; or its ``Engine``, then they get a ``Connection``.
        table: the journal's table, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers, or the sessions have no engine of their own.
    """

    failures = (SQLAlchemyError, psycopg.Error, OSError, TimeoutError)
    savepoint = "with tx.begin_nested()"

    @overload
    def __init__(
        self: BlockingSqlalchemyJournal[Connection], source: Engine, *, table: str = ..., result_bytes_max: int = ...
    ) -> None: ...
    @overload
    def __init__(
        self: BlockingSqlalchemyJournal[S], source: sessionmaker[S], *, table: str = ..., result_bytes_max: int = ...
    ) -> None: ...
    def __init__(
        self, source: Engine | sessionmaker[Any], *, table: str = TABLE, result_bytes_max: int = RESULT_BYTES_MAX
    ) -> None:
        engine = source if isinstance(source, Engine) else source.kw.get("bind")
        if not isinstance(engine, Engine):
            raise ConfigurationError("the journal needs to know the engine of its sessions: write sessionmaker(engine)")
        super().__init__(table=table, result_bytes_max=result_bytes_max, connections_max=_size_of(engine))
        self._engine = engine
        self._source = source

    @property
    def pool(self) -> Pool:
        return Pool(self._engine, super().pool.size)

    def _open(self) -> Held[Lib]:
        tx: Any = self._engine.connect() if isinstance(self._source, Engine) else self._source()
        try:
            if isinstance(tx, Session):
                if not tx.in_transaction():
                    tx.begin()
                connection = tx.connection(execution_options=_READ_COMMITTED)
            else:
                connection = tx.execution_options(**_READ_COMMITTED)  # of this connection, until it goes back
                tx.begin()
            raw = psycopg_connection(connection.connection.driver_connection, "SQLAlchemy's engine")
        except BaseException:
            tx.close()
            raise
        return cast("Held[Lib]", _Held(tx, raw))

    def _raw(self, tx: Lib) -> psycopg.Connection[Any]:
        # a session that knows of a failed statement says so here
        connection = tx.connection() if isinstance(tx, Session) else cast("Connection", tx)
        return psycopg_connection(connection.connection.driver_connection, "SQLAlchemy's engine")

    def _check(self, tx: Lib) -> None:
        if isinstance(tx, Session) and tx.is_active:
            tx.flush()

    def _driver_error(self, error: BaseException) -> BaseException:
        # its own text quotes the statement with all its values
        return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error

    def _sqlstate(self, error: BaseException) -> str:
        return IN_FAILED_TRANSACTION if isinstance(error, PendingRollbackError) else super()._sqlstate(error)


class _Held(Held[Any]):
    def commit(self) -> None:
        self.tx.commit()

    def undo(self) -> None:
        self.tx.rollback()

    def drop(self) -> None:
        with suppress(Exception):
            self.tx.invalidate()

    def release(self) -> None:
        with suppress(Exception):
            self.tx.close()


def _size_of(engine: Engine) -> int:
    pool = engine.pool
    if not isinstance(pool, QueuePool):
        return CONNECTIONS_MAX
    more = pool._max_overflow  # noqa: SLF001  (no method returns it; -1 is without bound)
    return pool.size() + more if pool.size() > 0 and more >= 0 else CONNECTIONS_MAX
