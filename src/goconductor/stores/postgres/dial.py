"""Where the database is, how it is dialled, and what PostgreSQL's errors mean to us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg

from goconductor.errors import ConfigurationError, GoConductorError, PoolerError, SchemaError, StoreError, StoreUnavailableError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Row: TypeAlias = asyncpg.Record

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
LOOPBACK = ("127.0.0.1", "::1", "localhost")

POISON = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""Classes 22 and 23: the values are at fault, and would be again."""

POOLED = ("08P01", "26000", "42P05")
REFUSED = ("28", "3D", "42501")
UNFIT = ("42P01", "42703", "3F")
UNABLE = ("08", "25006", "40", "53", "55", "57", "58", "XX")


class Address:
    """A database, and our schema in it.

    Args:
        url: ``postgresql://user:password@host:port/database``, with libpq's parameters.
        schema: where our tables are: a small letter or ``_``, then small letters, digits or ``_``.
        application_name: what the server calls our connections: printable ASCII, at most 63, else it would change it.

    Raises:
        ConfigurationError: the url or the schema's name cannot be.
    """

    def __init__(self, url: str, *, schema: str, application_name: str) -> None:
        scheme, _, rest = url.partition("://")
        if scheme.partition("+")[0] not in ("postgresql", "postgres") or not rest:
            raise ConfigurationError("the store's url must look like postgresql://user:password@host:port/database")
        if not IDENTIFIER.fullmatch(schema):
            raise ConfigurationError(f"{schema!r} cannot name a schema: use small letters, digits and _, at most 63")
        self.url = f"postgresql://{rest}"
        self.schema = schema
        self.application_name = application_name
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise ConfigurationError(f"the store's url cannot be read: {error}") from None
        parameters = parse_qs(parts.query)
        place = parts.netloc.rpartition("@")[2] or ",".join(parameters.get("host", ["the local socket"]))
        self.where = f"{place}/{parts.path.lstrip('/')}"
        """For messages: without user and password."""
        self._local = not {"sslmode", "ssl"} & parameters.keys() and place.startswith(LOOPBACK) and "," not in place

    def sql(self, statement: str) -> str:
        """The statement with the name of our schema in place of ``goconductor``."""
        return statement.replace("goconductor.", f'"{self.schema}".')

    async def dial(self, *, timeout_seconds: float, command_timeout_seconds: float) -> Connection:
        """A new connection.

        Raises:
            ConfigurationError: wrong credentials, or no such database.
            PoolerError: something that is not PostgreSQL answered.
            StoreUnavailableError: it cannot be reached now.
        """
        try:
            with self.meaning():
                return await asyncpg.connect(
                    self.url,
                    ssl=False if self._local else None,
                    timeout=timeout_seconds,
                    command_timeout=command_timeout_seconds,
                    max_cached_statement_lifetime=0,
                    server_settings={"application_name": self.application_name},
                )
        except ValueError as error:  # not told: it may quote a part of the url that is a password
            raise ConfigurationError(
                "the store's url cannot be read; it should look like postgresql://user:password@host:port/database"
            ) from error

    @contextmanager
    def meaning(self) -> Iterator[None]:
        """Raises our errors in place of the driver's."""
        try:
            yield
        except asyncpg.PostgresError as error:
            raise self.meaning_of(error.sqlstate or "", str(error)) from error
        except asyncpg.ClientConfigurationError as error:
            raise ConfigurationError(f"the store's url cannot be used: {error}") from error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            why = str(error) or type(error).__name__
            raise StoreUnavailableError(f"PostgreSQL at {self.where} cannot be reached or broke off: {why}") from error

    def meaning_of(self, state: str, text: str) -> GoConductorError:
        """Our error for one of PostgreSQL's.

        Args:
            state: its SQLSTATE; empty if the connection broke off.
            text: what the server or the driver said.
        """
        if not state:
            return StoreUnavailableError(f"PostgreSQL at {self.where} cannot be reached or broke off: {text}")
        if state in POOLED:
            return PoolerError(f"{PoolerError.__doc__} ({self.where} says: {text})")
        if state.startswith(REFUSED):
            return ConfigurationError(
                f"PostgreSQL at {self.where} refuses us: {text}; correct user, password or database in the store's url, "
                "create the database, or grant the rights"
            )
        if state.startswith(UNFIT):
            return SchemaError(f"{text} in {self.where}: run `goconductor migrate`, or name the right schema")
        if state.startswith(UNABLE):
            return StoreUnavailableError(f"PostgreSQL at {self.where} cannot do this now: {text}")
        return StoreError(f"PostgreSQL at {self.where}: {text}")
