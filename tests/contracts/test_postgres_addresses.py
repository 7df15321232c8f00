"""A host's name with several addresses: each is a server of its own. The servers are real; what the name means, the test says."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from goconductor.errors import ConfigurationError, StoreUnavailableError
from goconductor.postgres.dialling import Address
from goconductor.postgres.servers.addresses import LoopTo, each_address
from goconductor.postgres.url import Server
from goconductor.stores.postgres import PostgresStore
from goconductor.testing.postgres import PostgresAddress, PostgresServer
from goconductor.testing.postgres_binaries import Kind
from tests.certificates import Authority
from tests.conftest import SETTINGS
from tests.contracts.journal_leaves import LEAVES
from tests.contracts.test_journals import run
from tests.contracts.test_postgres_dialling import dialled
from tests.servers.fixtures.primaries import Streaming

pytestmark = pytest.mark.postgres

Means = Callable[..., None]

LAST_PARTS = itertools.count(10)


@pytest.fixture
def name_means(monkeypatch: pytest.MonkeyPatch) -> Means:
    """Let the name ``db.test``, or another one, stand for these addresses."""

    def means(*addresses: str, name: str = "db.test") -> None:
        def found(host: str, port: int, *rest: object, **options: object) -> object:
            if host == name:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
            return real(host, port, *rest, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", found)

    real = socket.getaddrinfo
    return means


def by_name(url: str, query: str = "", *, name: str = "db.test") -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{name}:{parts.port}", query=query).geturl()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server at two addresses."""
    kinds: tuple[Kind, ...] = ("embedded",) if request.config.getoption("--postgres") == "embedded" else ("system", "embedded")
    for kind in kinds:
        server = PostgresServer(kind, settings=SETTINGS | {"listen_addresses": "127.0.0.1,127.0.0.2"})
        with suppress(ConfigurationError), server:
            yield server
            return
    pytest.fail("there is no PostgreSQL for the test", pytrace=False)


@pytest.fixture
def silent(server: PostgresServer) -> Iterator[socket.socket]:
    """A listener that never accepts, on the server's port at an address that no other test uses: silence is remembered."""
    with socket.create_server((f"127.0.0.{next(LAST_PARTS)}", server.port)) as listener:
        yield listener


async def test_an_address_without_an_answer_costs_its_own_time_only(
    server: PostgresServer, silent: socket.socket, name_means: Means
) -> None:
    """With one time for all addresses of the name the first one would use it up."""
    name_means(silent.getsockname()[0], "127.0.0.2")
    address = Address(by_name(server.url(), "connect_timeout=5"), application_name="addresses")
    async with dialled(address) as connection:
        assert await connection.fetchval("SELECT host(inet_server_addr())") == "127.0.0.2"
    silent.setblocking(False)
    silent.accept()[0].close()
    async with dialled(address):  # the one that was good is asked first
        with pytest.raises(BlockingIOError):
            silent.accept()


async def test_of_a_primary_and_its_standby_behind_one_name_the_primary_is_found(streaming: Streaming, name_means: Means) -> None:
    """Both have the same port at two addresses: the standby is asked first, since the name gives it first."""
    port = streaming.standby.port
    forward = await asyncio.start_server(
        lambda reader, writer: _forward(reader, writer, streaming.primary.port), "127.0.0.2", port
    )
    async with forward:
        name_means("127.0.0.1", "127.0.0.2")
        url = by_name(streaming.primary.url()).replace(f":{streaming.primary.port}", f":{port}")
        store = PostgresStore(url)
        await store.open()
        async with store._for_append.use() as connection:
            assert await connection.fetchval("SHOW port") == str(streaming.primary.port)
        await store.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass all on to the server at a port, as a proxy does."""
    there, to = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            goal.write(data)
            await goal.drain()
        goal.close()

    await asyncio.gather(pump(reader, to), pump(there, writer), return_exceptions=True)


@pytest.mark.parametrize("library", ["asyncpg", "psycopg", "sqlalchemy-connection"])
async def test_a_journal_goes_from_address_to_address(
    library: str, server: PostgresServer, silent: socket.socket, name_means: Means
) -> None:
    name_means(silent.getsockname()[0], "127.0.0.2")
    async with LEAVES[library].journal(by_name(server.url())) as journal:
        await journal.create_table()
        assert (await run(LEAVES[library], journal)).result == b'"ok"'
    silent.setblocking(False)
    silent.accept()[0].close()


async def test_tls_asks_for_the_name_and_a_cancel_goes_to_the_same_address(
    server: PostgresServer, name_means: Means, tmp_path: Path
) -> None:
    """The certificate is good for the name, and not for the address."""
    authority = Authority(tmp_path)
    pair, data = authority.pair("server"), server._data
    for file, source in (("server.crt", pair.cert), ("server.key", pair.key)):
        shutil.copy(source, data / file)
        shutil.chown(data / file, data.owner(), data.group())
        (data / file).chmod(0o600)
    server.query("ALTER SYSTEM SET ssl = on")
    server.restart()
    name_means("127.0.0.3", "127.0.0.2", name="localhost")
    query = urlencode({"sslmode": "verify-full", "sslrootcert": str(authority.file)})
    async with dialled(Address(by_name(server.url(), query, name="localhost"), application_name="tls")) as connection:
        assert await connection.fetchval("SELECT host(inet_server_addr())") == "127.0.0.2"
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(600) /* to cancel */"))
        async with dialled(Address(server.url(), application_name="onlooker")) as onlooker:
            while not await onlooker.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%/* to cancel */'"
            ):
                pass
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_wrong_password_is_final_though_another_address_of_the_name_is_not_served(
    postgres_server: PostgresAddress, name_means: Means
) -> None:
    """As ``localhost`` is often two addresses, of which the server listens at one."""
    parts = urlsplit(postgres_server.url())
    name_means("127.0.0.2", str(parts.hostname))
    url = parts._replace(netloc=f"{parts.username}:wrong@db.test:{parts.port}").geturl()
    with pytest.raises(ConfigurationError, match=r"db\.test:\d+ .* refuses us"):
        await Address(url, application_name="wrong").dial(timeout_seconds=300, command_timeout_seconds=300)


async def test_where_no_address_will_do_each_is_named(name_means: Means, unused_tcp_port: int) -> None:
    name_means("127.0.0.2", "127.0.0.3")
    address = Address(f"postgresql://u:canary@db.test:{unused_tcp_port}/d", application_name="nobody")
    with pytest.raises(StoreUnavailableError, match=r"\(127\.0\.0\.2\).*\(127\.0\.0\.3\)") as refused:
        await address.dial(timeout_seconds=300, command_timeout_seconds=300)
    assert "canary" not in str(refused.value)


async def test_only_a_name_with_several_addresses_becomes_several_servers(name_means: Means) -> None:
    name_means("192.0.2.1", "192.0.2.2", "192.0.2.1")
    one, socket_folder, literal = Server("db.test", 1), Server("/run", 1), Server("::1", 1)
    assert await each_address([literal, one, socket_folder], timeout_seconds=300) == [
        literal,
        one._replace(address="192.0.2.1"),
        one._replace(address="192.0.2.2"),
        socket_folder,
    ]
    name_means("192.0.2.1")
    assert await each_address([one, Server(None, None)], timeout_seconds=300) == [one, Server(None, None)]


async def test_the_driver_s_loop_is_the_loop_of_its_tasks() -> None:
    """asyncio finds the present task by it."""
    loop = asyncio.get_running_loop()
    assert asyncio.current_task(LoopTo(loop, "192.0.2.1")) is asyncio.current_task()  # type: ignore[arg-type]
    assert LoopTo(loop, "192.0.2.1") == LoopTo(loop, "192.0.2.2") == loop
