"""The journals on a primary whose synchronous standby is away: what it has not confirmed is not believed, duty 8."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from goconductor.errors import JournalError
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.journals.table import TableJournal
from goconductor.ports.journal import EffectKey, Entry, Found
from goconductor.testing.postgres import PostgresServer
from tests.conftest import SETTINGS
from tests.contracts.journal_leaves import LEAVES, Leaf

pytestmark = pytest.mark.postgres

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0
SEEN = Entry(found=Found.SEEN, result=b'"receipt"')
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep' AND pid <> $1"
LOCKED = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> $1"


class Primary:
    """A server, seen by somebody whose own commits wait for nobody.

    Args:
        onlooker: his connection.
        another: whose commits wait, by which it is seen that they do.
    """

    def __init__(self, onlooker: Connection, another: Connection) -> None:
        self.onlooker = onlooker
        self._another = another
        self._trying: asyncio.Task[None] | None = None

    async def lose_standby(self) -> None:
        """From now on commits wait for a standby that is not there."""
        await self._set("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
        self._trying = asyncio.create_task(self._try())
        while not await self.onlooker.fetchval(WAITING, 0):
            pass

    async def find_standby(self) -> None:
        """Nobody waits any more."""
        await self._set("ALTER SYSTEM RESET synchronous_standby_names")
        if self._trying is not None:
            self._trying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._trying

    async def until(self, waiting: str, run: asyncio.Task[Entry]) -> int:
        """The backend that waits so; the run that it belongs to has not ended."""
        while not (pid := await self.onlooker.fetchval(waiting, self._another.get_server_pid())):
            assert not run.done(), run
        return int(pid)

    async def effects(self) -> int:
        return int(await self.onlooker.fetchval("SELECT count(*) FROM effects"))

    async def _set(self, statement: str) -> None:
        await self.onlooker.execute(statement)
        await self.onlooker.execute("SELECT pg_reload_conf()")

    async def _try(self) -> None:
        while True:
            await self._another.execute("INSERT INTO tries VALUES (1)")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    server = PostgresServer("embedded" if request.config.getoption("--postgres") == "embedded" else "system", settings=SETTINGS)
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def url(server: PostgresServer, request: pytest.FixtureRequest) -> str:
    return server.create_database(f"test_{abs(hash(request.node.name))}")


@pytest.fixture
async def primary(url: str) -> AsyncIterator[Primary]:
    onlooker = await asyncpg.connect(url, server_settings={"synchronous_commit": "local"})
    another = await asyncpg.connect(url)
    await onlooker.execute("CREATE TABLE effects (effect text); CREATE TABLE tries (number int)")
    for statement in AsyncpgJournal(url).ddl():
        await onlooker.execute(statement)
    primary = Primary(onlooker, another)
    yield primary
    await primary.find_standby()
    await another.close()
    await onlooker.close()


@pytest.fixture(params=LEAVES)
def leaf(request: pytest.FixtureRequest) -> Leaf:
    return LEAVES[request.param]


def act(leaf: Leaf, journal: TableJournal[Any], timeout_seconds: float = TIMEOUT_SECONDS) -> asyncio.Task[Entry]:
    async def charge(tx: Any) -> bytes:
        await leaf.execute(tx, "INSERT INTO effects VALUES ('charged')")
        return b'"receipt"'

    return asyncio.create_task(journal.run_action(KEY, charge, timeout_seconds=timeout_seconds))


async def given_up(run: asyncio.Task[Entry]) -> None:
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_8_a_commit_that_waits_for_its_standby_is_left_waiting_and_its_key_is_not_believed(
    leaf: Leaf, url: str, primary: Primary
) -> None:
    async with leaf.journal(url) as journal:
        await primary.lose_standby()
        first = act(leaf, journal)
        waits = await primary.until(WAITING, first)
        await given_up(first)
        second = act(leaf, journal)
        await primary.until(LOCKED, second)
        await given_up(second)
        assert await primary.effects() == 0, "giving up made the server commit alone"

        await primary.onlooker.execute("SELECT pg_cancel_backend($1)", waits)  # now it is, by an administrator's hand
        while not await primary.effects():
            pass
        third = act(leaf, journal)
        await primary.until(WAITING, third)
        await given_up(third)

        await primary.find_standby()
        assert await act(leaf, journal) == SEEN
        assert await primary.effects() == 1


async def test_8_a_commit_that_the_server_made_alone_is_in_doubt_until_a_later_one_is_confirmed(
    leaf: Leaf, url: str, primary: Primary
) -> None:
    async with leaf.journal(url) as journal:
        await primary.lose_standby()
        run = act(leaf, journal)
        await primary.onlooker.execute("SELECT pg_cancel_backend($1)", await primary.until(WAITING, run))
        with pytest.raises(JournalError, match=r"gave up waiting .* the same call again finds out"):
            await run
        await primary.find_standby()
        assert await act(leaf, journal) == SEEN


async def test_8_when_the_time_is_over_neither_we_nor_the_server_end_the_wait(url: str, primary: Primary) -> None:
    leaf = LEAVES["asyncpg"]
    async with leaf.journal(url) as journal:
        await primary.lose_standby()
        said = ""
        while "a commit took longer than 2 s" not in said:  # on a busy machine it may not even come to the commit
            with pytest.raises(JournalError) as told:
                await act(leaf, journal, 2.0)
            said = str(told.value)
        assert "synchronous standby" in said
        # the server's own clock has passed the step's time as well, or this would not have ended
        async with primary.onlooker.transaction():
            await primary.onlooker.execute("SET LOCAL statement_timeout = 2000")
            with pytest.raises(asyncpg.QueryCanceledError):
                async with primary.onlooker.transaction():
                    await primary.onlooker.execute("SELECT pg_sleep(3600)")
        assert await primary.effects() == 0


async def test_an_effect_is_on_disk_and_standby_whatever_the_database_has_set(leaf: Leaf, url: str, primary: Primary) -> None:
    async def call(tx: Any) -> bytes:
        return str(await leaf.execute(tx, "SHOW synchronous_commit")).encode()

    name = await primary.onlooker.fetchval("SELECT current_database()")
    found = {}
    for setting in ("off", "local", "on", "remote_apply"):
        await primary.onlooker.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}')
        async with leaf.journal(url) as journal:
            key = EffectKey(setting, f"{setting} undone")
            found[setting] = (await journal.run_action(key, call, timeout_seconds=TIMEOUT_SECONDS)).result
    assert found == {"off": b"on", "local": b"on", "on": b"on", "remote_apply": b"remote_apply"}
