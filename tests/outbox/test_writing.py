"""A start that commits with a service's own data, in a transaction of each library, where the saga log is in another database."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from goconductor import ArgumentError, ConfigurationError, OutboxError, PayloadError, RequestInvalidError, Saga
from goconductor.blocking import BlockingOutbox
from goconductor.outbox import Outbox, include_object, starts_table
from tests.contracts.callers import CALLERS, Caller, TakenBackError
from tests.outbox.conftest import Connection

pytestmark = pytest.mark.postgres

Opens: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Caller]]"
BLOCKING = ("blocking-session", "django")
COUNTS = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM goconductor_starts)"


@dataclass
class Wish:
    number: str
    cents: int = 100


order: Saga[Wish] = Saga("order", input=Wish)
order.step("shop.sell", id="sold", inputs={"number": order.input.number})


@pytest.fixture(params=CALLERS)
def opens(request: pytest.FixtureRequest) -> Opens:
    return CALLERS[request.param]


async def test_order_and_start_are_written_together_or_not_at_all(shop_url: str, shop_db: Connection, opens: Opens) -> None:
    outbox = Outbox(sagas=[order])
    async with opens(shop_url) as caller:
        await caller.execute("INSERT INTO orders VALUES (17)")
        key = await outbox.start(order, Wish("17"), key="17", labels={"customer": "é"}, priority=3, transaction=caller.tx)
        assert tuple(await shop_db.fetchrow(COUNTS) or ()) == (0, 0)
    assert key == "17"
    assert tuple(await shop_db.fetchrow(COUNTS) or ()) == (1, 1)
    with pytest.raises(TakenBackError):  # noqa: PT012 - it is the block that is left by it
        async with opens(shop_url) as caller:
            await outbox.start("order", {"number": "18"}, transaction=caller.tx)
            await caller.execute("INSERT INTO orders VALUES (18)")
            raise TakenBackError
    row = await shop_db.fetchrow("SELECT saga, version, key, input, labels, priority, attempts, reason FROM goconductor_starts")
    version = order.definition.version
    assert tuple(row or ()) == ("order", version, "17", '{"number":"17","cents":100}', '{"customer":"é"}', 3, 0, None)
    assert tuple(await shop_db.fetchrow(COUNTS) or ()) == (1, 1)


@pytest.mark.parametrize("library", BLOCKING)
async def test_code_that_blocks_writes_it_without_a_loop(shop_url: str, shop_db: Connection, library: str) -> None:
    outbox = BlockingOutbox(sagas=[order])
    async with CALLERS[library](shop_url) as caller:
        key = outbox.start(order, Wish("17"), transaction=caller.tx)
        await caller.execute("INSERT INTO orders VALUES (17)")
    assert key.startswith("outbox/")
    assert tuple(await shop_db.fetchrow(COUNTS) or ()) == (1, 1)


async def test_what_could_not_start_is_refused_before_it_is_written(shop_url: str, shop_db: Connection) -> None:
    outbox, other = Outbox(sagas=[order]), Saga[Any]("other")
    async with CALLERS["asyncpg"](shop_url) as caller:
        wrong: list[tuple[type[Exception], Any, Any, dict[str, Any]]] = [
            (ConfigurationError, other, None, {}),
            (ArgumentError, 7, None, {}),
            (PayloadError, order, {"cents": "many"}, {}),
            (PayloadError, "order", {"number": object()}, {}),
            (RequestInvalidError, order, Wish("1"), {"key": "a\nb"}),
            (RequestInvalidError, order, Wish("1"), {"labels": {"a": 1}}),
            (RequestInvalidError, order, Wish("1"), {"priority": 101}),
        ]
        for kind, saga, input, more in wrong:
            with pytest.raises(kind):
                await outbox.start(saga, input, transaction=caller.tx, **more)
        await caller.execute("INSERT INTO orders VALUES (17)")
    assert tuple(await shop_db.fetchrow(COUNTS) or ()) == (1, 0)
    with pytest.raises(ValueError, match="no transaction is open"):
        await outbox.start(order, Wish("1"), transaction=shop_db)
    with pytest.raises(TypeError, match="asyncpg"):
        await outbox.start(order, Wish("1"), transaction=object())  # type: ignore[call-overload]


async def test_a_table_that_is_absent_is_named_with_its_remedy(shop_url: str, shop_db: Connection) -> None:
    outbox = Outbox(table="shop.starts")
    async with shop_db.transaction():
        with pytest.raises(OutboxError, match="create_table"):
            async with shop_db.transaction():
                await outbox.start("order", None, transaction=shop_db)
    with pytest.raises(ConfigurationError, match="no table name"):
        Outbox(table="a;b")


async def test_the_table_may_come_from_migrations(shop_url: str, shop_db: Connection) -> None:
    engine = create_engine(shop_url.replace("postgresql:", "postgresql+psycopg:"))
    metadata = MetaData()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": include_object})
        assert [difference for difference in compare_metadata(context, metadata) if difference[1].name != "orders"] == []
        starts_table(metadata)
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, metadata)
        assert [difference for difference in differences if getattr(difference[1], "name", "") != "orders"] == []
    engine.dispose()


async def test_a_role_needs_no_more_than_insert(shop_url: str, shop_db: Connection) -> None:
    role = f"clerk_{await shop_db.fetchval('SELECT current_database()')}"
    await shop_db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    url = f"postgresql://{role}:clerk@{shop_url.rpartition('@')[2]}"
    try:
        connection = await asyncpg.connect(url)
        with pytest.raises(OutboxError, match="GRANT INSERT"):
            async with connection.transaction():
                await Outbox().start("order", None, transaction=connection)
        await shop_db.execute(f"GRANT INSERT, SELECT (id) ON goconductor_starts TO {role}")
        async with connection.transaction():
            await Outbox().start("order", None, transaction=connection)
        await connection.close()
    finally:
        await shop_db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert os.environ.get("PGPASSWORD") is None
