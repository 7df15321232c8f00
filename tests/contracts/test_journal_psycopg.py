"""The journal on PostgreSQL by psycopg 3, through a pool of the service's own and through connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from goconductor.errors import JournalError
from goconductor.journals.psycopg import Connection, PsycopgJournal
from goconductor.ports.journal import EffectKey, Found, Journal
from goconductor.testing.contracts.journal import JournalContract
from tests.contracts.journal_leaves import psycopg_journal

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE effects (effect text)")
        yield connection


class Pool:
    """A service's own, with tastes of its own; ``psycopg_pool.AsyncConnectionPool`` has the same two methods."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.idle: list[Connection] = []
        self.states: list[tuple[Any, Any]] = []

    async def getconn(self, timeout: float | None = None) -> Connection:  # noqa: ASYNC109
        assert timeout
        if self.idle:
            return self.idle.pop()
        connection: Connection = await psycopg.AsyncConnection.connect(
            self.url, row_factory=dict_row, cursor_factory=psycopg.AsyncClientCursor
        )
        await connection.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
        return connection

    async def putconn(self, conn: Connection) -> None:
        self.states.append((conn.info.transaction_status, conn.isolation_level))
        if not conn.closed:
            self.idle.append(conn)


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    pool = Pool(postgres_url)
    yield pool
    for connection in pool.idle:
        await connection.close()


class TestPsycopgJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def remember(self, onlooker: Connection) -> None:
        self.onlooker = onlooker

    @pytest.fixture
    async def journal(self, postgres_url: str) -> AsyncIterator[Journal[Connection]]:
        journal = PsycopgJournal(postgres_url, connections_max=12)
        await journal.create_table()
        yield journal
        await journal.close()
        await journal.close()

    async def write(self, tx: Connection, effect: str) -> None:
        await tx.execute("INSERT INTO effects VALUES (%s)", [effect])

    async def effects(self) -> list[str]:
        return [row[0] for row in await (await self.onlooker.execute("SELECT effect FROM effects")).fetchall()]

    async def until_one_waits(self) -> None:
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while not await (await self.onlooker.execute(waiting)).fetchone():
            pass


class TestPsycopgJournalOnAPool(TestPsycopgJournal):
    @pytest.fixture
    async def journal(self, pool: Pool) -> AsyncIterator[Journal[Connection]]:
        journal = PsycopgJournal(pool, table="effects_done")
        await journal.create_table()
        yield journal
        await journal.close()


async def charge(tx: Connection) -> bytes:
    await tx.execute("INSERT INTO effects VALUES ('charged')")
    return b'"ok"'


async def test_a_pools_connections_go_back_as_they_came(onlooker: Connection, pool: Pool) -> None:
    journal = PsycopgJournal(pool)
    await journal.create_table()

    async def call(tx: Connection) -> bytes:
        row = await (await tx.execute("SELECT current_setting('transaction_isolation') AS level")).fetchone()
        assert row == {"level": "read committed"}
        return b"null"

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN
    assert set(pool.states) == {(psycopg.pq.TransactionStatus.IDLE, psycopg.IsolationLevel.SERIALIZABLE)}
    await journal.close()
    assert not pool.idle[0].closed


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_step_cannot_end_its_transaction_by_a_method(postgres_url: str, onlooker: Connection, end: str) -> None:
    async def call(tx: Connection) -> bytes:
        await charge(tx)
        await getattr(tx, end)()
        return b"null"

    async with psycopg_journal(postgres_url) as journal:
        await journal.create_table()
        with pytest.raises(psycopg.ProgrammingError, match="forbidden"):
            await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
        assert await (await onlooker.execute("SELECT * FROM effects")).fetchall() == []
        assert (await journal.run_action(KEY, charge, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN


async def test_a_connection_that_the_server_ended_while_it_was_idle_is_not_used_again(
    postgres_url: str, onlooker: Connection
) -> None:
    async with psycopg_journal(postgres_url) as journal:
        await journal.create_table()
        ended = await onlooker.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        assert await ended.fetchall() == [(True,)]
        assert (await journal.run_action(KEY, charge, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN


async def test_who_finds_all_connections_taken_waits_no_longer_than_its_timeout(postgres_url: str, onlooker: Connection) -> None:
    inside, release = asyncio.Event(), asyncio.Event()

    async def call(tx: Connection) -> bytes:
        inside.set()
        await release.wait()
        return await charge(tx)

    async with psycopg_journal(postgres_url, connections_max=1) as journal:
        await journal.create_table()
        first = asyncio.create_task(journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS))
        await inside.wait()
        with pytest.raises(JournalError, match="could not connect"):
            await journal.settle(EffectKey("another", "one"), timeout_seconds=0.2)
        waiting = asyncio.create_task(journal.settle(KEY, timeout_seconds=TIMEOUT_SECONDS))
        release.set()
        assert (await first).found is Found.RAN
        assert (await waiting).found is Found.SEEN


async def test_a_connection_in_use_is_closed_when_it_comes_back_after_the_journal_was_closed(
    postgres_url: str, onlooker: Connection
) -> None:
    journal = PsycopgJournal(postgres_url)
    await journal.create_table()
    kept: list[Connection] = []

    async def call(tx: Connection) -> bytes:
        kept.append(tx)
        await journal.close()
        return await charge(tx)

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN
    assert kept[0].closed


def test_a_journal_without_connections_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PsycopgJournal("postgresql://", connections_max=0)
