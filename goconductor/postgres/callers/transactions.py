"""What a statement of ours needs of a transaction, by each driver."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from goconductor.postgres.dialling import Connection

if TYPE_CHECKING:
    import psycopg


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


class AsyncpgCaller(Caller):
    """A connection of asyncpg."""

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


class PsycopgCaller(Caller):
    """A connection of psycopg 3."""

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


class BlockingPsycopgCaller(PsycopgCaller):
    """A connection of psycopg 3 that blocks."""

    async def fetch(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        return await asyncio.to_thread(self.fetch_here, statement, arguments)

    def fetch_here(self, statement: str, arguments: Sequence[object]) -> Sequence[Any]:
        """Fetch on the calling thread, which it blocks."""
        with self._library.RawCursor(self._connection, row_factory=self._rows) as cursor:
            cursor.execute(statement.encode(), arguments or None)
            return list(cursor.fetchall())

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
