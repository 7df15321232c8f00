"""The effect journal in a PostgreSQL that a service reaches by psycopg 3; :mod:`.table` describes what it does.

Inside the transaction psycopg itself refuses ``tx.commit()`` and ``tx.rollback()``, so a step cannot end it by mistake.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from goconductor.journals.dialling import options_of_psycopg
from goconductor.journals.keys import RESULT_BYTES_MAX
from goconductor.journals.table import TABLE, Opened, TableJournal
from goconductor.journals.wires import PsycopgWire, Wire
from goconductor.ports import journal as ports

Connection: TypeAlias = psycopg.AsyncConnection[Any]
"""The transaction that a step gets: a pooled connection inside an open transaction."""

CONNECTIONS_MAX = 10
"""Number of connections of a pool of our own, where the user says nothing."""


class Pool(Protocol):
    """What is needed of a pool; ``psycopg_pool.AsyncConnectionPool`` has it, and so may a factory of your own."""

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - as psycopg_pool has it
        """Return a connection outside of any transaction, within ``timeout`` seconds."""
        ...

    async def putconn(self, conn: Any) -> None:
        """Take a connection back; it may be closed."""
        ...


class PsycopgJournal(TableJournal[Connection]):
    """A :class:`goconductor.ports.journal.Journal` for psycopg 3. Serialization failures and deadlocks (40001, 40P01) pass
    through as what they are: failures of this attempt.

    Args:
        pool_or_conninfo: the service's own pool, open (``psycopg_pool.AsyncConnectionPool``, or what has its ``getconn`` and
            ``putconn``); or a URL or other conninfo, for which connections are made when they are needed, and kept.
            ``close`` closes only those.
        table: the table's name, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.
        connections_max: how many connections a conninfo is good for at once.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers.
        ValueError: there may be no connection.
    """

    failures = (psycopg.Error, OSError, TimeoutError)
    savepoint = "async with tx.transaction()"

    def __init__(
        self,
        pool_or_conninfo: Pool | str,
        *,
        table: str = TABLE,
        result_bytes_max: int = RESULT_BYTES_MAX,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        super().__init__(table=table, result_bytes_max=result_bytes_max)
        self._own: _Connections | None = None
        if isinstance(pool_or_conninfo, str):
            self._own = _Connections(pool_or_conninfo, connections_max)
            self._pool: Pool = self._own
        else:
            self._pool = pool_or_conninfo

    @property
    def pool(self) -> ports.Pool | None:
        if self._own is not None:
            return ports.Pool(self, self._own.connections_max)
        size = getattr(self._pool, "max_size", None)  # of a factory of your own nothing is known
        return ports.Pool(self._pool, size) if isinstance(size, int) and size > 0 else None

    async def close(self) -> None:
        """Close our own connections, if it was made from a conninfo; may be called twice."""
        if self._own is not None:
            await self._own.close()

    async def _begin(self, timeout_seconds: float) -> Opened[Connection]:
        connection = await self._pool.getconn(timeout_seconds)
        opened = _Opened(connection, self._pool)
        try:
            async with asyncio.timeout(timeout_seconds):
                await opened.begin()
        except BaseException:
            await opened.release()
            raise
        return opened

    async def _fetch(self, tx: Connection, statement: str, *arguments: object) -> Sequence[Any]:
        async with psycopg.AsyncRawCursor(tx, row_factory=tuple_row) as cursor:  # whatever cursors and rows the service likes
            await cursor.execute(statement.encode(), arguments or None)
            return await cursor.fetchall() if cursor.description is not None else []


class _Opened(Opened[Connection]):
    def __init__(self, connection: Connection, pool: Pool) -> None:
        super().__init__(connection)
        self._pool = pool
        self._transaction = connection.transaction()
        self._isolation = connection.isolation_level

    @property
    def wire(self) -> Wire:
        return PsycopgWire(self.tx)

    async def begin(self) -> None:
        if self._isolation is not psycopg.IsolationLevel.READ_COMMITTED:  # a word of the BEGIN, no statement
            await self.tx.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        await self._transaction.__aenter__()

    async def commit(self) -> None:
        await self._transaction.__aexit__(None, None, None)

    async def undo(self) -> None:
        wish = psycopg.Rollback()
        await self._transaction.__aexit__(type(wish), wish, None)

    async def drop(self) -> None:
        await self.tx.close()

    async def release(self) -> None:
        idle = self.tx.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        if idle and self.tx.isolation_level is not self._isolation:
            await self.tx.set_isolation_level(self._isolation)
        elif not idle:
            await self.tx.close()
        await self._pool.putconn(self.tx)


class _Connections:
    """The connections of one conninfo, as many as are needed at once up to a bound; the latest used is used again."""

    def __init__(self, conninfo: str, connections_max: int) -> None:
        if connections_max < 1:
            raise ValueError("connections_max must be at least 1")
        self._conninfo = conninfo
        self.connections_max = connections_max
        self._room = asyncio.Semaphore(connections_max)
        self._idle: deque[Connection] = deque()
        self._taken: set[Connection] = set()

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109 - as psycopg_pool has it
        async with asyncio.timeout(timeout):
            await self._room.acquire()
            try:
                while self._idle:
                    connection = self._idle.pop()
                    if not connection.closed and not _hung_up(connection):
                        break
                    await connection.close()
                else:
                    options = await options_of_psycopg(conninfo_to_dict(self._conninfo), timeout)
                    conninfo = make_conninfo(self._conninfo, **options)
                    connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
            except BaseException:
                self._room.release()
                raise
        self._taken.add(connection)
        return connection

    async def putconn(self, conn: Connection) -> None:
        self._room.release()
        if conn in self._taken and not conn.closed:
            self._idle.append(conn)
        else:
            await conn.close()
        self._taken.discard(conn)

    async def close(self) -> None:
        """Close the idle ones now, and those in use when they come back."""
        self._taken.clear()
        while self._idle:
            await self._idle.pop().close()


def _hung_up(connection: Connection) -> bool:
    """Return whether the server has ended an idle connection: it then has something to read."""
    reading = selectors.DefaultSelector()
    with reading:
        reading.register(connection.fileno(), selectors.EVENT_READ)
        return bool(reading.select(0))
