"""Transactions as services have them open, by each library: what a saga can start in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.contracts.journal_leaves import engine_of


@dataclass(frozen=True)
class Caller:
    """An open transaction, and how its owner runs a statement in it."""

    tx: Any
    execute: Callable[[str], Any]


class TakenBackError(Exception):
    """The caller changes its mind: its transaction is rolled back."""


@asynccontextmanager
async def of_asyncpg(url: str) -> AsyncIterator[Caller]:
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=str)  # tastes of its own
        async with connection.transaction():
            yield Caller(connection, connection.execute)
    finally:
        await connection.close()


@asynccontextmanager
async def of_a_pool(url: str) -> AsyncIterator[Caller]:
    async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as connection, connection.transaction():
        yield Caller(connection, connection.execute)


@asynccontextmanager
async def of_psycopg(url: str) -> AsyncIterator[Caller]:
    """Its transaction begins with its first statement, and is committed by the connection's block."""
    cursors = psycopg.AsyncClientCursor
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row, cursor_factory=cursors) as connection:
        yield Caller(connection, connection.execute)


@asynccontextmanager
async def of_psycopg_in_a_block(url: str) -> AsyncIterator[Caller]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection, connection.transaction():
        yield Caller(connection, connection.execute)


def of_a_connection(driver: str) -> Callable[[str], AbstractAsyncContextManager[Caller]]:
    @asynccontextmanager
    async def caller(url: str) -> AsyncIterator[Caller]:
        async with engine_of(url, driver) as engine, engine.begin() as connection:
            yield Caller(connection, lambda statement: connection.execute(text(statement)))

    return caller


def of_a_session(driver: str) -> Callable[[str], AbstractAsyncContextManager[Caller]]:
    """Its transaction begins with its first statement."""

    class Session(AsyncSession):
        """A service's own class."""

    @asynccontextmanager
    async def caller(url: str) -> AsyncIterator[Caller]:
        async with engine_of(url, driver) as engine, async_sessionmaker(engine, class_=Session)() as session:
            yield Caller(session, lambda statement: session.execute(text(statement)))
            await session.commit()

    return caller


CALLERS: dict[str, Callable[[str], AbstractAsyncContextManager[Caller]]] = {
    "asyncpg": of_asyncpg,
    "asyncpg-pool": of_a_pool,
    "psycopg": of_psycopg,
    "psycopg-block": of_psycopg_in_a_block,
    "connection-asyncpg": of_a_connection("asyncpg"),
    "connection-psycopg": of_a_connection("psycopg"),
    "session-asyncpg": of_a_session("asyncpg"),
    "session-psycopg": of_a_session("psycopg"),
}
