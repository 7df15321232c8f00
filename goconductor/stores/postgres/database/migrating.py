"""Alembic, run on a connection of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from goconductor.errors import SchemaError
from goconductor.stores.postgres.database import dial
from goconductor.stores.postgres.database.tables import metadata

MIGRATION_LOCK = (1735353199, 1)
"""The two halves of the advisory lock that lets one migration run at a time."""

_PACKAGE = Path(str(files("goconductor")))
_PLACES = (_PACKAGE / "migrations", _PACKAGE.parent / "migrations")
"""Where the migrations are: inside the package in a wheel, beside it in a checkout."""


def scripts() -> Path:
    """Return the folder of Alembic's environment and versions.

    Raises:
        SchemaError: it is in neither place, so the installation is not whole.
    """
    for place in _PLACES:
        if (place / "env.py").is_file():
            return place
    raise SchemaError(f"the migrations are neither in {_PLACES[0]} nor in {_PLACES[1]}: install goconductor anew")


def config(connection: Connection, schema: str) -> Config:
    """Alembic's settings for our migrations, on a connection that is open."""
    settings = Config()
    settings.set_main_option("script_location", str(scripts()))
    settings.attributes.update(connection=connection, schema=schema, metadata=metadata(schema))
    return settings


async def upgrade(
    connect: Callable[[], Awaitable[dial.Connection]], schema: str, revision: str, *, lock_timeout_seconds: float
) -> None:
    """Upgrade to that revision, in one transaction and one after the other; raises the driver's errors as they are.

    Args:
        connect: makes the connection.
        schema: whose tables are changed.
        revision: how far to go.
        lock_timeout_seconds: bounds each wait for a lock.
    """
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, schema, revision, lock_timeout_seconds)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        raise cause or error from None
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, schema: str, revision: str, lock_timeout_seconds: float) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = {round(lock_timeout_seconds * 1000)}"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # whatever the role's or the database's is
    connection.execute(text("SELECT pg_advisory_xact_lock(:a, :b)"), {"a": MIGRATION_LOCK[0], "b": MIGRATION_LOCK[1]})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
    connection.execute(text(f'SET LOCAL search_path TO "{schema}"'))
    command.upgrade(config(connection, schema), revision)
