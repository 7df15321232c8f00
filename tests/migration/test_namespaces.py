"""Revision 0008: what had no namespace is in the default one, known by the same names, and finds its way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from goconductor.ports.store import Verdict
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database import dial
from goconductor.testing.contracts.store.material import Saga
from tests.migration.downgrading import downgrade

pytestmark = pytest.mark.postgres

SAGA = UUID("018bcfe5-6880-7000-8000-000000000001")
FILL = f"""
    INSERT INTO goconductor.participants (participant, name, application_name, steps) VALUES ('shop', 'pod-0', '', '{{}}');
    INSERT INTO goconductor.definitions (saga, version, document) VALUES ('order', 'v1', '{{}}'), ('order', 'v2', '{{}}');
    INSERT INTO goconductor.active_definitions (saga, version, pinned) VALUES ('order', 'v1', true);
    INSERT INTO goconductor.offers (saga, version, serial) SELECT 'order', 'v2', serial FROM goconductor.participants;
    INSERT INTO goconductor.start_keys (saga, key, saga_id, input_hash) VALUES ('order', '17', '{SAGA}', 'same');
"""
KEYS = """
    SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'p' AND connamespace = 'goconductor'::regnamespace ORDER BY 1
"""


@pytest.fixture
async def hand(postgres_url: str) -> AsyncIterator[dial.Connection]:
    """A connection to a schema of the revision before, with something in each of its tables that have a new key."""
    await migrate(postgres_url, revision="0007")
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(FILL)
    yield connection
    await connection.close()


async def test_what_is_there_is_in_the_default_namespace(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.open()
    try:
        found = await store.definitions.versions(DEFAULT_NAMESPACE)
        assert [(each.version, each.active, each.pinned, each.offered) for each in found] == [
            ("v1", True, True, 0),
            ("v2", False, False, 1),
        ]
        assert await store.sagas.started(DEFAULT_NAMESPACE, "order", "17") == SAGA
        again, other = Saga().start(key="17", input_hash=b"same"), Saga().start(namespace="acme", key="17", input_hash=b"same")
        found_again, started = await store.starts.start([again, other])
        assert (found_again.verdict, found_again.existing, started.verdict) == (Verdict.ALREADY_STARTED, SAGA, Verdict.WON)
    finally:
        await store.close()


async def test_no_statement_can_leave_the_namespace_out(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    with pytest.raises(asyncpg.NotNullViolationError, match="namespace"):
        await hand.execute("INSERT INTO goconductor.definitions (saga, version, document) VALUES ('order', 'v3', '{}')")


async def test_the_way_back_keeps_what_is_in_the_default_namespace(postgres_url: str, hand: dial.Connection) -> None:
    tables = ("definitions", "active_definitions", "offers", "start_keys")
    looks = [f"SELECT * FROM goconductor.{table} ORDER BY 1, 2" for table in tables]
    keys, rows = await hand.fetch(KEYS), [await hand.fetch(look) for look in looks]
    await migrate(postgres_url)
    assert await hand.fetch(KEYS) != keys
    await downgrade(postgres_url, "0007")
    assert await hand.fetch(KEYS) == keys
    assert [await hand.fetch(look) for look in looks] == rows


async def test_the_way_back_is_refused_while_another_namespace_is_in_use(postgres_url: str, hand: dial.Connection) -> None:
    await migrate(postgres_url)
    await hand.execute(
        "INSERT INTO goconductor.definitions (namespace, saga, version, document) VALUES ('acme', 'order', 'v1', '{}')"
    )
    keys = await hand.fetch(KEYS)
    with pytest.raises(DBAPIError, match="the table definitions has rows of other namespaces than default"):
        await downgrade(postgres_url, "0007")
    assert await hand.fetch(KEYS) == keys
    await hand.execute("DELETE FROM goconductor.definitions WHERE namespace = 'acme'")
    await downgrade(postgres_url, "0007")
