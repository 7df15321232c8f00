"""The effect journal in a PostgreSQL that a service reaches by SQLAlchemy's asyncio; :mod:`.table` describes what it does.

The journal's source decides what the step gets: an ``AsyncConnection`` for an engine or a URL, an ``AsyncSession`` (or the
service's own class of it) for an ``async_sessionmaker``. What a session has not flushed is flushed before the step's result is
stored, so that an error of the flush is the step's own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast, overload

import asyncpg
from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool

from goconductor.errors import ConfigurationError
from goconductor.journals.dialling import UrlDialler
from goconductor.journals.keys import RESULT_BYTES_MAX
from goconductor.journals.table import IN_FAILED_TRANSACTION, TABLE, Opened, TableJournal
from goconductor.journals.wires import Wire, wire_of
from goconductor.ports.journal import Pool, Tx

Session = TypeVar("Session", bound=AsyncSession)

_READ_COMMITTED = {"isolation_level": "READ COMMITTED"}


class SqlalchemyJournal(TableJournal[Tx]):
    """A :class:`goconductor.ports.journal.Journal` for SQLAlchemy 2 over asyncpg or psycopg. Serialization failures and
    deadlocks (40001, 40P01) pass through as what they are: failures of this attempt.

    Args:
        source: the service's ``async_sessionmaker``, then steps get an ``AsyncSession``; its ``AsyncEngine``, or a URL, then
            they get an ``AsyncConnection``. A URL without a driver (``postgresql://``) is asyncpg's, and an engine is made
            for it; ``close`` closes only that one.
        table: the table's name, perhaps with its schema.
        result_bytes_max: the largest output that is stored, in bytes.

    Raises:
        ConfigurationError: the table's name is not one or two identifiers, or the URL is not of PostgreSQL.
    """

    failures = (SQLAlchemyError, asyncpg.InternalClientError, OSError, TimeoutError)
    savepoint = "async with tx.begin_nested()"

    @overload
    def __init__(
        self: SqlalchemyJournal[AsyncConnection],
        source: AsyncEngine | URL | str,
        *,
        table: str = ...,
        result_bytes_max: int = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: SqlalchemyJournal[Session],
        source: async_sessionmaker[Session],
        *,
        table: str = ...,
        result_bytes_max: int = ...,
    ) -> None: ...
    def __init__(
        self,
        source: AsyncEngine | URL | str | async_sessionmaker[Any],
        *,
        table: str = TABLE,
        result_bytes_max: int = RESULT_BYTES_MAX,
    ) -> None:
        super().__init__(table=table, result_bytes_max=result_bytes_max)
        self._dialler = _dialler(source) if isinstance(source, str | URL) else None
        self._own = _engine(source, self._dialler) if isinstance(source, str | URL) else None
        self._sessions = source if isinstance(source, async_sessionmaker) else None
        self._engine = source if isinstance(source, AsyncEngine) else self._own

    @property
    def pool(self) -> Pool | None:
        engine = self._engine if self._sessions is None else self._sessions.kw.get("bind")
        pool = engine.sync_engine.pool if isinstance(engine, AsyncEngine) else None
        if not isinstance(pool, QueuePool):  # no pool, one of another kind, or sessions that find their engines themselves
            return None
        more = pool._max_overflow  # noqa: SLF001  (no method returns it; -1 is without bound)
        return Pool(engine, pool.size() + more) if pool.size() > 0 and more >= 0 else None

    async def close(self) -> None:
        """Close the engine if it is our own; may be called twice."""
        if self._own is not None:
            await self._own.dispose()

    async def _begin(self, timeout_seconds: float) -> Opened[Tx]:
        tx: Any = self._sessions() if self._sessions is not None else cast("AsyncEngine", self._engine).connect()
        opened = _Opened(tx)
        try:
            async with asyncio.timeout(timeout_seconds):
                if isinstance(tx, AsyncSession):
                    await tx.begin()
                    connection = await tx.connection(execution_options=_READ_COMMITTED)
                else:
                    connection = await tx.start()
                    await tx.execution_options(**_READ_COMMITTED)  # of this connection, until it goes back
                    await tx.begin()
                opened.lies_on(connection)
        except BaseException:
            await opened.release()
            raise
        return opened

    async def _fetch(self, tx: Tx, statement: str, *arguments: object) -> Sequence[Any]:
        connection = await tx.connection() if isinstance(tx, AsyncSession) else cast("AsyncConnection", tx)
        named = text(re.sub(r"\$(\d)", r":p\1", statement))
        result = await connection.execute(named, {f"p{number}": value for number, value in enumerate(arguments, 1)})
        return result.fetchall() if result.returns_rows else []

    async def _finish(self, tx: Tx, key: str, result: bytes | None) -> None:
        if isinstance(tx, AsyncSession) and tx.is_active:
            await tx.flush()
        await super()._finish(tx, key, result)

    def _driver_error(self, error: BaseException) -> BaseException:
        # its own text quotes the statement with all its values
        return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error

    def _sqlstate(self, error: BaseException) -> str:
        # a session that knows of the failed statement does not ask the server again
        return IN_FAILED_TRANSACTION if isinstance(error, PendingRollbackError) else super()._sqlstate(error)


class _Opened(Opened[Any]):
    _wire: Wire

    @property
    def wire(self) -> Wire:
        return self._wire

    def lies_on(self, connection: AsyncConnection) -> None:
        inner: Any = connection.sync_connection  # get_raw_connection() gives the same, for a switch between greenlets
        self._wire = wire_of(inner.connection.driver_connection)

    async def commit(self) -> None:
        await self.tx.commit()

    async def undo(self) -> None:
        await self.tx.rollback()

    async def drop(self) -> None:
        try:
            await self.tx.invalidate()
        except SQLAlchemyError:  # the pool has it back already
            return

    async def release(self) -> None:
        if isinstance(self.tx, AsyncConnection) and self.tx.sync_connection is None:
            return  # it could not connect
        closing = asyncio.ensure_future(self.tx.close())  # which a cancellation must not leave half done
        await asyncio.shield(closing)


def _dialler(source: str | URL) -> UrlDialler | None:
    """Return a dialler for a URL that names no driver; SQLAlchemy itself cannot read several hosts with ports."""
    text = source if isinstance(source, str) else source.render_as_string(hide_password=False)
    if not text.startswith(("postgresql://", "postgres://")):
        return None
    dialler = UrlDialler(text)
    dialler.read()
    return dialler


def _engine(source: str | URL, dialler: UrlDialler | None) -> AsyncEngine:
    if dialler is not None:
        return create_async_engine("postgresql+asyncpg://", async_creator=dialler.dial)
    try:
        url = make_url(source)
    except (ArgumentError, ValueError):  # not quoted: it may hold a password
        raise ConfigurationError(
            "the journal's url cannot be read; it should look like postgresql://user:password@host/database"
        ) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"the journal's url is of {url.get_backend_name()}: use postgresql://user:password@host/database"
        )
    return create_async_engine(url)
