"""The journal on PostgreSQL, through a pool of the service's own and through one made from a DSN."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from goconductor.errors import JournalError
from goconductor.journals.asyncpg import AsyncpgJournal, Connection, Pool
from goconductor.ports.journal import EffectKey, Found, Journal
from goconductor.testing.contracts.journal import JournalContract

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=12) as pool:
        await pool.execute("CREATE TABLE effects (effect text)")
        yield pool


class TestAsyncpgJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def remember(self, pool: Pool) -> None:
        self.pool = pool

    @pytest.fixture
    async def journal(self, pool: Pool) -> Journal[Connection]:
        journal = AsyncpgJournal(pool)
        await journal.create_table()
        return journal

    async def write(self, tx: Connection, effect: str) -> None:
        await tx.execute("INSERT INTO effects VALUES ($1)", effect)

    async def effects(self) -> list[str]:
        return [row["effect"] for row in await self.pool.fetch("SELECT effect FROM effects")]

    async def until_one_waits(self) -> None:
        while not await self.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass


class TestAsyncpgJournalOnADsnAndAnotherTable(TestAsyncpgJournal):
    @pytest.fixture
    async def journal(self, pool: Pool, postgres_url: str) -> AsyncIterator[Journal[Connection]]:
        await pool.execute('CREATE SCHEMA "Payments"')
        journal = AsyncpgJournal(postgres_url, table="Payments.effects_done")
        await journal.create_table()
        yield journal
        await journal.close()
        await journal.close()


async def test_a_pool_not_yet_initialised_is_initialised_and_left_open(postgres_url: str) -> None:
    pool = asyncpg.create_pool(postgres_url, min_size=1)
    journal = AsyncpgJournal(pool)
    await journal.create_table()
    await journal.close()
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()


async def test_a_savepoint_left_open_does_no_harm(pool: Pool) -> None:
    journal = AsyncpgJournal(pool)
    await journal.create_table()

    async def call(tx: Connection) -> bytes:
        await tx.transaction().start()
        await tx.execute("INSERT INTO effects VALUES ('charged')")
        return b"null"

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN
    assert await pool.fetchval("SELECT count(*) FROM effects") == 1


@pytest.mark.parametrize(("query", "name"), [("", "goconductor journal"), ("?application_name=shop", "shop")])
async def test_connections_from_a_url_have_its_name_or_ours(pool: Pool, postgres_url: str, query: str, name: str) -> None:
    journal = AsyncpgJournal(postgres_url + query)
    await journal.create_table()

    async def call(tx: Connection) -> bytes:
        return str(await tx.fetchval("SHOW application_name")).encode()

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).result == name.encode()
    await journal.close()


async def test_a_server_that_takes_no_writes_is_not_connected_to(pool: Pool, postgres_url: str) -> None:
    await pool.execute(f'ALTER DATABASE "{urlsplit(postgres_url).path[1:]}" SET default_transaction_read_only = on')
    journal = AsyncpgJournal(postgres_url)
    with pytest.raises(JournalError, match=r"could not connect.*takes no writes"):
        await journal.create_table()
    await journal.close()
