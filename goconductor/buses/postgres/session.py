"""A connection of the bus: its settings, its schema, and what its errors mean."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg

from goconductor.buses.postgres import statements
from goconductor.errors import BusUnavailableError, ConfigurationError, PoolerError
from goconductor.postgres import dialling, direct

Connection: TypeAlias = dialling.Connection

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    BusUnavailableError,
    ConfigurationError,
    PoolerError,
)
"""What a session may raise when the server, the network, the schema or our rights fail; once open, a new session is tried."""

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

_POOLER = (
    "a transaction pooler stands between the bus and PostgreSQL: its settings and notifications would be another client's. Give "
    "the bus a url straight to the server (bus.url), or to a pool in session mode"
)


def address_of(url: str) -> dialling.Address:
    """The database of a bus.

    Args:
        url: its DSN.

    Raises:
        ConfigurationError: the URL cannot be.
    """
    return dialling.Address(url, application_name="goconductor bus", setting="the bus's url", unavailable=BusUnavailableError)


async def connect(address: dialling.Address, schema: str, purpose: str, *, connect_timeout_seconds: float = 5.0) -> Connection:
    """A new session, with our tables in place.

    Args:
        address: the database.
        schema: where the bus's tables are, or are to be.
        purpose: told to the server as part of ``application_name``.
        connect_timeout_seconds: for the connection to each host.

    Raises:
        ConfigurationError: the server refuses us (role, password, database, privilege), or the URL cannot be read.
        BusUnavailableError: it cannot be reached now.
        PoolerError: something that is not PostgreSQL answered.
    """
    connection = await address.dial(
        timeout_seconds=connect_timeout_seconds,
        command_timeout_seconds=20.0,
        settings={**_SETTINGS, "search_path": schema, "application_name": f"goconductor bus {purpose}"},
        durable=False,
    )
    try:
        await _prepare(connection, schema)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def refuse_pooler(one: Connection, other: Connection) -> None:
    """See that no pooler gives our sessions to others.

    Raises:
        PoolerError: one does.
        BusUnavailableError: the server went away meanwhile.
    """
    try:
        await direct.refuse_pooler(one, other, _POOLER)
    except PoolerError:
        raise
    except UNAVAILABLE as error:
        raise BusUnavailableError(f"the bus's PostgreSQL failed while opening: {str(error) or type(error).__name__}") from error


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
