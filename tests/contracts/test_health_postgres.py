"""The health of a real PostgreSQL: what hurts it on purpose is seen."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace

import asyncpg
import pytest

from goconductor.errors import ConfigurationError, StoreUnavailableError
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database import health as examination
from goconductor.stores.postgres.database.revisions import REVISIONS

pytestmark = pytest.mark.postgres


async def test_an_empty_database_can_be_examined_and_says_that_it_is_empty(postgres_url: str) -> None:
    health = await PostgresStore(postgres_url).examine(older_than_seconds=60)
    assert 150_000 <= health.version < 200_000
    assert (health.revision, health.revision_needed, health.revision_known) == (None, REVISIONS[-1], True)
    assert (health.encoding, health.read_only, health.tables) == ("UTF8", False, [])
    assert 0 < health.connections <= health.connections_max
    assert abs(health.now - health.asked_at) < 60


async def test_a_migrated_one_tells_its_revision_and_tables_and_whose_vacuum_is_off(postgres_url: str) -> None:
    await migrate(postgres_url)
    connection = await asyncpg.connect(postgres_url, ssl=False)
    try:
        await connection.execute("ALTER TABLE goconductor.leases SET (autovacuum_enabled = false)")
        health = await PostgresStore(postgres_url).examine(older_than_seconds=60)
        assert health.revision == REVISIONS[-1]
        tables = {table.name: table for table in health.tables}
        assert {"sagas", "saga_log", "leases", "participants", "dead_letters"} <= tables.keys()
        assert (tables["leases"].autovacuum, tables["sagas"].autovacuum) == (False, True)
        await connection.execute("UPDATE goconductor.alembic_version SET version_num = '9999'")
        health = await PostgresStore(postgres_url).examine(older_than_seconds=60)
        assert (health.revision, health.revision_known, health.revision_suits) == ("9999", False, True)
    finally:
        await connection.close()


async def test_a_transaction_that_holds_a_snapshot_is_told_with_who_has_it(postgres_url: str) -> None:
    holder = await asyncpg.connect(postgres_url, ssl=False, server_settings={"application_name": "the forgotten one"})
    try:
        transaction = holder.transaction(isolation="repeatable_read")
        await transaction.start()
        pid = await holder.fetchval("SELECT pg_backend_pid()")
        seen = (await PostgresStore(postgres_url).examine(older_than_seconds=0)).transactions
        (mine,) = [each for each in seen if each.pid == pid]
        assert (mine.application, mine.state, mine.pins, mine.prepared) == ("the forgotten one", "idle in transaction", True, "")
        assert mine.age_seconds > 0
        await transaction.rollback()
        assert pid not in [each.pid for each in (await PostgresStore(postgres_url).examine(older_than_seconds=0)).transactions]
    finally:
        await holder.close()


async def test_a_session_that_takes_no_writes_says_so(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url, ssl=False)
    try:
        await connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$"
        )
        assert (await PostgresStore(postgres_url).examine(older_than_seconds=60)).read_only
    finally:
        await connection.execute(
            "DO $$ BEGIN SET transaction_read_only = off; "
            "EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database()); END $$"
        )
        await connection.close()


async def test_a_server_that_is_away_or_refuses_us_is_told_as_such(postgres_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StoreUnavailableError):
        await PostgresStore(f"postgresql://u:p@127.0.0.1:{port}/x").examine(older_than_seconds=60)
    with pytest.raises(ConfigurationError):
        await PostgresStore(f"{postgres_url.rpartition('/')[0]}/no_such_database").examine(older_than_seconds=60)


@pytest.mark.parametrize(("asked", "answered", "skew"), [(-300, 300, 0), (-300, -200, -200), (200, 300, 200)])
async def test_a_slow_answer_is_not_taken_for_a_clock_that_is_wrong(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, asked: float, answered: float, skew: float
) -> None:
    began = time.time()
    read = iter([began + asked, began + answered])
    monkeypatch.setattr(examination, "time", SimpleNamespace(time=lambda: next(read)))
    health = await PostgresStore(postgres_url).examine(older_than_seconds=60)
    assert health.asked_at - health.now == pytest.approx(skew, abs=100 if skew else 0)
