"""The schema's versions: making it, and seeing whether it fits this code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from goconductor.errors import ConfigurationError, RightsError, SchemaError
from goconductor.postgres.session import Usable
from goconductor.redaction import logger_of
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.database.feed_index import build

logger = logger_of("goconductor.store")

REWRITE_SECONDS = 7 * 86400.0
"""A revision that writes a large table anew takes as long as it takes; given up in the middle it would only begin again."""

REVISIONS = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010"),
    *("0011", "0012", "0013", "0014", "0015", "0016", "0017", "0018", "0019", "0020", "0021"),
)
"""Those that this code knows; it works with the last, and with newer ones that say so (:func:`suits`)."""


async def migrate(
    url: str, *, schema: str = "goconductor", revision: str = "head", timeout_seconds: float = 60.0, feed: bool = False
) -> None:
    """Bring the database's schema to this code's version, in one transaction. Safe when many processes do it at once.

    Newer tables that suit this code are left as they are, as after a rollback.

    Args:
        url: the database, as ``postgresql://user:password@host:port/database``. The user must own it or the schema.
        schema: the schema to make or change.
        revision: how far to go; ``head`` is what this code needs.
        timeout_seconds: bounds connecting and each wait for a lock, that of other migrations included. What a revision then does
            is bounded by nothing: writing a large table anew takes minutes.
        feed: whether somebody wants to read all events in one order (``events.topic``): then the index for it is built, too.

    Raises:
        ConfigurationError: wrong credentials, no such database, or one that is not in UTF-8.
        RightsError: the role may not make or change the tables.
        SchemaError: the schema is newer than this code, and does not suit it.
        StoreUnavailableError: the database cannot be reached.
    """
    address = Address(url, schema=schema, application_name="goconductor migrate")

    async def connect(command_timeout_seconds: float = REWRITE_SECONDS) -> Connection:
        return await address.dial(timeout_seconds=timeout_seconds, command_timeout_seconds=command_timeout_seconds)

    with _may_migrate(address), address.meaning():
        connection = await connect(timeout_seconds)
        try:
            await _check_encoding(connection, address)
            found = await present_revision(connection, address)
            is_newer = found is not None and found not in REVISIONS
            stays = is_newer and await suits(connection, address)
            if stays:
                logger.warning("%s, schema %s: it is at %s, newer than this code, and stays so", address.where, schema, found)
        finally:
            await connection.close()
        if is_newer and not stays:
            raise SchemaError(
                f"{address.where}, schema {schema}: it is at {found}, which is newer than this code; upgrade goconductor"
            )
        if not stays and found != (REVISIONS[-1] if revision == "head" else revision):
            # SQLAlchemy and Alembic take a third of a second and 30 MiB: only who has something to do pays
            from goconductor.stores.postgres.database.migrating import upgrade  # noqa: PLC0415

            await upgrade(connect, schema, revision, lock_timeout_seconds=timeout_seconds)
        if feed:
            await build(connect, address)


@contextmanager
def _may_migrate(address: Address) -> Iterator[None]:
    try:
        yield
    except RightsError as error:
        raise RightsError(
            f"PostgreSQL at {address.where}: the role may not migrate the schema {address.schema} ({error.__cause__}); migrate "
            "as the owner of its tables, or, where there are none yet, as a role with CREATE on the database"
        ) from error.__cause__


async def _check_encoding(connection: Connection, address: Address) -> None:
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(f"the database {address.where} is in {encoding}, not in UTF-8: create one WITH ENCODING 'UTF8'")


async def present_revision(connection: Connection, address: Address) -> str | None:
    """Return what the schema is at; None where there is none."""
    try:
        found: str | None = await connection.fetchval(address.sql("SELECT version_num FROM goconductor.alembic_version"))
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return None
    return found


async def suits(connection: Connection, address: Address) -> bool:
    """Return whether tables of a revision that is newer than this code say that this code works on them."""
    try:
        oldest: str | None = await connection.fetchval(address.sql("SELECT oldest_code FROM goconductor.alembic_version"))
    except asyncpg.UndefinedColumnError:  # nobody has made them who says so
        return False
    return oldest in REVISIONS


async def check_schema(session: Usable, address: Address) -> None:
    """See that the schema is the one this code knows, or a newer one that suits it.

    Raises:
        SchemaError: it is missing, older, or newer and does not suit this code; the text names the remedy.
        ConfigurationError: the database is not in UTF-8.
    """
    async with session.use() as connection:
        await _check_encoding(connection, address)
        found = await present_revision(connection, address)
        if found == REVISIONS[-1]:
            return
        if found is not None and found not in REVISIONS and await suits(connection, address):
            logger.info("the schema %s is at %s, newer than this code, which works on it", address.schema, found)
            return
    where = f"{address.where}, schema {address.schema}"
    if found is None:
        raise SchemaError(f"{where}: there are no tables of goconductor yet; run `goconductor migrate`")
    if found in REVISIONS:
        raise SchemaError(f"{where}: the schema is at {found}, this code needs {REVISIONS[-1]}; run `goconductor migrate`")
    raise SchemaError(f"{where}: the schema is at {found}, which is newer than this code; upgrade goconductor")
