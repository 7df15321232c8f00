"""How the sessions of the bus are set up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

from goconductor.buses.postgres import statements
from goconductor.errors import BusUnavailableError, ConfigurationError, PoolerError
from goconductor.postgres import dialling
from goconductor.postgres.session import Usable
from goconductor.postgres.setup import Limits, Setup
from goconductor.postgres.tables import Tables

Connection: TypeAlias = dialling.Connection

UNAVAILABLE = (*dialling.FAILURES, BusUnavailableError, ConfigurationError, PoolerError)
"""Exceptions of a session when the server, the network, the schema or our rights fail; once open, a new session is tried."""

SETTINGS = {
    # A young or churning table has no useful statistics; these plans are right at any size (see statements).
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

LIMITS = Limits(statement_seconds=15.0, lock_seconds=10.0, idle_in_transaction_seconds=15.0, grace_seconds=5.0)

POOLER = (
    "a transaction pooler stands between the bus and PostgreSQL: its settings and notifications would be another client's. Give "
    "the bus a url straight to the server (bus.url), or to a pool in session mode"
)


def address_of(url: str) -> dialling.Address:
    """Return the database of a bus.

    Args:
        url: its DSN.

    Raises:
        ConfigurationError: the URL cannot be used.
    """
    return dialling.Address(url, application_name="goconductor bus", setting="the bus's url", unavailable=BusUnavailableError)


def set_up(address: dialling.Address, schema: str, purpose: str) -> Setup:
    """Return the setup of a session, with our tables in place.

    Args:
        address: the database.
        schema: the schema of the bus's tables.
        purpose: part of the ``application_name`` that the server shows.
    """
    tables = Tables(schema=schema, exist=statements.EXISTS, lock=statements.LOCK, create=statements.TABLES)
    return Setup(
        address=address,
        limits=LIMITS,
        settings=SETTINGS | {"search_path": schema, "application_name": f"goconductor bus {purpose}"},
        durable=False,
        prepare=tables.ensure,
    )


@asynccontextmanager
async def using(sessions: Usable) -> AsyncIterator[Connection]:
    """Give a session for one call. After any failure the next call has another session, which looks whether our tables are there.

    Raises:
        BusUnavailableError: it failed, or none can be had now.
        ConfigurationError: the server refuses us.
    """
    async with sessions.use() as connection:
        try:
            yield connection
        except dialling.FAILURES:
            connection.terminate()
            raise
