"""The rights that a store's role needs, table by table; a role with these and no others passes the store's contract suite."""

from __future__ import annotations

import asyncio

import asyncpg

from goconductor.errors import ConfigurationError, RightsError
from goconductor.postgres.dialling import BROKEN
from goconductor.postgres.rights import DELETE, INSERT, SELECT, UPDATE, missing, refusal
from goconductor.stores.postgres.database.dial import Address, Connection

NEEDS = {
    "alembic_version": (SELECT,),
    "sagas": (SELECT, INSERT, UPDATE, DELETE),
    "saga_log": (SELECT, INSERT, DELETE),
    "start_keys": (SELECT, INSERT, DELETE),
    "signals": (SELECT, INSERT, DELETE),
    "leases": (SELECT, INSERT, UPDATE, DELETE),
    "lease_marker": (SELECT, INSERT),
    "locks": (SELECT, INSERT, UPDATE, DELETE),
    "permits": (SELECT, INSERT, UPDATE),
    "permit_queue": (SELECT, INSERT, UPDATE, DELETE),
    "leadership": (SELECT, UPDATE),
    "participants": (SELECT, INSERT, UPDATE, DELETE),
    "definitions": (SELECT, INSERT),
    "active_definitions": (SELECT, INSERT, UPDATE),
    "offers": (SELECT, INSERT),
    "choices": (SELECT, INSERT, UPDATE),
    "schedules": (SELECT, INSERT, UPDATE, DELETE),
    "feeds": (SELECT, INSERT, UPDATE),
    "webhooks": (SELECT, INSERT, UPDATE, DELETE),
    "webhook_deliveries": (SELECT, INSERT, UPDATE, DELETE),
    "api_keys": (SELECT, INSERT, UPDATE),
    "secrets": (SELECT, INSERT, UPDATE),
    "audit": (SELECT, INSERT, UPDATE, DELETE),
    "timelines": (SELECT, INSERT),
    "losses": (SELECT, INSERT),
    "dead_letters": (SELECT, INSERT, DELETE),
}
LOOK_SECONDS = 2.0
"""For one look, while somebody waits for the error."""


async def explained(address: Address, connection: Connection, error: RightsError) -> ConfigurationError:
    """Name the right that is missing, in place of an error that names a table alone; that error where it cannot be found.

    Args:
        address: the database and our schema.
        connection: the session that was refused.
        error: what the server said.
    """
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            lacks = await missing(connection, address.schema, NEEDS)
    except (*BROKEN, asyncpg.PostgresError):
        return error
    return refusal(address.where, lacks) if lacks else error
