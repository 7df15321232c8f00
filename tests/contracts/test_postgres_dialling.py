"""Dialling a real server: the right one, in its own time, with our settings from the first statement on."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from goconductor.errors import ConfigurationError, PoolerError, StoreUnavailableError
from goconductor.ports.store import Verdict
from goconductor.postgres.dialling import Address, Connection
from goconductor.postgres.servers.timelines import TIMELINES, OldTimelineError, Timelines
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import advance, begin, eventually
from goconductor.testing.postgres import PostgresAddress, PostgresServer
from tests.servers.fixtures.primaries import Primaries

pytestmark = pytest.mark.postgres


def with_parameters(url: str, text: str, *, first: str = "") -> str:
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}@{f'{first},' if first else ''}{place}", query=text).geturl()


@asynccontextmanager
async def dialled(address: Address, **options: object) -> AsyncIterator[Connection]:
    connection = await address.dial(timeout_seconds=300, command_timeout_seconds=300, **options)  # type: ignore[arg-type]
    try:
        yield connection
    finally:
        connection.terminate()


async def role(url: str, name: str, *settings: str) -> str:
    """The DSN of a role that has these settings."""
    admin = await asyncpg.connect(url)
    await admin.execute(f"DROP ROLE IF EXISTS {name}")
    await admin.execute(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'canary'")
    for setting in settings:
        await admin.execute(f"ALTER ROLE {name} SET {setting}")
    await admin.close()
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:canary@{parts.netloc.rpartition('@')[2]}").geturl()


async def shown(connection: Connection, name: str) -> str:
    return str(await connection.fetchval("SELECT current_setting($1)", name))


async def test_a_host_that_never_answers_costs_its_own_time_only(postgres_url: str) -> None:
    """The driver counts one time for all hosts together."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it never accepts
        url = with_parameters(postgres_url, "connect_timeout=5", first=f"127.0.0.1:{silent.getsockname()[1]}")
        address = Address(url, application_name="hosts")
        async with dialled(address) as connection:
            assert await connection.fetchval("SELECT 1") == 1
        silent.setblocking(False)
        silent.accept()[0].close()
        async with dialled(address):  # the one that was good is asked first
            with pytest.raises(BlockingIOError):
                silent.accept()


async def test_who_has_less_time_than_a_host_comes_to_the_third_one_at_the_third_try(postgres_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:  # they never accept
        silent = ",".join(f"127.0.0.1:{each.getsockname()[1]}" for each in (one, two))
        address = Address(with_parameters(postgres_url, "connect_timeout=300", first=silent), application_name="hosts")
        for each in (one, two):
            dialling = asyncio.create_task(address.dial(timeout_seconds=300, command_timeout_seconds=300))
            peer, _ = await asyncio.to_thread(each.accept)
            dialling.cancel()
            await asyncio.wait([dialling])
            peer.close()
        async with dialled(address) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_silent_host_is_found_out_once_by_a_process_that_dials_for_several_purposes(postgres_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = with_parameters(postgres_url, "connect_timeout=5", first=f"127.0.0.1:{silent.getsockname()[1]}")
        async with dialled(Address(url, application_name="one")):
            pass
        silent.setblocking(False)
        silent.accept()[0].close()
        async with dialled(Address(url, application_name="another")):
            with pytest.raises(BlockingIOError):
                silent.accept()


async def test_where_no_host_will_do_each_is_named(postgres_url: str, unused_tcp_port: int) -> None:
    place = urlsplit(postgres_url).netloc.rpartition("@")[2]
    url = with_parameters(postgres_url.rpartition("/")[0] + "/no_such", "", first=f"127.0.0.1:{unused_tcp_port}")
    with pytest.raises(StoreUnavailableError, match=f"127.0.0.1:{unused_tcp_port}") as refused:
        await Address(url, application_name="hosts").dial(timeout_seconds=300, command_timeout_seconds=300)
    assert place in str(refused.value)
    assert "no_such" in str(refused.value)


async def test_a_role_s_settings_do_not_reach_our_sessions(postgres_url: str) -> None:
    """A statement_timeout of some milliseconds would end the statement that lifts it."""
    strict = await role(
        postgres_url, "strict_one", "statement_timeout = '1ms'", "idle_session_timeout = '1s'", "synchronous_commit = off"
    )
    async with dialled(Address(strict, application_name="strict"), settings={"statement_timeout": "7000"}) as connection:
        assert await shown(connection, "statement_timeout") == "7s"
        assert await shown(connection, "idle_session_timeout") == "0"
        assert await shown(connection, "application_name") == "strict"


@pytest.mark.parametrize(
    ("found", "kept"),
    [("off", "on"), ("local", "on"), ("on", "on"), ("remote_write", "remote_write"), ("remote_apply", "remote_apply")],
)
async def test_a_durable_session_waits_for_the_disk(postgres_url: str, found: str, kept: str) -> None:
    weak = await role(postgres_url, f"commits_{found}", f"synchronous_commit = {found}")
    async with dialled(Address(weak, application_name="durable")) as connection:
        assert await shown(connection, "synchronous_commit") == kept
    async with dialled(Address(weak, application_name="fast"), durable=False) as connection:
        assert await shown(connection, "synchronous_commit") == found


async def test_the_log_s_sessions_are_durable_whatever_the_database_says(
    postgres_url: str, postgres_server: PostgresAddress
) -> None:
    await migrate(postgres_url)
    postgres_server.query(f'ALTER DATABASE "{urlsplit(postgres_url).path[1:]}" SET synchronous_commit = off')
    store = PostgresStore(postgres_url)
    await store.open()
    for session in (store._for_append, store._for_start, store._quick, store._others):
        async with session.use() as connection:
            assert await shown(connection, "synchronous_commit") == "on"
    await store.close()


async def test_libpq_s_parameters_work(postgres_url: str) -> None:
    url = with_parameters(
        postgres_url, "connect_timeout=20&keepalives_idle=20&keepalives_count=4&target_session_attrs=read-write"
    )
    async with dialled(Address(url, application_name="libpq")) as connection:
        sock = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4


async def test_a_parameter_that_nobody_knows_is_named(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match="conect_timeout"):
        await Address(with_parameters(postgres_url, "conect_timeout=3"), application_name="typo").dial(
            timeout_seconds=300, command_timeout_seconds=300
        )


async def test_a_store_outlives_a_time_in_which_the_database_takes_no_writes(
    postgres_url: str, postgres_server: PostgresAddress
) -> None:
    """SQLSTATE 25006: what is not the entry's fault passes, and a session that was dialled meanwhile is not kept."""
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.open()
    saga = await begin(store)
    database = urlsplit(postgres_url).path[1:]
    postgres_server.query(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    postgres_server.query(f"SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE datname = '{database}'")

    async def says_why() -> bool:
        try:
            await store.log.append([saga.append(seq=9)])
        except StoreUnavailableError as error:
            return "takes no writes" in str(error)
        return False

    await eventually(says_why)
    postgres_server.query(f'ALTER DATABASE "{database}" RESET default_transaction_read_only')

    async def works() -> bool:
        try:
            return [each.verdict for each in await store.log.append([saga.append()])] == [Verdict.WON]
        except StoreUnavailableError:
            return False

    await eventually(works)
    await store.close()


async def test_a_session_that_became_read_only_is_left(postgres_url: str) -> None:
    await migrate(postgres_url)
    store = PostgresStore(postgres_url)
    await store.open()
    saga = await begin(store)
    for session in store._pools[0].sessions:
        async with session.use() as connection:
            await connection.execute("SET default_transaction_read_only = on")

    async def works() -> bool:
        try:
            await advance(store, saga)
        except StoreUnavailableError:
            return False
        return True

    await eventually(works)
    await store.close()


@pytest.mark.parametrize(
    ("state", "text", "expected"),
    [
        ("08P01", "unsupported startup parameter: jit", PoolerError),
        ("26000", 'prepared statement "x" does not exist', PoolerError),
        ("08P01", "server login has been failing, try again later (server_login_retry)", StoreUnavailableError),
        ("25006", "cannot execute INSERT in a read-only transaction", StoreUnavailableError),
        ("0A000", "während der Wiederherstellung kann nicht …", StoreUnavailableError),
        ("57P03", "the database system is starting up", StoreUnavailableError),
        ("28P01", "password authentication failed", ConfigurationError),
    ],
)
def test_only_what_somebody_must_mend_is_final(state: str, text: str, expected: type[Exception]) -> None:
    """PgBouncer has one SQLSTATE for settings that it refuses, and for a server that it cannot reach."""
    assert type(Address("postgresql://h/d", application_name="x").meaning_of(state, text)) is expected


async def test_too_many_connections_have_a_remedy(postgres_url: str) -> None:
    crowded = await role(postgres_url, "crowded_one")
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("ALTER ROLE crowded_one NOSUPERUSER CONNECTION LIMIT 0")
    await admin.close()
    with pytest.raises(
        StoreUnavailableError, match=r"raise this role's limit \(ALTER ROLE … CONNECTION LIMIT\), or run fewer processes"
    ) as refused:
        await Address(crowded, application_name="crowd").dial(timeout_seconds=300, command_timeout_seconds=300)
    assert "canary" not in "".join(traceback.format_exception(refused.value))


async def test_a_limit_of_whole_transactions_is_lifted() -> None:
    """PostgreSQL 17: `transaction_timeout` of a role, which older servers would refuse at start-up."""
    with PostgresServer("embedded") as server:
        strict = await role(server.url(), "short_one", "transaction_timeout = '2s'")
        async with dialled(Address(strict, application_name="whole")) as connection:
            assert await shown(connection, "transaction_timeout") == "0"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_another_encoding_is_refused_before_anything_is_made(
    postgres_server: PostgresAddress, unused_tcp_port: int, encoding: str
) -> None:
    name = f"encoded_{encoding.lower()}_{unused_tcp_port}"
    postgres_server.query(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    url = postgres_server.url(name)
    with pytest.raises(ConfigurationError, match=f"{encoding}.*UTF8"):
        await migrate(url)
    connection = await asyncpg.connect(url)
    assert not await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'goconductor'")
    await connection.close()
    postgres_server.drop_database(name)


class Session:
    """Whether it was ended."""

    def __init__(self) -> None:
        self.end = asyncio.Event()

    @property
    def ended(self) -> bool:
        return self.end.is_set()

    def terminate(self) -> None:
        self.end.set()


async def test_a_higher_timeline_ends_what_is_on_a_lower_one_in_every_thread() -> None:
    timelines, here, there, other = Timelines(), Session(), Session(), Session()
    heard: list[int] = []
    timelines.enter("a", 0x9, here)
    timelines.enter("b", 0x9, other)
    stop = timelines.on_change("a", heard.append)
    entered, ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def in_a_thread() -> None:
        timelines.enter("a", 0x9, there)
        loop.call_soon_threadsafe(entered.set)
        await there.end.wait()
        loop.call_soon_threadsafe(ended.set)

    thread = asyncio.create_task(asyncio.to_thread(asyncio.run, in_a_thread()))
    await entered.wait()
    new = Session()
    timelines.enter("a", 0xA, new)
    await ended.wait()
    await thread
    assert (here.ended, new.ended, other.ended, heard) == (True, False, False, [10])
    assert timelines.highest("a") == 10
    with pytest.raises(OldTimelineError, match=r"timeline 9.*10"):
        timelines.enter("a", 0x9, Session())
    stop()
    timelines.saw("a", 11)
    assert new.ended
    assert heard == [10]


@pytest.mark.usefixtures("nobody_looks")
async def test_one_process_is_never_on_two_primaries(primaries: Primaries, tmp_path: Path) -> None:
    """A new primary is seen by one connection: all others on the old one end at once, and nobody goes back."""
    async with AsyncExitStack() as stack:
        store = PostgresStore(primaries.url)
        await store.open()
        stack.push_async_callback(store.close)
        address = store._address
        async with store._for_acquire.use() as held:
            assert await held.fetchval("SHOW port") == str(primaries.old.port)
        ended = asyncio.Event()
        held.add_termination_listener(lambda _: ended.set())
        before = TIMELINES.highest(address.cluster)
        address.distrust(held)  # as after a commit that hangs
        async with dialled(address) as connection:
            assert await connection.fetchval("SHOW port") == str(primaries.new.port)
        await ended.wait()
        assert TIMELINES.highest(address.cluster) == before + 1

        async def is_on_the_new_one() -> bool:
            ports = set()
            try:
                for session in (store._for_acquire, store._for_append, store._quick, store._others):
                    async with session.use() as connection:
                        ports.add(await connection.fetchval("SHOW port"))
            except StoreUnavailableError:
                return False
            return ports == {str(primaries.new.port)}

        await eventually(is_on_the_new_one)
        only_old = Address(primaries.url, application_name="late")
        primaries.new.stop()
        with pytest.raises(StoreUnavailableError, match="is on timeline"):
            await only_old.dial(timeout_seconds=300, command_timeout_seconds=300)
        primaries.new.start()
        primaries.old.stop()
        (tmp_path / "old" / "data" / "standby.signal").touch()
        primaries.old.start()
        with pytest.raises(StoreUnavailableError, match="it is a standby"):
            await Address(primaries.old.url(), application_name="first").dial(timeout_seconds=300, command_timeout_seconds=300)
        async with dialled(Address(primaries.url, application_name="second")) as connection:
            assert await connection.fetchval("SHOW port") == str(primaries.new.port)
