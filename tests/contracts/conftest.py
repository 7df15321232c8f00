"""What several files of contract tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open store on a database of the test's own."""
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def hand(store: PostgresStore, postgres_url: str) -> AsyncIterator[Connection]:
    """A connection by which a test takes the other part, as slowly as it likes."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()
