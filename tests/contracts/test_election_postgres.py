"""The election by an advisory lock, against PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from goconductor.elections.postgres import PostgresElection
from goconductor.errors import ElectionError
from goconductor.ports.store import Store, Term
from goconductor.stores.postgres import PostgresStore
from goconductor.testing.contracts.election import PATIENCE_SECONDS, Elect, ElectionContract
from tests.contracts.slow_terms import SlowTerms

pytestmark = pytest.mark.postgres

TERM_SECONDS = 0.4


@pytest.fixture
async def elect(store: PostgresStore, postgres_url: str) -> AsyncIterator[Elect]:
    async with AsyncExitStack() as stack:

        async def open_one() -> PostgresElection:
            election = PostgresElection(store.terms, postgres_url)
            stack.push_async_callback(election.close)
            await election.open()
            return election

        yield open_one


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def closing(election: PostgresElection) -> AsyncIterator[PostgresElection]:
    try:
        yield election
    finally:
        await election.close()


class TestPostgresElection(ElectionContract):
    @pytest.fixture
    async def store(self, store: PostgresStore) -> Store:
        return store

    @pytest.fixture
    async def elect(self, elect: Elect) -> Elect:
        return elect


async def until_over(store: PostgresStore, term: Term) -> None:
    while await store.terms.database_time() <= term.ends_at:
        pass


async def test_the_session_of_a_silent_leader_is_ended(store: PostgresStore, elect: Elect) -> None:
    anna, bert = await elect(), await elect()
    old = await anna.campaign("anna", TERM_SECONDS)
    assert old is not None
    await until_over(store, old)
    assert await bert.campaign("bert", TERM_SECONDS) is not None
    assert isinstance(anna, PostgresElection)
    assert anna._connection is not None
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await anna._connection.execute("SELECT 1")


async def test_a_leader_whose_backend_was_terminated_is_replaced_at_once_and_knows_it(
    store: PostgresStore, elect: Elect, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    anna, bert = await elect(), await elect()
    old = await anna.campaign("anna", 3600)
    assert old is not None
    ended = await onlooker.fetchval(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'goconductor election: anna'"
    )
    assert ended
    new = await bert.campaign("bert", 3600)
    assert new is not None
    for _ in range(2):
        assert await anna.renew(old, 3600) is None
    assert await anna.campaign("anna", 3600) is None, "it connects again, and is denied"
    assert await store.terms.current() == new


async def test_a_leader_that_lost_its_lock_has_lost_its_term_though_nobody_followed(
    store: PostgresStore, elect: Elect, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    anna = await elect()
    old = await anna.campaign("anna", 3600)
    assert old is not None
    await onlooker.execute(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'goconductor election: anna'"
    )
    assert await anna.renew(old, 3600) is None
    assert await anna.renew(old, 3600) is None
    new = await anna.campaign("anna", 3600)
    assert new is not None
    assert new.epoch > old.epoch


async def test_a_term_is_lost_when_the_end_of_the_session_meets_a_statement(
    elect: Elect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a hair's breadth, the driver is told of the end while it begins a statement, and complains of itself."""
    anna = await elect()
    old = await anna.campaign("anna", 3600)
    assert old is not None

    async def meet(*_: object) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 11; another operation (2) is in progress")

    monkeypatch.setattr(asyncpg.Connection, "fetchval", meet)
    assert await anna.renew(old, 3600) is None
    with pytest.raises(ElectionError):
        await anna.campaign("anna", 3600)
    monkeypatch.undo()
    new = await anna.campaign("anna", 3600)
    assert new is not None
    assert new.epoch > old.epoch


async def test_who_has_just_taken_the_lock_is_not_thrown_out_before_it_has_raised_the_epoch(
    store: PostgresStore, elect: Elect, postgres_url: str
) -> None:
    terms = SlowTerms(store.terms)
    anna, bert = await elect(), await elect()
    old = await anna.campaign("anna", TERM_SECONDS)
    assert old is not None
    await anna.resign(old)
    async with closing(PostgresElection(terms, postgres_url)) as slow:
        winning = asyncio.create_task(slow.campaign("carl", 3600))
        await terms.asked.wait()
        assert await bert.campaign("bert", 3600) is None
        terms.go_on.set()
        won = await winning
        assert won is not None
        assert await store.terms.current() == won


async def test_who_stops_between_lock_and_epoch_is_replaced_after_a_terms_length(
    store: PostgresStore, elect: Elect, postgres_url: str
) -> None:
    terms = SlowTerms(store.terms)
    bert = await elect()
    async with closing(PostgresElection(terms, postgres_url)) as slow:
        begun = await store.terms.database_time()
        stopped = asyncio.create_task(slow.campaign("carl", TERM_SECONDS))
        await terms.asked.wait()
        assert await bert.campaign("bert", 3600) is None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await bert.campaign("bert", TERM_SECONDS)) is None:
                pass
        assert await store.terms.database_time() >= begun + TERM_SECONDS
        terms.go_on.set()
        assert await stopped is None, "it raised an epoch, and gave it back on finding that its lock was gone"


async def test_a_campaign_given_up_before_its_epoch_leaves_the_lock_to_others(
    store: PostgresStore, elect: Elect, postgres_url: str
) -> None:
    terms = SlowTerms(store.terms)
    async with closing(PostgresElection(terms, postgres_url)) as broken:
        campaign = asyncio.create_task(broken.campaign("anna", 3600))
        await terms.asked.wait()
        campaign.cancel()
        with pytest.raises(asyncio.CancelledError):
            await campaign
        assert await (await elect()).campaign("bert", 3600) is not None


async def test_two_groups_have_two_leaders(store: PostgresStore, postgres_url: str) -> None:
    async with (
        closing(PostgresElection(store.terms, postgres_url, group="shop")) as shop,
        closing(PostgresElection(store.terms, postgres_url, group="bank")) as bank,
    ):
        assert await shop.campaign("anna", 3600) is not None
        assert await bank.campaign("anna", 3600) is not None


async def test_a_silent_leader_of_another_role_is_an_error_with_its_remedy(
    store: PostgresStore, elect: Elect, postgres_url: str, onlooker: asyncpg.Connection[asyncpg.Record]
) -> None:
    role = f"follower_{await onlooker.fetchval('SELECT current_database()')}"
    await onlooker.execute(f"CREATE ROLE {role}")
    follower = PostgresElection(store.terms, f"{postgres_url}{'&' if '?' in postgres_url else '?'}role={role}")
    try:
        anna = await elect()
        old = await anna.campaign("anna", TERM_SECONDS)
        assert old is not None
        await until_over(store, old)
        with pytest.raises(ElectionError, match="GRANT pg_read_all_stats and pg_signal_backend"):
            await follower.campaign("bert", TERM_SECONDS)
        await onlooker.execute(f"GRANT pg_read_all_stats TO {role}")
        with pytest.raises(ElectionError, match="GRANT pg_signal_backend"):
            await follower.campaign("bert", TERM_SECONDS)
    finally:
        await follower.close()
        await onlooker.execute(f"DROP ROLE {role}")


async def test_a_server_that_cannot_be_reached_is_an_election_error(store: PostgresStore, unused_tcp_port: int) -> None:
    election = PostgresElection(store.terms, f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/nowhere")
    for _ in range(2):
        with pytest.raises(ElectionError, match=r"start PostgreSQL, or correct the election.s url"):
            await election.campaign("anna", 3600)
    with pytest.raises(ElectionError):
        await election.open()
    await election.close()
