"""Transactions as services have them open, by each library: what a saga can start in."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import asyncpg
import django
import psycopg
from django.conf import settings as django_settings
from django.db import connections
from django.db.transaction import atomic
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

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


@contextmanager
def blocking_engine_of(url: str) -> Iterator[Engine]:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"), pool_size=20)
    try:
        yield engine
    finally:
        engine.dispose()


@asynccontextmanager
async def of_a_blocking_session(url: str) -> AsyncIterator[Caller]:
    with blocking_engine_of(url) as engine, Session(engine) as session:

        async def execute(statement: str) -> None:
            session.execute(text(statement))

        yield Caller(session, execute)
        session.commit()


def django_settings_of(url: str) -> dict[str, Any]:
    """What stands in ``DATABASES`` for a URL, with Django's own defaults."""
    if not django_settings.configured:
        django_settings.configure(USE_TZ=True)
        django.setup()
    parts = conninfo_to_dict(url)
    options = {"sslmode": parts["sslmode"]} if "sslmode" in parts else {}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts["dbname"],
        "USER": parts["user"],
        "PASSWORD": parts.get("password", ""),
        "HOST": parts["host"],
        "PORT": parts["port"],
        "OPTIONS": options,
        "ATOMIC_REQUESTS": False,
        "AUTOCOMMIT": True,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "TIME_ZONE": None,
    }


@contextmanager
def django_alias(url: str) -> Iterator[str]:
    """A database of Django, by its name, with the connections of this thread."""
    databases = django_settings_of(url)
    alias = f"test_{secrets.token_hex(6)}"
    connections.databases[alias] = databases
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


@asynccontextmanager
async def of_django(url: str) -> AsyncIterator[Caller]:
    """The test blocks the loop itself, which Django would forbid."""
    with mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"), django_alias(url) as alias, atomic(using=alias):

        async def execute(statement: str) -> None:
            with connections[alias].cursor() as cursor:
                cursor.execute(statement)

        yield Caller(connections[alias], execute)


CALLERS: dict[str, Callable[[str], AbstractAsyncContextManager[Caller]]] = {
    "asyncpg": of_asyncpg,
    "asyncpg-pool": of_a_pool,
    "psycopg": of_psycopg,
    "psycopg-block": of_psycopg_in_a_block,
    "connection-asyncpg": of_a_connection("asyncpg"),
    "connection-psycopg": of_a_connection("psycopg"),
    "session-asyncpg": of_a_session("asyncpg"),
    "session-psycopg": of_a_session("psycopg"),
    "blocking-session": of_a_blocking_session,
    "django": of_django,
}
