"""What the tests of the PostgreSQL bus begin with: buses that are closed at the end, and looks at the database from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from goconductor.buses.postgres import PostgresBus, session
from goconductor.ports.bus import Message
from goconductor.testing.contracts.bus import opening

Connection = session.Connection
OpenBus = Callable[..., Awaitable[PostgresBus]]


def orders(*payloads: str) -> list[Message]:
    """Messages of one topic."""
    return [Message(topic="orders", key=payload, payload=payload.encode()) for payload in payloads]


class OnPostgres:
    """Subclass it for its fixtures."""

    @pytest.fixture
    async def open_bus(self, postgres_url: str) -> AsyncIterator[OpenBus]:
        def make(url: str = postgres_url, **settings: Any) -> PostgresBus:
            return PostgresBus(url, **{"poll_interval_seconds": 0.2, **settings})

        async with opening(make) as open_one:
            yield open_one

    @pytest.fixture
    async def watcher(self, postgres_url: str) -> AsyncIterator[Connection]:
        """A look at the database from outside."""
        async with _connected(postgres_url) as connection:
            yield connection

    @pytest.fixture
    async def rival(self, postgres_url: str) -> AsyncIterator[Connection]:
        """Somebody who locks rows."""
        async with _connected(postgres_url) as connection:
            yield connection


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(url)
    yield connection
    await connection.close()
