"""The journal on PostgreSQL by SQLAlchemy: connections and sessions, over asyncpg and over psycopg."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from goconductor.errors import ConfigurationError, JournalError
from goconductor.journals.sqlalchemy import SqlalchemyJournal
from goconductor.ports.journal import EffectKey, Found, Journal
from goconductor.testing.contracts.journal import JournalContract
from tests.contracts.journal_leaves import engine_of

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0


class Tables(DeclarativeBase):
    pass


class Account(Tables):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class ServicesOwnSession(AsyncSession):
    """A service's own class."""


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE effects (effect text)")
    yield connection
    await connection.close()


@pytest.fixture(params=["asyncpg", "psycopg"])
async def engine(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    async with engine_of(postgres_url, request.param) as engine:
        yield engine


class TestSqlalchemyJournalOnAUrl(JournalContract):
    @pytest.fixture(autouse=True)
    def remember(self, onlooker: asyncpg.Connection[asyncpg.Record]) -> None:
        self.onlooker = onlooker

    @pytest.fixture
    async def journal(self, postgres_url: str) -> AsyncIterator[Journal[AsyncConnection]]:
        journal = SqlalchemyJournal(postgres_url)
        await journal.create_table()
        yield journal
        await journal.close()
        await journal.close()

    async def write(self, tx: AsyncConnection | AsyncSession, effect: str) -> None:
        await tx.execute(text("INSERT INTO effects VALUES (:effect)"), {"effect": effect})

    async def effects(self) -> list[str]:
        return [row["effect"] for row in await self.onlooker.fetch("SELECT effect FROM effects")]

    async def until_one_waits(self) -> None:
        while not await self.onlooker.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass


class TestSqlalchemyJournalOnSessions(TestSqlalchemyJournalOnAUrl):
    @pytest.fixture
    async def journal(self, postgres_url: str) -> AsyncIterator[Journal[AsyncSession]]:
        async with engine_of(postgres_url, "psycopg") as engine:
            journal = SqlalchemyJournal(async_sessionmaker(engine), table="effects_done")
            await journal.create_table()
            yield journal


async def run(journal: SqlalchemyJournal[AsyncConnection]) -> Found:
    async def call(tx: AsyncConnection) -> bytes:
        await tx.execute(text("SELECT 1"))
        return b'"ok"'

    return (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found


@pytest.mark.parametrize("way", ["connection", "session"])
async def test_the_services_own_engine_is_left_open_and_as_it_was(engine: AsyncEngine, way: str) -> None:
    serializable = engine.execution_options(isolation_level="SERIALIZABLE")
    journal: Any = SqlalchemyJournal(serializable if way == "connection" else async_sessionmaker(serializable))
    await journal.create_table()

    async def call(tx: AsyncConnection | AsyncSession) -> bytes:
        assert (await tx.execute(text("SHOW transaction_isolation"))).scalar() == "read committed"
        return b"null"

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN
    await journal.close()
    async with serializable.connect() as connection:
        assert (await connection.execute(text("SHOW transaction_isolation"))).scalar() == "serializable"


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_url_may_name_its_driver(postgres_url: str, driver: str) -> None:
    journal = SqlalchemyJournal(postgres_url.replace("postgresql:", f"postgresql+{driver}:"))
    await journal.create_table()
    assert await run(journal) is Found.RAN
    await journal.close()


@pytest.mark.parametrize("url", ["mysql://root:hunter2@localhost/shop", "postgresql://shop:hunter2@localhost:port/shop"])
def test_a_url_that_cannot_be_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user:password") as raised:
        SqlalchemyJournal(url)
    assert "hunter2" not in str(raised.value)


async def test_what_a_session_has_not_flushed_is_part_of_the_step(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Tables.metadata.create_all)
    sessions = async_sessionmaker(engine, class_=ServicesOwnSession, autobegin=False)
    journal = SqlalchemyJournal(sessions)
    await journal.create_table()

    async def call(tx: ServicesOwnSession) -> bytes:
        assert isinstance(tx, ServicesOwnSession)
        tx.add(Account(id=1, balance=100))
        return b"null"

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN
    async with sessions.begin() as session:
        assert await session.scalar(select(Account.balance)) == 100
    with pytest.raises(IntegrityError):
        await journal.run_action(EffectKey("again", "c"), call, timeout_seconds=TIMEOUT_SECONDS)
    assert (await journal.settle(EffectKey("again", "c"), timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED


async def test_a_step_that_swallows_the_error_of_a_flush_is_told_of_savepoints(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Tables.metadata.create_all)
    journal = SqlalchemyJournal(async_sessionmaker(engine))
    await journal.create_table()

    async def call(tx: AsyncSession) -> bytes:
        tx.add(Account(id=7, balance=1))
        await tx.flush()
        tx.expunge_all()
        tx.add(Account(id=7, balance=1))
        with pytest.raises(IntegrityError):
            await tx.flush()
        return b"null"

    with pytest.raises(JournalError, match="begin_nested"):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    async with engine.connect() as connection:
        assert (await connection.execute(select(Account))).all() == []


@pytest.mark.parametrize("way", ["connection", "session"])
async def test_a_step_that_commits_by_a_method_is_told_so(
    engine: AsyncEngine, onlooker: asyncpg.Connection[asyncpg.Record], way: str
) -> None:
    async def call(tx: AsyncConnection | AsyncSession) -> bytes:
        await tx.execute(text("INSERT INTO effects VALUES ('charged')"))
        await tx.commit()
        return b"null"

    journal: Any = SqlalchemyJournal(engine if way == "connection" else async_sessionmaker(engine))
    await journal.create_table()
    with pytest.raises(JournalError, match="remove COMMIT"):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    with pytest.raises(JournalError, match="its result is unknown"):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    assert await onlooker.fetchval("SELECT count(*) FROM effects") == 1


async def test_an_error_of_the_journal_quotes_no_values(postgres_url: str, engine: AsyncEngine) -> None:
    journal = SqlalchemyJournal(engine)

    async def call(_tx: AsyncConnection) -> bytes:
        return b"hunter2"

    with pytest.raises(JournalError, match=r"create_table\(\)") as raised:
        await journal.fail_action(KEY, b"hunter2", timeout_seconds=TIMEOUT_SECONDS)
    assert "hunter2" not in f"{raised.value} {raised.value.__cause__}"
    await SqlalchemyJournal(engine).create_table()
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE goconductor_effects DROP COLUMN result"))
    with pytest.raises(JournalError, match="check the service's database") as raised:
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    assert "hunter2" not in f"{raised.value} {raised.value.__cause__}"
