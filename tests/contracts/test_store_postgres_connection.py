"""Opening, breaking and coming back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import asyncpg
import pytest

from goconductor.errors import ConfigurationError, PoolerError, SchemaError, StoreError, StoreUnavailableError
from goconductor.ports.store import Verdict
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.stores.postgres.database.dial import Connection
from goconductor.testing.contracts.store.material import Saga, advance, begin, event, eventually, head_of
from goconductor.testing.postgres import PostgresServer
from tests.servers.fixtures.pooler import Pooler

pytestmark = pytest.mark.postgres


class Proxy:
    """A wire to the server, which can be cut: at once, or when the server begins its next answer."""

    def __init__(self, url: str, port: int = 0) -> None:
        self._to = urlsplit(url)
        self._port = port
        self._cut_answer = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._wires: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The DSN that leads through this wire."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        port = server.sockets[0].getsockname()[1]
        try:
            yield self._to._replace(netloc=f"{self._to.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
        finally:
            server.close()
            while self._wires:
                self.cut()
                await asyncio.wait(self._wires)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def cut_the_next_answer(self) -> None:
        self._cut_answer = True

    def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = asyncio.create_task(self._carry(reader, writer))
        self._wires.add(wire)
        wire.add_done_callback(self._wires.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers.add(far_writer)
        with suppress(OSError):
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer, answer=True))
        for one in (writer, far_writer):
            self._writers.discard(one)
            one.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool = False) -> None:
        while data := await reader.read(65536):
            if answer and self._cut_answer:
                self._cut_answer = False
                self.cut()
                return
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def migrated(postgres_url: str) -> str:
    await migrate(postgres_url)
    return postgres_url


@pytest.fixture
async def proxy(migrated: str) -> Proxy:
    return Proxy(migrated)


@pytest.fixture
async def store(proxy: Proxy) -> AsyncIterator[PostgresStore]:
    async with proxy.running() as url:
        store = PostgresStore(url)
        await store.open()
        yield store
        await store.close()


@pytest.fixture
async def hand(migrated: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(migrated)
    yield connection
    await connection.close()


async def test_7_a_commit_whose_answer_is_lost_is_found_by_its_event_id(store: PostgresStore, proxy: Proxy) -> None:
    """Hole 13: the outcome is open until the tail was read."""
    saga, warm = await begin(store), await begin(store)
    await advance(store, warm)
    mine = event("ActionSucceeded")
    append = saga.append(mine)
    proxy.cut_the_next_answer()
    with pytest.raises(StoreUnavailableError):
        await store.log.append([append])
    [tail] = await store.log.read([saga.known])
    assert [entry.event_id for entry in tail.entries] == [mine.event_id]
    [again] = await store.log.append([append])
    assert again.verdict == Verdict.CONFLICT


async def test_7_an_idle_session_that_breaks_is_there_again_for_the_next_call(store: PostgresStore, hand: Connection) -> None:
    saga = await begin(store)
    async with store._for_append.use() as connection:
        pid = connection.get_server_pid()
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    assert await hand.fetchval("SELECT pg_terminate_backend($1)", pid)
    await gone.wait()
    await advance(store, saga)
    assert (await head_of(store, saga)).seq == 2


async def test_7_every_session_comes_back_when_the_wire_was_cut(store: PostgresStore, proxy: Proxy) -> None:
    saga = await begin(store)
    proxy.cut()

    async def works() -> bool:
        try:
            await advance(store, saga)
            await begin(store)
            await store.leases.renew([saga.lease()], 1.0)
            await store.terms.database_time()
        except StoreUnavailableError:
            return False
        return True

    await eventually(works)


async def test_7_while_the_database_is_away_calls_are_refused_at_once(
    migrated: str, caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    proxy = Proxy(migrated, unused_tcp_port)
    async with proxy.running() as url:
        store = PostgresStore(url)
        await store.open()
        saga = await begin(store)

    async def is_refused() -> bool:
        with suppress(StoreUnavailableError):
            await store.log.append([saga.append(seq=9)])
            return False
        return True

    await eventually(is_refused)
    for call in (
        lambda: store.log.append([saga.append()]),
        lambda: store.starts.start([Saga().start()]),
        store.terms.database_time,
    ):
        with pytest.raises(StoreUnavailableError):
            await call()
    assert "lost the connection" in caplog.text
    async with proxy.running():

        async def works() -> bool:
            with suppress(StoreUnavailableError):
                return [outcome.verdict for outcome in await store.log.append([saga.append()])] == [Verdict.WON]
            return False

        await eventually(works)
        await store.close()


async def test_a_closed_store_says_so(store: PostgresStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailableError, match="open"):
        await store.terms.database_time()
    await store.open()
    await store.terms.database_time()


async def test_1_open_waits_for_the_database_and_says_so(
    migrated: str, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "goconductor.postgres")
    address = urlsplit(migrated)
    netloc = f"{address.username}:{address.password or 'secret'}@127.0.0.1:{unused_tcp_port}"
    store = PostgresStore(address._replace(netloc=netloc).geturl())
    opening = asyncio.create_task(store.open())

    async def says_so() -> bool:
        return "waiting for PostgreSQL" in caplog.text

    await eventually(says_so)
    assert f"127.0.0.1:{unused_tcp_port}{address.path}" in caplog.text
    assert (address.password or "secret") not in caplog.text
    assert not opening.done()
    async with Proxy(migrated, unused_tcp_port).running():
        await opening
        assert "is there, after" in caplog.text
        await store.close()


async def test_1_open_can_be_given_up(unused_tcp_port: int) -> None:
    store = PostgresStore(f"postgresql://postgres@127.0.0.1:{unused_tcp_port}/none")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await store.open()


@pytest.mark.parametrize("url", ["mysql://here/there", "nonsense", "postgresql://", "postgresql://[::1/db"])
def test_1_a_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        PostgresStore(url)


@pytest.mark.parametrize("schema", ["", "Upper", 'a"b', "a b", "x" * 64])
def test_1_a_name_that_no_schema_has_is_refused(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        PostgresStore("postgresql://localhost/db", schema=schema)


async def test_1_an_unknown_database_or_user_is_refused_at_once(postgres_url: str) -> None:
    unknown = urlsplit(postgres_url)._replace(path="/no_such_database").geturl()
    with pytest.raises(ConfigurationError, match="no_such_database"):
        await PostgresStore(unknown).open()
    netloc = f"nobody_we_know:top-secret@{urlsplit(postgres_url).netloc.rpartition('@')[2]}"
    stranger = urlsplit(postgres_url)._replace(netloc=netloc).geturl()
    with pytest.raises(ConfigurationError) as refused:
        await PostgresStore(stranger).open()
    assert "top-secret" not in str(refused.value)


async def test_1_a_wrong_password_is_refused_at_once_and_not_repeated(postgres_to_break: PostgresServer) -> None:
    right = urlsplit(postgres_to_break.url())
    wrong = right._replace(netloc=f"postgres:top-secret@{right.netloc.rpartition('@')[2]}").geturl()
    with pytest.raises(ConfigurationError, match="password") as refused:
        await PostgresStore(wrong).open()
    assert "top-secret" not in str(refused.value)


async def test_every_session_has_its_timeouts(store: PostgresStore) -> None:
    """Hole 29: a client that stops must not hold others up for ever."""
    expected = {
        "idle_in_transaction_session_timeout": "10s",
        "default_transaction_isolation": "read committed",
        "tcp_keepalives_idle": "5",
        "enable_seqscan": "off",
        "plan_cache_mode": "force_generic_plan",
    }
    hot = {"statement_timeout": "5s", "lock_timeout": "1s"}
    starting = {"statement_timeout": "5s", "lock_timeout": "250ms"}
    others = {"statement_timeout": "30s", "lock_timeout": "10s"}
    sessions = (store._for_acquire, store._for_append, store._for_start, store._quick, store._others)
    for session in sessions:
        expected |= others if session is store._others else starting if session is store._for_start else hot
        async with session.use() as connection:
            shown = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in expected}
            assert shown == expected
            assert (await connection.fetchval("SHOW application_name")).startswith("goconductor ")
    async with store._for_acquire.use() as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "off"
    for durable in (store._for_append, store._for_start, store._quick, store._others):
        async with durable.use() as connection:
            assert await connection.fetchval("SHOW synchronous_commit") == "on"


async def test_a_table_whose_lock_is_not_given_in_time_is_no_verdict(migrated: str, hand: Connection) -> None:
    store = PostgresStore(migrated, lock_timeout_seconds=0.1)
    await store.open()
    saga = await begin(store)
    async with hand.transaction():
        await hand.execute("LOCK TABLE goconductor.sagas IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailableError, match="lock timeout"):
            await store.log.append([saga.append()])
    await advance(store, saga)
    await store.close()


async def test_a_schema_that_vanishes_is_told(store: PostgresStore, hand: Connection) -> None:
    await hand.execute("DROP TABLE goconductor.dead_letters")
    with pytest.raises(SchemaError, match="goconductor migrate"):
        await store.dead_letters.newest()


async def test_what_the_database_refuses_elsewhere_is_a_store_error(store: PostgresStore) -> None:
    with pytest.raises(StoreError):
        await store.definitions.get(DEFAULT_NAMESPACE, "a\0b")


async def test_1_a_transaction_pooler_is_refused(migrated: str, pooler: Pooler) -> None:
    async with pooler("transaction") as url:
        with pytest.raises(PoolerError, match="connect directly"):
            await PostgresStore(url).open()


async def test_1_a_session_pooler_will_do(migrated: str, pooler: Pooler) -> None:
    async with pooler("session") as url:
        store = PostgresStore(url)
        await store.open()
        await advance(store, await begin(store))
        async with store._for_append.use() as connection:
            assert await connection.fetchval("SHOW statement_timeout") == "5s"
        await store.close()
