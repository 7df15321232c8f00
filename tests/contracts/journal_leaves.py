"""The journals of the three libraries, and how each of them writes an effect: what their tests have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import sqlalchemy.exc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, async_sessionmaker, create_async_engine

from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.journals.psycopg import PsycopgJournal
from goconductor.journals.sqlalchemy import SqlalchemyJournal


@dataclass(frozen=True)
class Leaf:
    """One library, as its users use it.

    Attributes:
        journal: makes one from a URL, and closes it.
        execute: runs a statement in a step's transaction, and answers its one value, if it has one.
        savepoint: makes one.
        terminate: breaks the step's connection.
        error: what the library raises for what the server refuses.
    """

    journal: Callable[..., AbstractAsyncContextManager[Any]]
    execute: Callable[[Any, str], Any]
    savepoint: Callable[[Any], AbstractAsyncContextManager[Any]]
    terminate: Callable[[Any], Any]
    error: type[Exception]


@asynccontextmanager
async def asyncpg_journal(url: str, **options: Any) -> AsyncIterator[AsyncpgJournal]:
    journal = AsyncpgJournal(url, **options)
    try:
        yield journal
    finally:
        await journal.close()


async def asyncpg_execute(tx: Any, statement: str) -> Any:
    return await tx.fetchval(statement)


async def asyncpg_terminate(tx: Any) -> None:
    tx.terminate()


@asynccontextmanager
async def psycopg_journal(url: str, **options: Any) -> AsyncIterator[PsycopgJournal]:
    journal = PsycopgJournal(url, **options)
    try:
        yield journal
    finally:
        await journal.close()


async def psycopg_execute(tx: Any, statement: str) -> Any:
    cursor = await tx.execute(statement)
    return (await cursor.fetchone())[0] if cursor.description else None


async def psycopg_terminate(tx: Any) -> None:
    await tx.close()


@asynccontextmanager
async def connection_journal(url: str, **options: Any) -> AsyncIterator[SqlalchemyJournal[AsyncConnection]]:
    journal = SqlalchemyJournal(url, **options)
    try:
        yield journal
    finally:
        await journal.close()


@asynccontextmanager
async def engine_of(url: str, driver: str = "psycopg") -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(url.replace("postgresql:", f"postgresql+{driver}:"), pool_size=20)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def session_journal(url: str, **options: Any) -> AsyncIterator[SqlalchemyJournal[Any]]:
    async with engine_of(url) as engine:
        yield SqlalchemyJournal(async_sessionmaker(engine), **options)


async def sqlalchemy_execute(tx: Any, statement: str) -> Any:
    result = await tx.execute(text(statement))
    return result.scalar() if result.returns_rows else None


async def sqlalchemy_terminate(tx: Any) -> None:
    await tx.invalidate()


LEAVES = {
    "asyncpg": Leaf(asyncpg_journal, asyncpg_execute, lambda tx: tx.transaction(), asyncpg_terminate, asyncpg.PostgresError),
    "psycopg": Leaf(psycopg_journal, psycopg_execute, lambda tx: tx.transaction(), psycopg_terminate, psycopg.Error),
    "sqlalchemy-connection": Leaf(
        connection_journal,
        sqlalchemy_execute,
        lambda tx: tx.begin_nested(),
        sqlalchemy_terminate,
        sqlalchemy.exc.DBAPIError,
    ),
    "sqlalchemy-session": Leaf(
        session_journal,
        sqlalchemy_execute,
        lambda tx: tx.begin_nested(),
        sqlalchemy_terminate,
        sqlalchemy.exc.DBAPIError,
    ),
}
"""SQLAlchemy with both of its ways, and both of its drivers: connections over asyncpg, sessions over psycopg."""
