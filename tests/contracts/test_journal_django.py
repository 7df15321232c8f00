"""The journal on PostgreSQL in Django's own transactions, and what is Django's alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest
from django import db
from django.db import connections, transaction

from goconductor.errors import ConfigurationError, JournalError
from goconductor.journals.blocking.django import DjangoJournal
from goconductor.ports.journal import EffectKey, Entry, Found
from goconductor.testing.contracts.journal import JournalContract
from tests.contracts.callers import django_alias

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE effects (effect text)")
    yield connection
    await connection.close()


@pytest.fixture
def alias(postgres_url: str) -> Iterator[str]:
    with django_alias(postgres_url) as alias:
        yield alias


@pytest.fixture
async def journal(alias: str, onlooker: object) -> AsyncIterator[DjangoJournal]:
    journal = DjangoJournal(alias, connections_max=12)
    await journal.create_table()
    yield journal
    await journal.close()
    await journal.close()


def insert(tx: Any, effect: str) -> None:
    with tx.cursor() as cursor:
        cursor.execute("INSERT INTO effects VALUES (%s)", [effect])


async def run(journal: DjangoJournal, function: Callable[[Any], object], seconds: float = TIMEOUT_SECONDS) -> Entry:
    """Run a step's function as the engine does."""

    async def call(tx: Any) -> bytes:
        await tx.run(function)
        return b'"ok"'

    return await journal.run_action(KEY, call, timeout_seconds=seconds)


class TestDjangoJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def remember(self, onlooker: asyncpg.Connection[asyncpg.Record]) -> None:
        self.onlooker = onlooker

    @pytest.fixture
    async def journal(self, journal: DjangoJournal) -> DjangoJournal:
        return journal

    async def write(self, tx: Any, effect: str) -> None:
        await tx.run(lambda connection: insert(connection, effect))

    async def effects(self) -> list[str]:
        return [row["effect"] for row in await self.onlooker.fetch("SELECT effect FROM effects")]

    async def until_one_waits(self) -> None:
        while not await self.onlooker.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass


async def test_models_take_part_in_the_steps_transaction_by_themselves(journal: DjangoJournal, alias: str) -> None:
    def step(tx: Any) -> None:
        assert connections[alias] is tx
        assert tx.in_atomic_block
        with pytest.raises(RuntimeError, match="durable"), transaction.atomic(using=alias, durable=True):
            pass  # it is inside of one
        with tx.cursor() as cursor:
            cursor.execute("SELECT current_setting('transaction_isolation'), current_setting('lock_timeout')")
            assert cursor.fetchone() == ("read committed", "5min")

    assert (await run(journal, step)).found is Found.RAN


async def test_what_django_would_roll_back_is_never_told_as_done(
    journal: DjangoJournal, alias: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    def swallows(tx: Any) -> None:
        insert(tx, "charged")
        with pytest.raises(ZeroDivisionError), transaction.atomic(using=alias, savepoint=False):
            raise ZeroDivisionError

    with pytest.raises(JournalError, match=r"savepoint \(with transaction.atomic\(\)\)"):
        await run(journal, swallows)
    assert await onlooker.fetchval("SELECT count(*) FROM effects") == 0

    def with_a_savepoint(tx: Any) -> None:
        with pytest.raises(db.DataError), transaction.atomic(using=alias):
            tx.cursor().execute("SELECT 1 / 0")
        insert(tx, "charged")

    assert (await run(journal, with_a_savepoint)).found is Found.RAN
    assert await onlooker.fetchval("SELECT count(*) FROM effects") == 1


async def test_a_step_that_commits_by_itself_is_told_so_and_never_run_over(journal: DjangoJournal) -> None:
    with pytest.raises(JournalError, match="remove COMMIT"):
        await run(journal, lambda tx: tx.cursor().execute("COMMIT"))
    with pytest.raises(JournalError, match="its result is unknown"):
        await run(journal, lambda tx: None)


async def test_what_the_server_refuses_at_the_commit_passes_through_and_leaves_nothing(
    journal: DjangoJournal, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    await onlooker.execute("CREATE TABLE accounts (id int PRIMARY KEY)")
    await onlooker.execute("CREATE TABLE bookings (account int REFERENCES accounts DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(db.IntegrityError, match="foreign key"):
        await run(journal, lambda tx: tx.cursor().execute("INSERT INTO bookings VALUES (17)"))
    assert (await run(journal, lambda tx: None)).found is Found.RAN


async def test_a_function_that_was_given_up_commits_nothing_and_its_connection_is_missed_until_it_returns(
    alias: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    journal = DjangoJournal(alias, connections_max=2)
    await journal.create_table()

    def hangs(tx: Any) -> None:
        insert(tx, "by the one that was given up")
        inside.set()
        go_on.wait(300)

    given_up = asyncio.create_task(run(journal, hangs))
    await asyncio.to_thread(inside.wait, 300)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert journal.pool.size == 1
    assert (await run(journal, lambda tx: insert(tx, "by the next"))).found is Found.RAN
    go_on.set()
    while journal.pool.size < 2:  # noqa: ASYNC110 - the thread comes back by itself
        await asyncio.sleep(0)
    assert [row[0] for row in await onlooker.fetch("SELECT effect FROM effects")] == ["by the next"]
    await journal.close()


async def test_a_connection_that_the_server_ends_leaves_nothing_and_the_next_step_has_another(
    journal: DjangoJournal, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    def step(tx: Any) -> int:
        insert(tx, "charged")
        with tx.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    async def call(tx: Any) -> bytes:
        await onlooker.execute("SELECT pg_terminate_backend($1, 60000)", await tx.run(step))
        return b"null"

    with pytest.raises(JournalError, match="nothing of this run was committed"):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    assert await onlooker.fetchval("SELECT count(*) FROM effects") == 0
    assert (await run(journal, step)).found is Found.RAN


async def test_without_its_database_or_table_it_says_what_to_do(alias: str) -> None:
    with pytest.raises(JournalError, match=r"create_table\(\)"):
        await run(DjangoJournal(alias), lambda tx: None)
    with pytest.raises((ConfigurationError, JournalError), match="name one of DATABASES"):
        await run(DjangoJournal("nowhere"), lambda tx: None)
    with pytest.raises(ValueError, match="at least 1"):
        DjangoJournal(connections_max=0)
