"""The effect journal in a PostgreSQL that a service reaches by asyncpg; :mod:`.table` describes what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import asyncpg
from asyncpg.transaction import Transaction

from goconductor.journals.dialling import UrlDialler
from goconductor.journals.keys import RESULT_BYTES_MAX
from goconductor.journals.table import TABLE, Opened, TableJournal
from goconductor.journals.wires import AsyncpgWire, Wire
from goconductor.ports import journal as ports

if TYPE_CHECKING:
    Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
    """The transaction that a step gets: a pooled connection inside an open transaction."""
else:  # steps are read by their annotations at run time, where asyncpg's class takes no parameter
    Connection = asyncpg.Connection

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

CONNECTIONS_MAX = 10
"""Connections of a pool that is made for a DSN."""
_CLOSE_SECONDS = 10.0
"""Seconds that a pool of our own has to close."""


class AsyncpgJournal(TableJournal[Connection]):
    """A :class:`goconductor.ports.journal.Journal` for asyncpg. Serialization failures and deadlocks (40001, 40P01) pass
    through as what they are: failures of this attempt.

    Args:
        pool_or_url: the service's own pool, initialised or not, or a DSN, for which a pool is made when it is first needed;
            ``close`` closes only that one.
        table: the table's name, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
    """

    failures = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
    savepoint = "async with tx.transaction()"

    def __init__(self, pool_or_url: Pool | str, *, table: str = TABLE, result_bytes_max: int = RESULT_BYTES_MAX) -> None:
        super().__init__(table=table, result_bytes_max=result_bytes_max)
        self._given = pool_or_url
        self._dialler = UrlDialler(pool_or_url) if isinstance(pool_or_url, str) else None
        self._pool: Pool | None = None
        self._opening = asyncio.Lock()

    @property
    def pool(self) -> ports.Pool:
        given = self._given
        return ports.Pool(self, CONNECTIONS_MAX) if isinstance(given, str) else ports.Pool(given, given.get_max_size())

    async def close(self) -> None:
        """Close the pool if it is our own; may be called twice."""
        pool, self._pool = self._pool, None
        if pool is not None and pool is not self._given:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await pool.close()
            except TimeoutError:  # a connection in use, or a server that does not answer
                pool.terminate()

    async def _open_pool(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                given = self._given
                self._pool = await (
                    asyncpg.create_pool(connect=cast("UrlDialler", self._dialler).dial, min_size=0, max_size=CONNECTIONS_MAX)
                    if isinstance(given, str)
                    else given
                )
            return self._pool

    async def _begin(self, timeout_seconds: float) -> Opened[Connection]:
        pool = await self._open_pool()
        held = await pool.acquire(timeout=timeout_seconds)
        connection = cast("Connection", held)  # a proxy of it
        transaction = connection.transaction(isolation="read_committed")
        try:
            async with asyncio.timeout(timeout_seconds):
                await transaction.start()
        except BaseException:
            await pool.release(held)
            raise
        return _Opened(connection, transaction, pool)

    async def _fetch(self, tx: Connection, statement: str, *arguments: object) -> Sequence[Any]:
        return await tx.fetch(statement, *arguments)


class _Opened(Opened[Connection]):
    def __init__(self, connection: Connection, transaction: Transaction, pool: Pool) -> None:
        super().__init__(connection)
        self._transaction = transaction
        self._pool = pool

    @property
    def wire(self) -> Wire:
        return AsyncpgWire(self.tx)

    async def commit(self) -> None:
        await self._transaction.commit()

    async def undo(self) -> None:
        await self._transaction.rollback()

    async def drop(self) -> None:
        self.wire.cut()

    async def release(self) -> None:
        await self._pool.release(cast("Any", self.tx))
