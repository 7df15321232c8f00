"""A service's own database, beside that of the saga log."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import asyncpg
import pytest

from goconductor import Settings
from goconductor.outbox import Outbox
from goconductor.stores.postgres import migrate
from goconductor.testing.postgres import PostgresAddress

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def shop_url(postgres_server: PostgresAddress) -> Iterator[str]:
    name = f"test_shop_{secrets.token_hex(6)}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture
async def shop_db(shop_url: str) -> AsyncIterator[Connection]:
    await Outbox(shop_url).create_table()
    connection = await asyncpg.connect(shop_url)
    await connection.execute("CREATE TABLE orders (id int)")
    yield connection
    await connection.close()


@pytest.fixture
async def settings(postgres_url: str) -> Settings:
    await migrate(postgres_url)
    return Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_PARTICIPANT__DRAIN_SECONDS": "1"})
