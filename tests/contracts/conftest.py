"""What several files of contract tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from goconductor.stores.postgres import PostgresStore, migrate


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    """An open store on a database of the test's own."""
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.open()
    yield store
    await store.close()
