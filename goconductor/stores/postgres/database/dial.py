"""Where the saga log's database is, and what PostgreSQL's errors mean to its store."""

from __future__ import annotations

import re
from typing import TypeAlias

import asyncpg

from goconductor.errors import ConfigurationError, GoConductorError, SchemaError, StoreError, StoreUnavailableError
from goconductor.postgres import dialling
from goconductor.postgres.meaning import Meaning

Connection: TypeAlias = dialling.Connection
Row: TypeAlias = asyncpg.Record

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Address(dialling.Address):
    """A database, and our schema in it.

    Args:
        url: ``postgresql://user:password@host:port/database``, with several hosts if there are, and libpq's parameters.
        schema: where our tables are: a small letter or ``_``, then small letters, digits or ``_``.
        application_name: what the server calls our connections: printable ASCII, at most 63, else it would change it.

    Raises:
        ConfigurationError: the url or the schema's name cannot be.
    """

    def __init__(self, url: str, *, schema: str, application_name: str) -> None:
        super().__init__(url, application_name=application_name, setting="the store's url", unavailable=StoreUnavailableError)
        if not IDENTIFIER.fullmatch(schema):
            raise ConfigurationError(f"{schema!r} cannot name a schema: use small letters, digits and _, at most 63")
        self.schema = schema

    def sql(self, statement: str) -> str:
        """Return the statement with the name of our schema in place of ``goconductor``."""
        return statement.replace("goconductor.", f'"{self.schema}".')

    def other_meaning(self, meaning: Meaning | None, text: str) -> GoConductorError:
        """Tables that do not fit, or a statement that cannot be."""
        if meaning is Meaning.UNFIT:
            return SchemaError(f"{text}: run `goconductor migrate`, or name the right schema")
        return StoreError(text)
