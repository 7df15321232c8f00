"""What the tests of the PostgreSQL bus begin with: buses that are closed at the end, and a look at the database from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from goconductor.buses.postgres import PostgresBus, session
from goconductor.ports.bus import Message

Connection = session.Connection
OpenBus = Callable[..., Awaitable[PostgresBus]]


def orders(*payloads: str) -> list[Message]:
    """Messages of one topic."""
    return [Message(topic="orders", key=payload, payload=payload.encode()) for payload in payloads]


@asynccontextmanager
async def opening(postgres_url: str) -> AsyncIterator[OpenBus]:
    """Opens buses, and closes them at the end."""
    opened: list[PostgresBus] = []

    async def open_one(url: str = postgres_url, **settings: Any) -> PostgresBus:
        bus = PostgresBus(url, **{"poll_interval_seconds": 0.2, **settings})
        await bus.open()
        opened.append(bus)
        return bus

    yield open_one
    for bus in opened:
        await bus.close()


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Connection]:
    """A look at the database from outside."""
    connection: Connection = await asyncpg.connect(url)
    yield connection
    await connection.close()
