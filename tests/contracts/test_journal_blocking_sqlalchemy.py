"""The journal on PostgreSQL by SQLAlchemy that blocks: sessions, and connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from goconductor.errors import ConfigurationError, JournalError
from goconductor.journals.blocking.sqlalchemy import BlockingSqlalchemyJournal
from goconductor.ports.journal import EffectKey, Entry, Found
from goconductor.testing.contracts.journal import JournalContract
from tests.contracts.callers import blocking_engine_of

pytestmark = pytest.mark.postgres

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0


class Tables(DeclarativeBase):
    pass


class Account(Tables):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class ServicesOwnSession(Session):
    """A service's own class."""


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE effects (effect text)")
    yield connection
    await connection.close()


@pytest.fixture
def engine(postgres_url: str, onlooker: object) -> Iterator[Engine]:
    with blocking_engine_of(postgres_url) as engine:
        Tables.metadata.create_all(engine)
        yield engine


@pytest.fixture
async def sessions(engine: Engine) -> AsyncIterator[BlockingSqlalchemyJournal[ServicesOwnSession]]:
    journal = BlockingSqlalchemyJournal(sessionmaker(engine, class_=ServicesOwnSession))
    await journal.create_table()
    yield journal
    await journal.close()
    await journal.close()


async def run(journal: BlockingSqlalchemyJournal[Any], function: Callable[[Any], object]) -> Entry:
    """Run a step's function as the engine does."""

    async def call(tx: Any) -> bytes:
        await tx.run(function)
        return b'"ok"'

    return await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)


class TestBlockingSqlalchemyJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def remember(self, onlooker: asyncpg.Connection[asyncpg.Record]) -> None:
        self.onlooker = onlooker

    @pytest.fixture
    async def journal(self, sessions: BlockingSqlalchemyJournal[Any]) -> BlockingSqlalchemyJournal[Any]:
        return sessions

    async def write(self, tx: Any, effect: str) -> None:
        await tx.run(lambda session: session.execute(text("INSERT INTO effects VALUES (:effect)"), {"effect": effect}))

    async def effects(self) -> list[str]:
        return [row["effect"] for row in await self.onlooker.fetch("SELECT effect FROM effects")]

    async def until_one_waits(self) -> None:
        while not await self.onlooker.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass


async def test_over_an_engine_a_step_gets_a_connection_which_goes_back_as_it_came(engine: Engine) -> None:
    serializable = engine.execution_options(isolation_level="SERIALIZABLE")
    journal = BlockingSqlalchemyJournal(serializable)
    await journal.create_table()

    def step(tx: Connection) -> None:
        assert tx.scalar(text("SHOW transaction_isolation")) == "read committed"
        tx.execute(text("INSERT INTO effects VALUES ('charged')"))

    assert (await run(journal, step)).found is Found.RAN
    assert (await run(journal, step)).found is Found.SEEN
    with serializable.connect() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "serializable"
        assert connection.scalar(text("SELECT count(*) FROM effects")) == 1


async def test_what_a_session_has_not_flushed_is_part_of_the_step(
    sessions: BlockingSqlalchemyJournal[ServicesOwnSession], engine: Engine
) -> None:
    def step(tx: ServicesOwnSession) -> None:
        assert isinstance(tx, ServicesOwnSession)
        tx.add(Account(id=1, balance=100))

    assert (await run(sessions, step)).found is Found.RAN

    async def again(tx: Any) -> bytes:
        await tx.run(step)
        return b"null"

    other = EffectKey("again", "c")
    with pytest.raises(IntegrityError):
        await sessions.run_action(other, again, timeout_seconds=TIMEOUT_SECONDS)
    assert (await sessions.settle(other, timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED


async def test_a_step_that_swallows_the_error_of_a_flush_is_told_of_savepoints(
    sessions: BlockingSqlalchemyJournal[ServicesOwnSession], engine: Engine
) -> None:
    def step(tx: Session) -> None:
        tx.add(Account(id=7, balance=1))
        tx.flush()
        tx.expunge_all()
        tx.add(Account(id=7, balance=1))
        with pytest.raises(IntegrityError):
            tx.flush()

    with pytest.raises(JournalError, match="begin_nested"):
        await run(sessions, step)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM accounts")).all() == []


async def test_a_step_that_commits_by_itself_is_told_so_and_never_run_over(
    sessions: BlockingSqlalchemyJournal[ServicesOwnSession],
) -> None:
    with pytest.raises(JournalError, match="remove COMMIT"):
        await run(sessions, lambda tx: tx.commit())
    with pytest.raises(JournalError, match="its result is unknown"):
        await run(sessions, lambda tx: None)


async def test_a_function_that_was_given_up_commits_nothing_and_its_connection_is_missed_until_it_returns(
    postgres_url: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"), pool_size=1, max_overflow=1)
    journal = BlockingSqlalchemyJournal(sessionmaker(engine))
    await journal.create_table()

    def hangs(tx: Session) -> None:
        tx.execute(text("INSERT INTO effects VALUES ('by the one that was given up')"))
        inside.set()
        go_on.wait(300)
        tx.execute(text("INSERT INTO effects VALUES ('later')"))

    given_up = asyncio.create_task(run(journal, hangs))
    await asyncio.to_thread(inside.wait, 300)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert journal.pool.size == 1
    assert (await run(journal, lambda tx: tx.execute(text("INSERT INTO effects VALUES ('by the next')")))).found is Found.RAN
    go_on.set()
    while journal.pool.size < 2:  # noqa: ASYNC110 - the thread comes back by itself
        await asyncio.sleep(0)
    assert [row[0] for row in await onlooker.fetch("SELECT effect FROM effects")] == ["by the next"]
    await journal.close()
    engine.dispose()


def test_sessions_without_an_engine_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"sessionmaker\(engine\)"):
        BlockingSqlalchemyJournal(sessionmaker())


async def test_another_driver_is_refused_with_the_remedy() -> None:
    class Psycopg2(Exception):  # noqa: N818 - stands for another driver's connection
        pass

    from goconductor.journals.blocking.threads import psycopg_connection

    with pytest.raises(ConfigurationError, match="needs psycopg 3: install psycopg"):
        psycopg_connection(Psycopg2(), "SQLAlchemy's engine")
