from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store import AnyStore, Hands, StoreContract
from tests.contracts.clerk import clerk

pytestmark = pytest.mark.postgres


class PostgresHands:
    def __init__(self, url: str) -> None:
        self._url = url

    async def kill(self, store: AnyStore, serial: int) -> None:
        await store.close()

    async def age(self, store: AnyStore, serial: int) -> None:
        await self._execute(
            "UPDATE goconductor.participants SET started_at = started_at - interval '1 hour' WHERE serial = $1", serial
        )

    async def truncate_leases(self, store: AnyStore) -> None:
        await self._execute("TRUNCATE goconductor.leases, goconductor.lease_marker")

    async def _execute(self, statement: str, *arguments: object) -> None:
        connection = await asyncpg.connect(self._url)
        await connection.execute(statement, *arguments)
        await connection.close()


class TestPostgresStore(StoreContract):
    """Of a role with the rights that the doctor asks for, and no others."""

    @pytest.fixture
    async def role_url(self, postgres_url: str) -> AsyncIterator[str]:
        await migrate(postgres_url)
        async with clerk(postgres_url) as (_, url):
            yield url

    @pytest.fixture
    async def store(self, role_url: str) -> AsyncIterator[AnyStore]:
        store = PostgresStore(role_url)
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    async def other(self, store: AnyStore, role_url: str) -> AsyncIterator[AnyStore]:
        other = PostgresStore(role_url)
        await other.open()
        yield other
        await other.close()

    @pytest.fixture
    def hands(self, postgres_url: str) -> Hands:
        return PostgresHands(postgres_url)
