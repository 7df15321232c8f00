"""The schema: its migrations make what tables.py says, at once or many times, and code that does not fit says so."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable

from goconductor.errors import ConfigurationError, SchemaError, StoreUnavailableError
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database import dial
from goconductor.stores.postgres.database.migrating import config
from goconductor.stores.postgres.database.revisions import REVISIONS
from goconductor.stores.postgres.database.tables import STATUSES, XID8, metadata
from goconductor.testing.contracts.store.material import begin
from tests.migration.downgrading import downgrade

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def xid8_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy reads the catalogue, and warns of types that it does not know."""
    monkeypatch.setitem(ischema_names, "xid8", XID8)


@pytest.fixture
async def hand(postgres_url: str) -> AsyncIterator[dial.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def differences(url: str, meta: MetaData) -> list[Any]:
    """What Alembic would change in our schema to make it what the metadata say."""

    def compare(connection: Connection) -> list[Any]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == meta.schema,
            "compare_server_default": True,
            "version_table_schema": meta.schema,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), meta))

    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await engine.dispose()


FACTS = """
    SELECT c.relname, c.relpersistence = 'u', coalesce(c.reloptions, '{}')
    FROM pg_class AS c WHERE c.relkind = 'r' AND c.relnamespace = $1::regnamespace AND c.relname <> 'alembic_version'
"""
CHECKS = """
    SELECT conname, regexp_replace(pg_get_constraintdef(oid), '\\s', '', 'g') FROM pg_constraint
    WHERE contype = 'c' AND connamespace = $1::regnamespace ORDER BY 1
"""


@pytest.mark.parametrize("schema", ["goconductor", "elsewhere"])
async def test_the_migrations_make_what_the_tables_say(postgres_url: str, hand: dial.Connection, schema: str) -> None:
    await migrate(postgres_url, schema=schema)
    meta = metadata(schema)
    assert await differences(postgres_url, meta) == []
    assert await hand.fetchval("SELECT to_regclass('public.sagas')") is None


async def test_what_alembic_does_not_compare_is_the_same_too(postgres_url: str, hand: dial.Connection) -> None:
    """Storage parameters, unlogged tables and checks: the tables made from tables.py, beside those of the migrations."""
    await migrate(postgres_url)
    await hand.execute("CREATE SCHEMA by_tables")
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata("by_tables").sorted_tables:
        await hand.execute(str(CreateTable(table).compile(dialect=dialect)))
    assert await hand.fetch(CHECKS, "by_tables") == await hand.fetch(CHECKS, "goconductor")
    tables, migrated = [sorted(map(tuple, await hand.fetch(FACTS, schema))) for schema in ("by_tables", "goconductor")]
    assert [(name, unlogged, sorted(options)) for name, unlogged, options in tables] == [
        (name, unlogged, sorted(options)) for name, unlogged, options in migrated
    ]
    assert {name for name, unlogged, _ in migrated if unlogged} == {"leases", "lease_marker", "permits", "permit_queue"}


async def test_a_difference_would_be_found(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    await hand.execute("ALTER TABLE goconductor.sagas ADD COLUMN surplus int")
    await hand.execute("DROP INDEX goconductor.sagas_wake_at_idx")
    await hand.execute("CREATE TABLE public.somebody_elses (id int)")
    kinds = {difference[0] for difference in await differences(postgres_url, metadata("goconductor"))}
    assert kinds == {"remove_column", "add_index"}


def test_the_code_knows_all_revisions_in_their_order() -> None:
    script = ScriptDirectory.from_config(config(None, "goconductor"))  # type: ignore[arg-type]
    found = tuple(revision.revision for revision in script.walk_revisions())[::-1]
    assert found == REVISIONS, "name each revision in REVISIONS of goconductor/stores/postgres/database/revisions.py"


def test_every_table_is_in_the_schema_that_was_asked_for() -> None:
    for table in metadata("elsewhere").tables.values():
        assert "elsewhere." in str(CreateTable(table))


async def test_migrating_again_changes_nothing(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    before = await hand.fetch("SELECT oid, relfilenode FROM pg_class WHERE relnamespace = 'goconductor'::regnamespace ORDER BY 1")
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.migrate()
    await store.open()
    saga = await begin(store)
    await store.migrate()
    assert await store.sagas.head(saga.saga_id) is not None
    await store.close()
    after = await hand.fetch("SELECT oid, relfilenode FROM pg_class WHERE relnamespace = 'goconductor'::regnamespace ORDER BY 1")
    assert after == before


PROGRAM = "import asyncio, sys; from goconductor.stores.postgres import migrate; asyncio.run(migrate(sys.argv[1]))"


@pytest.mark.slow
async def test_eight_processes_may_migrate_at_once(postgres_url: str, hand: dial.Connection) -> None:
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, postgres_url) for _ in range(8)]
    assert [await process.wait() for process in processes] == [0] * 8
    assert await hand.fetchval("SELECT array_agg(version_num::text) FROM goconductor.alembic_version") == [REVISIONS[-1]]
    assert await hand.fetchval("SELECT count(*) FROM goconductor.leadership") == 1


async def test_a_migration_that_fails_leaves_nothing(postgres_url: str, hand: dial.Connection) -> None:
    await hand.execute("CREATE SCHEMA goconductor; CREATE TABLE goconductor.dead_letters (mine int)")
    with pytest.raises(Exception, match="dead_letters"):
        await migrate(postgres_url)
    assert await hand.fetchval("SELECT to_regclass('goconductor.sagas')") is None


async def test_downgrading_takes_everything_away(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    await downgrade(postgres_url, "base")
    left = await hand.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'goconductor'::regnamespace AND relkind = 'r'")
    assert [row[0] for row in left] == ["alembic_version"]
    await migrate(postgres_url)


async def test_a_database_without_our_tables_is_refused(postgres_url: str) -> None:
    with pytest.raises(SchemaError, match="goconductor migrate"):
        await PostgresStore(postgres_url).open()


async def test_another_schemas_tables_are_not_ours(postgres_url: str) -> None:
    await migrate(postgres_url, schema="elsewhere")
    with pytest.raises(SchemaError, match="schema goconductor"):
        await PostgresStore(postgres_url).open()
    store = PostgresStore(postgres_url, schema="elsewhere")
    await store.open()
    await begin(store)
    await store.close()


async def test_a_newer_schema_is_refused_that_suits_only_newer_code(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    await hand.execute("UPDATE goconductor.alembic_version SET version_num = '9999', oldest_code = '9998'")
    for refused in (PostgresStore(postgres_url).open, partial(migrate, postgres_url)):
        with pytest.raises(SchemaError, match="upgrade goconductor"):
            await refused()
    await hand.execute("ALTER TABLE goconductor.alembic_version DROP COLUMN oldest_code")
    with pytest.raises(SchemaError, match="upgrade goconductor"):
        await PostgresStore(postgres_url).open()


async def test_this_code_starts_on_a_newer_schema_that_suits_it_and_leaves_it_as_it_is(
    postgres_url: str, hand: dial.Connection
) -> None:
    """As after a rollback, or where an instance that is not replaced yet is started again."""
    await migrate(postgres_url)
    await hand.execute("ALTER TABLE goconductor.sagas ADD COLUMN newer int; CREATE TABLE goconductor.newer (id int)")
    await hand.execute("UPDATE goconductor.alembic_version SET version_num = '9999'")
    await migrate(postgres_url)
    assert await hand.fetchval("SELECT version_num FROM goconductor.alembic_version") == "9999"
    store = PostgresStore(postgres_url)
    await store.open()
    saga = await begin(store)
    assert await store.sagas.head(saga.saga_id) is not None
    await store.close()


async def test_migrating_an_unknown_database_is_refused(postgres_url: str, unused_tcp_port: int) -> None:
    with pytest.raises(ConfigurationError, match="no_such_database"):
        await migrate(postgres_url.rpartition("/")[0] + "/no_such_database")
    with pytest.raises(StoreUnavailableError):
        await migrate(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/none")


async def test_migrating_without_the_right_is_refused(postgres_url: str, hand: dial.Connection) -> None:
    name = (await hand.fetchval("SELECT current_database()")) + "_guest"
    await hand.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'guest'")
    user = postgres_url.partition("://")[2].partition("@")[0]
    try:
        with pytest.raises(ConfigurationError, match="permission denied"):
            await migrate(postgres_url.replace(f"//{user}@", f"//{name}:guest@"))
    finally:
        await hand.execute(f"DROP ROLE {name}")


async def test_the_checks_know_every_status(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    for status in STATUSES:
        await hand.execute(
            "INSERT INTO goconductor.sagas"
            " (saga_id, saga, version, status, seq, tag, wake_at, last_instance, labels, started_at, updated_at)"
            " VALUES (gen_random_uuid(), 's', 'v', $1, 0, 0, now(), 0, '{}', now(), now())",
            status,
        )
