"""A caller's own open transaction, of whichever library, as what a start needs of it.

Two drivers speak to the server, asyncpg and psycopg; SQLAlchemy and Django stand on one of them, and what they stand on is used.
Nothing is committed here and nothing rolled back but a savepoint of ours. SQLAlchemy and psycopg begin by themselves with the
first statement: then ours is the first. A connection that commits each statement by itself is refused.

A connection that blocks is used on a thread, so that the event loop goes on. Its owner's thread waits meanwhile, so nobody else
uses it. What finds a connection by its own thread, Django's ``connection`` or a ``scoped_session``, was asked on that thread
before (:mod:`goconductor.blocking.transactions`).

The port's ``Transaction`` has the shapes of these: asyncpg's connection answers ``is_in_transaction``, SQLAlchemy's sessions and
connections ``in_transaction``, and psycopg's sets autocommit.

The database must be the saga log's. The server's start, to the microsecond, and the database's number tell one from
another without any right that a service may lack.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from goconductor.errors import ConfigurationError
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Connection

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection as BlockingConnection
    from sqlalchemy.ext.asyncio import AsyncConnection

ACCEPTED = (
    "an asyncpg connection inside `async with connection.transaction()`, a psycopg AsyncConnection, or SQLAlchemy's "
    "AsyncSession or AsyncConnection over one of them; in code that blocks a connection of psycopg 3, SQLAlchemy's Session or "
    "Connection over it, or Django's connection over it, inside `with transaction.atomic()`"
)
_PLACE = """SELECT CAST(current_database() AS text), CAST(extract(epoch FROM pg_postmaster_start_time()) AS float8),
    (SELECT CAST(oid AS bigint) FROM pg_database WHERE datname = current_database())"""


@dataclass(frozen=True)
class Fault:
    """An error of a statement, from the server or from the driver."""

    sqlstate: str
    constraint: str
    text: str


class Caller(ABC):
    """An open transaction that belongs to somebody else."""

    failures: tuple[type[Exception], ...]

    @property
    @abstractmethod
    def is_open(self) -> bool: ...

    @abstractmethod
    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]: ...

    @abstractmethod
    def savepoint(self) -> AbstractAsyncContextManager[object]: ...

    @abstractmethod
    def fault(self, error: Exception) -> Fault: ...


class _Asyncpg(Caller):
    failures = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def is_open(self) -> bool:
        return self._connection.is_in_transaction()

    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        return await self._connection.fetch(statement, *arguments)

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        return self._connection.transaction()

    def fault(self, error: Exception) -> Fault:
        return Fault(getattr(error, "sqlstate", None) or "", getattr(error, "constraint_name", None) or "", str(error))


class _Psycopg(Caller):
    def __init__(self, connection: psycopg.AsyncConnection[Any] | psycopg.Connection[Any]) -> None:
        import psycopg  # noqa: PLC0415  (the caller's: it is not imported before he has)
        from psycopg.rows import tuple_row  # noqa: PLC0415

        self.failures = (psycopg.Error, OSError)
        self._connection: Any = connection
        self._library: Any = psycopg
        self._rows: Any = tuple_row  # whatever cursors and rows the caller likes

    @property
    def is_open(self) -> bool:
        idle = self._connection.info.transaction_status is self._library.pq.TransactionStatus.IDLE
        return not (self._connection.autocommit and idle)

    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        async with self._library.AsyncRawCursor(self._connection, row_factory=self._rows) as cursor:
            await cursor.execute(statement.encode(), arguments or None)
            return list(await cursor.fetchall())

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        savepoint: AbstractAsyncContextManager[object] = self._connection.transaction()
        return savepoint

    def fault(self, error: Exception) -> Fault:
        refused_by_driver = "22000" if isinstance(error, self._library.DataError) else ""
        constraint = error.diag.constraint_name if isinstance(error, self._library.Error) else None
        return Fault(getattr(error, "sqlstate", None) or refused_by_driver, constraint or "", str(error))


class _BlockingPsycopg(_Psycopg):
    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        def fetch() -> Sequence[Any]:
            with self._library.RawCursor(self._connection, row_factory=self._rows) as cursor:
                cursor.execute(statement.encode(), arguments or None)
                return list(cursor.fetchall())

        return await asyncio.to_thread(fetch)

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        return self._savepoint()

    @asynccontextmanager
    async def _savepoint(self) -> AsyncIterator[None]:
        block = self._connection.transaction()
        await asyncio.to_thread(block.__enter__)
        try:
            yield
        except BaseException as error:
            await asyncio.to_thread(block.__exit__, type(error), error, error.__traceback__)
            raise
        await asyncio.to_thread(block.__exit__, None, None, None)


class Callers:
    """Looks at what callers hand over.

    Args:
        sessions: ours, to the saga log.
        address: the saga log's.
    """

    def __init__(self, sessions: Usable, address: Address) -> None:
        self._sessions = sessions
        self._address = address
        self._place: tuple[Any, ...] = ()

    async def enter(self, transaction: object) -> Caller:
        """Return what a start needs of this transaction.

        Raises:
            TypeError: it is nothing that we know.
            ValueError: no transaction is open.
            ConfigurationError: it is in another database than the saga log.
            StoreError: PostgreSQL refuses it, by the meaning of its error.
        """
        caller = await _caller_of(transaction)
        if not caller.is_open:
            raise ValueError(
                "no transaction is open on this connection: use `async with connection.transaction():`, and no autocommit"
            )
        try:
            (place,) = await caller.fetch(_PLACE, ())
        except caller.failures as error:
            raise self.meaning_of(caller.fault(error)) from error
        if tuple(place) != self._place and tuple(place) != await self._find_place():
            raise ConfigurationError(
                f"this transaction is in database {place[0]!r}, the saga log is in {self._address.where}, which is another "
                "database or server: commit first, and start the saga with a key afterwards"
            )
        return caller

    def meaning_of(self, fault: Fault) -> Exception:
        """Our error for a driver's."""
        return self._address.meaning_of(fault.sqlstate, fault.text)

    async def _find_place(self) -> tuple[Any, ...]:
        """Return where the saga log is now; the server may have been started again since the last look."""
        async with self._sessions.use() as connection:
            self._place = tuple(await connection.fetchrow(_PLACE) or ())
        return self._place


async def _caller_of(transaction: object) -> Caller:
    thing: Any = transaction
    if isinstance(transaction, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return _Asyncpg(cast("Connection", transaction))  # or a pool's proxy of one
    if _is(thing, "psycopg", "AsyncConnection"):
        return _Psycopg(thing)
    if _is(thing, "psycopg", "Connection"):
        return _BlockingPsycopg(thing)
    if _is(thing, "sqlalchemy.ext.asyncio", "AsyncSession"):
        return await _below(await thing.connection())
    if _is(thing, "sqlalchemy.ext.asyncio", "AsyncConnection"):
        return await _below(thing)
    if _is(thing, "sqlalchemy.orm", "Session"):
        return await asyncio.to_thread(lambda: _below_blocking(thing.connection()))
    if _is(thing, "sqlalchemy", "Connection"):
        return await asyncio.to_thread(_below_blocking, thing)
    if _is(thing, "django.db.backends.base.base", "BaseDatabaseWrapper"):
        return _below_django(thing)
    kind = type(transaction)
    raise TypeError(f"a saga cannot start in a {kind.__module__}.{kind.__qualname__}: hand over {ACCEPTED}")


def _is(thing: object, module: str, name: str) -> bool:
    """Return whether it is an instance of a class, without importing what its owner has not."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(thing, kind)


async def _below(connection: AsyncConnection) -> Caller:
    """Return what SQLAlchemy stands on, inside its transaction."""
    from sqlalchemy import text  # noqa: PLC0415

    raw = (await connection.get_raw_connection()).driver_connection
    if _is(raw, "psycopg", "AsyncConnection"):
        caller: Caller = _Psycopg(raw)  # type: ignore[arg-type]
    elif isinstance(raw, asyncpg.Connection):
        caller = _Asyncpg(raw)
    else:
        raise TypeError(f"a saga cannot start over SQLAlchemy's driver {connection.dialect.driver!r}: hand over {ACCEPTED}")
    if not connection.in_transaction() or not caller.is_open:
        await connection.execute(text("SELECT 1"))  # it begins with the first statement
    return caller


def _below_blocking(connection: BlockingConnection) -> Caller:
    """Return the same of SQLAlchemy where it blocks."""
    from sqlalchemy import text  # noqa: PLC0415

    raw: Any = connection.connection.driver_connection
    if not _is(raw, "psycopg", "Connection"):
        raise TypeError(f"a saga cannot start over SQLAlchemy's driver {connection.dialect.driver!r}: hand over {ACCEPTED}")
    caller = _BlockingPsycopg(raw)
    if not connection.in_transaction() or not caller.is_open:
        connection.execute(text("SELECT 1"))
    return caller


def _below_django(wrapper: Any) -> Caller:
    """Return what Django's connection stands on, inside its ``atomic``."""
    raw = wrapper.connection
    if raw is not None and not _is(raw, "psycopg", "Connection"):
        kind = type(raw)
        raise TypeError(f"a saga cannot start over Django's {kind.__module__}.{kind.__qualname__}: hand over {ACCEPTED}")
    if raw is None or not wrapper.in_atomic_block:
        raise ValueError("no transaction is open on Django's connection: start the saga inside `with transaction.atomic():`")
    if wrapper.needs_rollback:
        raise ValueError(
            "Django will roll this transaction back, as an error was caught inside it: put what may fail into an `atomic()` of "
            "its own, or let the error out"
        )
    return _BlockingPsycopg(raw)
