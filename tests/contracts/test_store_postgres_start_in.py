"""A saga that begins together with the caller's own data, in a transaction of each library."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import asyncpg
import psycopg
import pytest
from django.db import connections
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from goconductor.errors import ConfigurationError, SchemaError
from goconductor.ports.store import Verdict
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import Saga, begin, event, take
from goconductor.testing.postgres import PostgresAddress, PostgresServer
from tests.contracts.callers import CALLERS, Caller, TakenBackError, blocking_engine_of, django_alias
from tests.contracts.journal_leaves import engine_of

pytestmark = pytest.mark.postgres

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Opens: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Caller]]"

ORDERS = "SELECT count(*) FROM orders"


@pytest.fixture
async def shop(store: PostgresStore, postgres_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE orders (id int)")
    yield connection
    await connection.close()


@pytest.fixture(params=CALLERS)
def opens(request: pytest.FixtureRequest) -> Opens:
    return CALLERS[request.param]


async def test_order_and_saga_begin_together(store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens) -> None:
    saga = Saga()
    async with opens(postgres_url) as caller:
        await caller.execute("INSERT INTO orders VALUES (17)")
        outcome = await store.starts.start_in(caller.tx, saga.start(key="order-17", labels={"customer": "1"}))
        assert outcome.verdict == Verdict.WON
        assert await store.sagas.head(saga.saga_id) is None
        assert await shop.fetchval(ORDERS) == 0
    head = await store.sagas.head(saga.saga_id)
    assert head is not None
    assert head.labels == {"customer": "1"}
    assert len(await store.sagas.history(saga.saga_id)) == 1
    assert await shop.fetchval(ORDERS) == 1


async def test_the_saga_may_be_the_first_that_the_transaction_does(
    store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens
) -> None:
    saga = Saga()
    async with opens(postgres_url) as caller:
        await store.starts.start_in(caller.tx, saga.start())
        assert await store.sagas.head(saga.saga_id) is None
        await caller.execute("INSERT INTO orders VALUES (17)")
        assert await shop.fetchval(ORDERS) == 0
    assert await store.sagas.head(saga.saga_id) is not None
    assert await shop.fetchval(ORDERS) == 1


async def test_neither_begins_when_the_caller_changes_his_mind(
    store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens
) -> None:
    saga = Saga()
    with pytest.raises(TakenBackError):  # noqa: PT012 - it is the block that is left by it
        async with opens(postgres_url) as caller:
            await store.starts.start_in(caller.tx, saga.start(key="order-17", input_hash=b"one"))
            await caller.execute("INSERT INTO orders VALUES (17)")
            raise TakenBackError
    assert await store.sagas.head(saga.saga_id) is None
    assert await shop.fetchval(ORDERS) == 0
    [outcome] = await store.starts.start([saga.start(key="order-17", input_hash=b"another")])
    assert outcome.verdict == Verdict.WON


async def test_a_key_that_was_used_tells_its_saga(
    store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens
) -> None:
    first = await begin(store, key="order-17", input_hash=b"same")
    mine = Saga()
    async with opens(postgres_url) as caller:
        same = await store.starts.start_in(caller.tx, Saga().start(key="order-17", input_hash=b"same"))
        other = await store.starts.start_in(caller.tx, Saga().start(key="order-17", input_hash=b"other"))
        again = await store.starts.start_in(caller.tx, Saga(first.saga_id).start())
        await store.starts.start_in(caller.tx, mine.start(key="order-18", input_hash=b"same"))
        twice = await store.starts.start_in(caller.tx, Saga().start(key="order-18", input_hash=b"same"))
        await caller.execute("INSERT INTO orders VALUES (17)")
    assert (same.verdict, same.existing) == (Verdict.ALREADY_STARTED, first.saga_id)
    assert (other.verdict, other.existing) == (Verdict.OTHER_INPUT, first.saga_id)
    assert (again.verdict, again.existing) == (Verdict.ALREADY_STARTED, first.saga_id)
    assert (twice.verdict, twice.existing) == (Verdict.ALREADY_STARTED, mine.saga_id)
    assert await shop.fetchval(ORDERS) == 1


@pytest.mark.parametrize("refused", [{"entries": [event(data=b"{")]}, {"key": "a\0b"}], ids=["by-the-server", "by-the-driver"])
async def test_a_refused_value_does_not_spoil_the_callers_transaction(
    store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens, refused: dict[str, Any]
) -> None:
    async with opens(postgres_url) as caller:
        outcome = await store.starts.start_in(caller.tx, Saga().start(**refused))
        await caller.execute("INSERT INTO orders VALUES (17)")
    assert outcome.verdict == Verdict.REJECTED
    assert outcome.problem
    assert await shop.fetchval(ORDERS) == 1


async def test_it_takes_no_lease(store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens) -> None:
    saga = Saga()
    async with opens(postgres_url) as caller:
        with pytest.raises(ValueError, match="no lease"):
            await store.starts.start_in(caller.tx, saga.start(take=[take(saga.lease())]))
    assert await store.sagas.head(saga.saga_id) is None


async def test_a_connection_without_a_transaction_is_refused(store: PostgresStore, shop: Connection, postgres_url: str) -> None:
    saga = Saga()

    async def refuses(connection: Any) -> None:
        with pytest.raises(ValueError, match="no transaction is open"):
            await store.starts.start_in(connection, saga.start())

    await refuses(shop)
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await refuses(connection)
    for driver in ("asyncpg", "psycopg"):
        async with engine_of(postgres_url, driver) as engine:
            by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")
            async with by_itself.connect() as sqlalchemys:
                await refuses(sqlalchemys)
            async with AsyncSession(by_itself) as session:
                await refuses(session)
    assert await store.sagas.head(saga.saga_id) is None


async def test_what_is_no_transaction_of_a_known_kind_is_answered_with_what_is(store: PostgresStore) -> None:
    for thing in ("postgresql://localhost", object(), 7):
        with pytest.raises(TypeError, match=rf"{type(thing).__name__}: .*asyncpg.*AsyncSession.*Session.*Django"):
            await store.starts.start_in(thing, Saga().start())


async def test_a_blocking_connection_without_a_transaction_is_refused(store: PostgresStore, postgres_url: str) -> None:
    async def refuses(connection: Any) -> None:
        with pytest.raises(ValueError, match="no transaction is open"):
            await store.starts.start_in(connection, Saga().start())

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        await refuses(connection)
    with blocking_engine_of(postgres_url) as engine:
        by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")
        with by_itself.connect() as sqlalchemys:
            await refuses(sqlalchemys)
        with Session(by_itself) as session:
            await refuses(session)
    with mock.patch.dict(os.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1"), django_alias(postgres_url) as alias:
        await refuses(connections[alias])
        connections[alias].ensure_connection()
        await refuses(connections[alias])


async def test_a_transaction_that_django_will_roll_back_is_refused(store: PostgresStore, postgres_url: str) -> None:
    async with CALLERS["django"](postgres_url) as caller:
        caller.tx.set_rollback(True)
        with pytest.raises(ValueError, match="an error was caught inside it"):
            await store.starts.start_in(caller.tx, Saga().start())


async def test_a_transaction_in_another_database_is_refused_and_can_go_on(
    store: PostgresStore, postgres_server: PostgresAddress, opens: Opens
) -> None:
    saga = Saga()
    name = f"test_another_{secrets.token_hex(6)}"
    other = postgres_server.create_database(name)
    try:
        await migrate(other)
        async with opens(other) as caller:
            with pytest.raises(ConfigurationError, match=rf"in database '{name}', the saga log is in .*/test_"):
                await store.starts.start_in(caller.tx, saga.start())
            await caller.execute("CREATE TABLE orders (id int)")
    finally:
        postgres_server.drop_database(name)
    assert await store.sagas.head(saga.saga_id) is None


async def test_a_database_of_the_same_name_on_another_server_is_another(
    store: PostgresStore, shop: Connection, postgres_to_break: PostgresServer
) -> None:
    other = postgres_to_break.create_database(await shop.fetchval("SELECT current_database()"))
    await migrate(other)
    async with CALLERS["asyncpg"](other) as caller:
        with pytest.raises(ConfigurationError, match="another database or server"):
            await store.starts.start_in(caller.tx, Saga().start())


async def test_the_saga_logs_server_may_be_started_again(postgres_to_break: PostgresServer) -> None:
    url = postgres_to_break.create_database("sagas")
    await migrate(url)
    store = PostgresStore(url)
    await store.open()
    try:
        for _ in range(2):
            saga = Saga()
            async with CALLERS["asyncpg"](url) as caller:
                assert (await store.starts.start_in(caller.tx, saga.start())).verdict == Verdict.WON
            postgres_to_break._end("fast")
            postgres_to_break._launch()
            await store.close()
            await store.open()
            assert await store.sagas.head(saga.saga_id) is not None
    finally:
        await store.close()


async def test_the_tables_of_the_saga_log_must_be_there(
    store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens
) -> None:
    await shop.execute("DROP TABLE goconductor.saga_log")
    async with opens(postgres_url) as caller:
        with pytest.raises(SchemaError, match="goconductor migrate"):
            await store.starts.start_in(caller.tx, Saga().start())


async def test_a_role_without_rights_on_the_saga_log_is_told_so(
    store: PostgresStore, shop: Connection, postgres_url: str, opens: Opens
) -> None:
    role = f"clerk_{await shop.fetchval('SELECT current_database()')}"
    await shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    try:
        async with opens(f"postgresql://{role}:clerk@{postgres_url.rpartition('@')[2]}") as caller:
            with pytest.raises(ConfigurationError, match="grant this right"):
                await store.starts.start_in(caller.tx, Saga().start())
    finally:
        await shop.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_the_rights_that_the_page_names_are_enough(store: PostgresStore, shop: Connection, postgres_url: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "transactional-steps.md").read_text("utf-8")
    rights = re.findall(r"^ {4}(GRANT .*) TO shop;$", page, re.MULTILINE)
    assert len(rights) > 1
    role = f"clerk_{await shop.fetchval('SELECT current_database()')}"
    await shop.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'; {' '.join(f'{right} TO {role};' for right in rights)}")
    try:
        async with CALLERS["asyncpg"](f"postgresql://{role}:clerk@{postgres_url.rpartition('@')[2]}") as caller:
            assert (await store.starts.start_in(caller.tx, Saga().start(key="order-17"))).verdict == Verdict.WON
            assert (await store.starts.start_in(caller.tx, Saga().start(key="order-17"))).verdict == Verdict.ALREADY_STARTED
    finally:
        await shop.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_schema_of_another_name_is_used(postgres_url: str, opens: Opens) -> None:
    await migrate(postgres_url, schema="sagas_of_the_shop")
    store = PostgresStore(postgres_url, schema="sagas_of_the_shop")
    await store.open()
    saga = Saga()
    async with opens(postgres_url) as caller:
        assert (await store.starts.start_in(caller.tx, saga.start(key="order-17"))).verdict == Verdict.WON
    assert await store.sagas.head(saga.saga_id) is not None
    await store.close()
