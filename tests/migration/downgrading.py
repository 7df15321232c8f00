"""The way back, which only a person takes: by Alembic, in one transaction."""

from __future__ import annotations

import asyncpg
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from goconductor.stores.postgres.database.migrating import config


async def downgrade(url: str, revision: str) -> None:
    """Take the schema back to that revision."""

    def down(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL search_path TO goconductor")
        command.downgrade(config(connection, "goconductor"), revision)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(down)
    finally:
        await engine.dispose()
