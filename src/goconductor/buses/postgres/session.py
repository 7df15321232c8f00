"""A connection of the bus: its settings, its schema, and what its errors mean."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from goconductor.buses.postgres import statements
from goconductor.errors import BusUnavailableError, ConfigurationError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    BusUnavailableError,
    ConfigurationError,
)
"""What a session may raise when the server, the network, the schema or our rights fail; once open, a new session is tried."""

_REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)

_SETTINGS = {
    # A young or churning table has no useful statistics; these plans are right at any size (see statements).
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "off",
    "statement_timeout": "15s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


async def connect(url: str, schema: str, purpose: str, *, connect_timeout_seconds: float = 5.0) -> Connection:
    """A new session, with our tables in place.

    Args:
        url: the database's DSN.
        schema: where the bus's tables are, or are to be.
        purpose: told to the server as part of ``application_name``.
        connect_timeout_seconds: for the connection itself.

    Raises:
        ConfigurationError: the server refuses us (role, password, database, privilege), or the URL cannot be read.
        BusUnavailableError: it cannot be reached now.
    """
    settings = {**_SETTINGS, "search_path": schema, "application_name": f"goconductor bus {purpose}"}
    try:
        connection: Connection = await asyncpg.connect(
            url, timeout=connect_timeout_seconds, command_timeout=20.0, server_settings=settings
        )
    except _REFUSED as error:
        raise ConfigurationError(
            f"the bus's PostgreSQL refuses the connection: {error}; check role, password and database"
        ) from None
    except (ValueError, asyncpg.InterfaceError):  # its text may quote the URL, with the password
        raise ConfigurationError(
            "the bus's URL cannot be read; write it as postgresql://role:password@host:port/database"
        ) from None
    except UNAVAILABLE as error:
        raise BusUnavailableError(f"the bus's PostgreSQL cannot be reached now: {str(error) or type(error).__name__}") from error
    try:
        await _prepare(connection, schema)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _prepare(connection: Connection, schema: str) -> None:
    try:
        if not await connection.fetchval(statements.EXISTS):
            await _create(connection, schema)
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"the bus may not create its tables: {error}; grant CREATE on the database, or create schema {schema} for this role"
        ) from None
    except UNAVAILABLE as error:
        raise BusUnavailableError(f"the bus's PostgreSQL failed while opening: {str(error) or type(error).__name__}") from error


async def _create(connection: Connection, schema: str) -> None:
    async with connection.transaction():
        await connection.execute(statements.LOCK)
        if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", schema):  # needs no privilege if it is there
            await connection.execute(f"CREATE SCHEMA {schema}")
        await connection.execute(statements.TABLES)


async def close(connection: Connection) -> None:
    """End a session, politely if it can be done quickly."""
    try:
        await connection.close(timeout=1.0)
    except UNAVAILABLE:
        connection.terminate()
