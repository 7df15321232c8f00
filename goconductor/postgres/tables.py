"""Tables that a leaf makes itself when they are missing: small ones, whose loss costs nothing that cannot be had again."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from goconductor.errors import ConfigurationError
from goconductor.postgres.dialling import Connection
from goconductor.postgres.session import transaction


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Tables in a schema, which is the session's ``search_path``.

    Args:
        schema: its name, a plain identifier.
        exist: a query that answers whether they are there.
        lock: a statement by which one process at a time makes them.
        create: makes those that are missing.
    """

    schema: str
    exist: str
    lock: str
    create: str

    async def ensure(self, connection: Connection) -> None:
        """Make them unless they are there; safe for many processes at once.

        Raises:
            ConfigurationError: our role may not.
            asyncpg.PostgresError, OSError: the server failed.
        """
        if await connection.fetchval(self.exist):
            return
        try:
            async with transaction(connection):
                await connection.execute(self.lock)
                if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", self.schema):  # needs no privilege
                    await connection.execute(f"CREATE SCHEMA {self.schema}")
                await connection.execute(self.create)
        except asyncpg.InsufficientPrivilegeError as error:
            raise ConfigurationError(
                f"the bus may not create its tables: {error}; grant CREATE on the database, or create schema {self.schema} for "
                "this role"
            ) from None
