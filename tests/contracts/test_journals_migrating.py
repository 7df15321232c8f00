"""Alembic's autogenerate and the journal's table: as one of the service's own tables, or as one that is left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from goconductor.errors import ConfigurationError
from goconductor.journals.migrating import effects_table, include_object, leaving
from goconductor.journals.sqlalchemy import SqlalchemyJournal
from goconductor.ports.journal import EffectKey, Found
from goconductor.stores.postgres.database.revisions import migrate

pytestmark = pytest.mark.postgres

NAMES = pytest.mark.parametrize("table", ["goconductor_effects", "Payments.effects_done"])


async def on(url: str, doing: Callable[[AsyncConnection], Awaitable[Any]]) -> Any:
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    try:
        async with engine.begin() as connection:
            return await doing(connection)
    finally:
        await engine.dispose()


async def differences(url: str, metadata: MetaData, **options: Any) -> list[Any]:
    """What autogenerate would write into a migration."""

    def compare(connection: Connection) -> list[Any]:
        wanted = {"compare_type": True, "compare_server_default": True, "include_schemas": True, **options}
        return list(compare_metadata(MigrationContext.configure(connection, opts=wanted), metadata))

    async def doing(connection: AsyncConnection) -> list[Any]:
        return await connection.run_sync(compare)

    found: list[Any] = await on(url, doing)
    return found


async def create(url: str, table: str) -> None:
    async def doing(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql('CREATE SCHEMA "Payments"')

    await on(url, doing)
    journal = SqlalchemyJournal(url, table=table)
    await journal.create_table()
    await journal.close()


@NAMES
async def test_alone_it_would_be_dropped_and_in_the_metadata_nothing_is_to_be_done(postgres_url: str, table: str) -> None:
    await create(postgres_url, table)
    proposed = await differences(postgres_url, MetaData())
    assert "remove_table" in [change[0] for change in proposed]
    metadata = MetaData()
    effects_table(metadata, table)
    assert await differences(postgres_url, metadata) == []


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")  # Alembic looks at all tables before it asks
@NAMES
async def test_it_is_left_alone_and_other_tables_are_not(postgres_url: str, table: str) -> None:
    await create(postgres_url, table)
    await migrate(postgres_url)

    async def another(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql("CREATE TABLE forgotten (number int)")

    await on(postgres_url, another)
    hook = include_object if table == "goconductor_effects" else leaving(table)
    proposed = await differences(postgres_url, MetaData(), include_object=hook)
    assert [(change[0], change[1].name) for change in proposed] == [("remove_table", "forgotten")]


@NAMES
async def test_a_journal_works_on_the_table_that_the_metadata_has_made(postgres_url: str, table: str) -> None:
    metadata = MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s", "pk": "pk_%(table_name)s"})
    effects_table(metadata, table)

    async def make(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql('CREATE SCHEMA "Payments"')
        await connection.run_sync(metadata.create_all)

    await on(postgres_url, make)
    journal = SqlalchemyJournal(postgres_url, table=table)
    try:
        await journal.create_table()  # it is there
        key = EffectKey("action", "compensation")

        async def call(_tx: Any) -> bytes:
            return b"1"

        assert (await journal.run_action(key, call, timeout_seconds=60.0)).found is Found.RAN
        assert (await journal.run_action(key, call, timeout_seconds=60.0)).found is Found.SEEN
        assert await journal.forget(0) == 1
    finally:
        await journal.close()


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is no table name"):
        effects_table(MetaData(), "a; DROP TABLE b")
    with pytest.raises(ConfigurationError, match="is no table name"):
        leaving("a-b")
