"""What a step may do to its transaction, and what its server may do to it: the same for the journals of all libraries."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import asyncpg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from goconductor.errors import ConfigurationError, JournalError, JournalUnavailableError
from goconductor.journals.asyncpg import AsyncpgJournal
from goconductor.journals.dialling import options_of_psycopg
from goconductor.journals.psycopg import PsycopgJournal
from goconductor.journals.sqlalchemy import SqlalchemyJournal
from goconductor.journals.table import TableJournal
from goconductor.ports.journal import EffectKey, Entry, Found, Pool
from tests.contracts.journal_leaves import LEAVES, Leaf

pytestmark = pytest.mark.postgres

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

KEY = EffectKey("action", "compensation")
TIMEOUT_SECONDS = 300.0
EFFECTS = "SELECT count(*) FROM effects"


@pytest.fixture(params=LEAVES)
def leaf(request: pytest.FixtureRequest) -> Leaf:
    return LEAVES[request.param]


@pytest.fixture
async def onlooker(postgres_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE effects (effect text)")
    yield connection
    await connection.close()


@pytest.fixture
async def journal(leaf: Leaf, postgres_url: str, onlooker: Connection) -> AsyncIterator[TableJournal[Any]]:
    async with leaf.journal(postgres_url) as journal:
        await journal.create_table()
        yield journal


async def run(leaf: Leaf, journal: TableJournal[Any], *statements: str) -> Entry:
    async def call(tx: Any) -> bytes:
        for statement in statements:
            await leaf.execute(tx, statement)
        return b'"ok"'

    return await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)


async def test_the_transaction_has_timeouts_of_its_own(leaf: Leaf, journal: TableJournal[Any], onlooker: Connection) -> None:
    limits = dict.fromkeys(("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"), "60500ms")
    if onlooker.get_server_version().major >= 17:
        limits["transaction_timeout"] = "122s"

    async def call(tx: Any) -> bytes:
        assert {name: await leaf.execute(tx, f"SELECT current_setting('{name}')") for name in limits} == limits
        return b"null"

    async def later(tx: Any) -> bytes:
        assert await leaf.execute(tx, "SELECT current_setting('lock_timeout')") == "5min"
        return b"null"

    await journal.run_action(KEY, call, timeout_seconds=60.5)
    await journal.run_action(EffectKey("later", "c"), later, timeout_seconds=TIMEOUT_SECONDS)


async def test_a_step_that_commits_by_itself_is_told_so_and_never_run_over(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection
) -> None:
    with pytest.raises(JournalError, match="remove COMMIT"):
        await run(leaf, journal, "INSERT INTO effects VALUES ('charged')", "COMMIT")
    with pytest.raises(JournalError, match="its result is unknown"):
        await run(leaf, journal)
    with pytest.raises(JournalError, match="its result is unknown"):
        await journal.settle(KEY, timeout_seconds=TIMEOUT_SECONDS)

    async def refund(_tx: Any, _output: bytes) -> None:
        pytest.fail("whether there is anything to compensate is not known")

    with pytest.raises(JournalError, match="its result is unknown"):
        await journal.run_compensation(KEY, refund, timeout_seconds=TIMEOUT_SECONDS)
    assert await onlooker.fetchval(EFFECTS) == 1
    assert (await journal.skip(KEY, timeout_seconds=TIMEOUT_SECONDS)).found is Found.REFUSED


async def test_a_step_that_commits_and_begins_again_is_found_out(leaf: Leaf, journal: TableJournal[Any]) -> None:
    with pytest.raises(JournalError, match="remove COMMIT"):
        await run(leaf, journal, "COMMIT", "BEGIN")


async def test_a_step_that_rolls_back_by_itself_can_be_mended_and_run(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection
) -> None:
    with pytest.raises(JournalError, match="ROLLBACK"):
        await run(leaf, journal, "ROLLBACK", "BEGIN", "INSERT INTO effects VALUES ('charged')")
    assert await onlooker.fetchval(EFFECTS) == 0
    assert (await run(leaf, journal)).found is Found.RAN


async def test_a_step_that_swallows_an_error_of_the_database_is_told_of_savepoints(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection
) -> None:
    async def call(tx: Any) -> bytes:
        await leaf.execute(tx, "INSERT INTO effects VALUES ('charged')")
        with pytest.raises(leaf.error):
            await leaf.execute(tx, "SELECT 1 / 0")
        return b"null"

    with pytest.raises(JournalError, match=r"savepoint \(async with tx\."):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    assert await onlooker.fetchval(EFFECTS) == 0


async def test_savepoints_are_the_steps_own(leaf: Leaf, journal: TableJournal[Any], onlooker: Connection) -> None:
    async def call(tx: Any) -> bytes:
        with pytest.raises(leaf.error):
            async with leaf.savepoint(tx):
                await leaf.execute(tx, "SELECT 1 / 0")
        async with leaf.savepoint(tx):
            await leaf.execute(tx, "INSERT INTO effects VALUES ('charged')")
        await leaf.execute(tx, "SAVEPOINT left_open")
        return b"null"

    assert (await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)).found is Found.RAN
    assert await onlooker.fetchval(EFFECTS) == 1


async def test_an_exception_passes_through_a_broken_connection(leaf: Leaf, journal: TableJournal[Any]) -> None:
    async def call(tx: Any) -> bytes:
        await leaf.terminate(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    assert (await run(leaf, journal)).found is Found.RAN


async def test_a_connection_ended_before_the_commit_leaves_nothing(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection
) -> None:
    async def call(tx: Any) -> bytes:
        await leaf.execute(tx, "INSERT INTO effects VALUES ('charged')")
        await onlooker.execute("SELECT pg_terminate_backend($1, 60000)", await leaf.execute(tx, "SELECT pg_backend_pid()"))
        return b"null"

    with pytest.raises(JournalError, match="nothing of this run was committed"):
        await journal.run_action(KEY, call, timeout_seconds=TIMEOUT_SECONDS)
    assert await onlooker.fetchval(EFFECTS) == 0
    assert (await run(leaf, journal)).found is Found.RAN


async def test_what_the_server_refuses_at_the_commit_passes_through(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection
) -> None:
    await onlooker.execute("CREATE TABLE accounts (id int PRIMARY KEY)")
    await onlooker.execute("CREATE TABLE bookings (account int REFERENCES accounts DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(leaf.error, match="foreign key"):
        await run(leaf, journal, "INSERT INTO bookings VALUES (17)")
    assert (await run(leaf, journal)).found is Found.RAN


async def test_a_deadlock_passes_through_as_a_failure_of_one_of_the_two(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection
) -> None:
    await onlooker.execute("INSERT INTO effects VALUES ('a'), ('b')")
    both = asyncio.Barrier(2)

    async def one(name: str, mine: str, other: str) -> Entry:
        async def call(tx: Any) -> bytes:
            await leaf.execute(tx, f"SELECT 1 FROM effects WHERE effect = '{mine}' FOR UPDATE")
            await both.wait()
            await leaf.execute(tx, f"SELECT 1 FROM effects WHERE effect = '{other}' FOR UPDATE")
            return b"null"

        return await journal.run_action(EffectKey(name, name + "c"), call, timeout_seconds=TIMEOUT_SECONDS)

    answers = await asyncio.gather(one("x", "a", "b"), one("y", "b", "a"), return_exceptions=True)
    (error,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(error, leaf.error)
    assert "deadlock" in str(error)


async def test_without_its_table_the_journal_says_how_to_create_it(leaf: Leaf, postgres_url: str) -> None:
    async with leaf.journal(postgres_url) as journal:
        with pytest.raises(JournalError, match=r"create_table\(\)"):
            await run(leaf, journal)
        with pytest.raises(JournalError, match=r"create_table\(\)"):
            await journal.forget(1)


async def test_a_database_that_cannot_be_reached_is_a_journal_error_and_may_come_back(leaf: Leaf, unused_tcp_port: int) -> None:
    async with leaf.journal(f"postgresql://nobody:hunter2@127.0.0.1:{unused_tcp_port}/nowhere") as journal:
        for _ in range(2):
            with pytest.raises(JournalError, match="could not connect") as raised:
                await run(leaf, journal)
            assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", ["asyncpg", "psycopg", "sqlalchemy-connection"])
async def test_a_host_that_never_answers_costs_no_other_its_time(name: str, postgres_url: str) -> None:
    leaf, parts = LEAVES[name], urlsplit(postgres_url)
    user, _, place = parts.netloc.rpartition("@")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it never accepts
        netloc = f"{user}@127.0.0.1:{silent.getsockname()[1]},{place}"
        async with leaf.journal(parts._replace(netloc=netloc, query="connect_timeout=5").geturl()) as journal:
            await journal.create_table()
            assert (await run(leaf, journal)).found is Found.RAN


@pytest.mark.parametrize("name", ["asyncpg", "sqlalchemy-connection"])
async def test_a_step_with_less_time_than_a_host_gets_to_the_next_one_by_trying_again(name: str, postgres_url: str) -> None:
    leaf, parts = LEAVES[name], urlsplit(postgres_url)
    user, _, place = parts.netloc.rpartition("@")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        netloc = f"{user}@127.0.0.1:{silent.getsockname()[1]},{place}"
        async with leaf.journal(parts._replace(netloc=netloc, query="connect_timeout=300").geturl()) as journal:
            with pytest.raises(JournalError, match="could not connect"):
                await journal.run_action(KEY, None, timeout_seconds=0.5)
            await journal.create_table()
            assert (await run(leaf, journal)).found is Found.RAN


@pytest.mark.parametrize(
    ("conninfo", "timeout_seconds", "added"),
    [
        ("postgresql://one/shop", 60.0, {"connect_timeout": "5"}),
        ("postgresql://one/shop", 0.5, {"connect_timeout": "2"}),
        ("postgresql://one,two:6000,three/shop", 12.0, {"connect_timeout": "4", "target_session_attrs": "read-write"}),
        ("postgresql://three-addresses/shop", 12.0, {"connect_timeout": "4", "target_session_attrs": "read-write"}),
        ("host=one,two dbname=shop", None, {"connect_timeout": "5", "target_session_attrs": "read-write"}),
        ("postgresql://one,two/shop?connect_timeout=9&target_session_attrs=any", 60.0, {}),
        ("service=shop", 60.0, {}),
    ],
)
async def test_psycopg_goes_from_host_to_host_within_the_time_of_a_step(
    monkeypatch: pytest.MonkeyPatch, conninfo: str, timeout_seconds: float | None, added: dict[str, str]
) -> None:
    for variable in ("PGSERVICE", "PGHOST", "PGCONNECT_TIMEOUT", "PGTARGETSESSIONATTRS"):
        monkeypatch.delenv(variable, raising=False)

    def found(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", (f"192.0.2.{number}", 0)) for number in range(3 if host == "three-addresses" else 1)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert await options_of_psycopg(conninfo_to_dict(conninfo), timeout_seconds) == added


async def test_a_journal_that_cannot_be_used_says_so_by_its_error(leaf: Leaf, postgres_url: str, unused_tcp_port: int) -> None:
    account = postgres_url.rpartition("@")[0]
    for url, says in (
        (f"{account}@127.0.0.1:{unused_tcp_port}/x", "could not connect"),
        (postgres_url.rpartition("/")[0] + "/no_such_database", "could not connect"),
        (postgres_url, "create it by"),
    ):
        async with AsyncExitStack() as stack:
            journal = await stack.enter_async_context(leaf.journal(url, table="absent"))
            with pytest.raises(JournalUnavailableError, match=says):
                await run(leaf, journal)


async def test_a_role_that_may_not_create_tables_may_use_the_one_that_is_there(
    leaf: Leaf, journal: TableJournal[Any], onlooker: Connection, postgres_url: str
) -> None:
    role = f"clerk_{await onlooker.fetchval('SELECT current_database()')}"
    await onlooker.execute(f"""
        REVOKE CREATE ON SCHEMA public FROM public; CREATE ROLE {role} LOGIN PASSWORD 'clerk';
        GRANT ALL ON goconductor_effects TO {role}""")
    place = postgres_url.rpartition("@")[2]
    try:
        async with AsyncExitStack() as stack:
            clerk = await stack.enter_async_context(leaf.journal(f"postgresql://{role}:clerk@{place}"))
            await clerk.create_table()
            assert (await run(leaf, clerk)).found is Found.RAN
            another = await stack.enter_async_context(leaf.journal(f"postgresql://{role}:clerk@{place}", table="another"))
            with pytest.raises(JournalError, match="permission denied"):
                await another.create_table()
    finally:
        await onlooker.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_many_processes_may_create_the_table_at_once(leaf: Leaf, postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        journals = [await stack.enter_async_context(leaf.journal(postgres_url)) for _ in range(8)]
        await asyncio.gather(*(journal.create_table() for journal in journals))
        assert (await run(leaf, journals[0])).found is Found.RAN


async def test_a_table_made_by_a_migration_of_ones_own_is_the_same(leaf: Leaf, onlooker: Connection, postgres_url: str) -> None:
    async with leaf.journal(postgres_url, table="public.shop_effects") as journal:
        for statement in journal.ddl():
            await onlooker.execute(statement)
        await journal.create_table()
        assert (await run(leaf, journal)).found is Found.RAN
        assert await onlooker.fetchval("SELECT count(*) FROM shop_effects") == 1


async def test_a_service_of_another_library_finds_what_was_written(
    leaf: Leaf, journal: TableJournal[Any], postgres_url: str
) -> None:
    await run(leaf, journal)
    for other in LEAVES.values():
        async with other.journal(postgres_url) as again:
            assert await run(other, again) == Entry(found=Found.SEEN, result=b'"ok"')


async def test_forgetting_goes_in_parts(leaf: Leaf, journal: TableJournal[Any], onlooker: Connection) -> None:
    await onlooker.execute("""INSERT INTO goconductor_effects (key, state, at)
                              SELECT i::text, 'done', now() - interval '1 day' FROM generate_series(1, 25000) i""")
    await run(leaf, journal)
    assert await journal.forget(3600) == 25_000
    assert (await run(leaf, journal)).found is Found.SEEN


@pytest.mark.parametrize("name", ["", "a.b.c", 'x"; DROP TABLE accounts; --', "effects\n", "1st"])
async def test_a_table_name_is_a_name(leaf: Leaf, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no table name"):
        async with leaf.journal("postgresql://localhost/shop", table=name):
            pass


async def test_11_each_library_tells_how_many_connections_there_are(leaf: Leaf, postgres_url: str) -> None:
    async with leaf.journal(postgres_url) as journal, leaf.journal(postgres_url) as other:
        assert journal.pool is not None
        assert other.pool is not None
        running, most, full, gate = 0, 0, asyncio.Event(), asyncio.Event()

        async def call(tx: Any) -> bytes:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == journal.pool.size:
                full.set()
            await gate.wait()
            running -= 1
            return b"null"

        assert journal.pool.of is not other.pool.of
        await journal.create_table()
        count = journal.pool.size + 2
        runs = [
            asyncio.create_task(journal.run_action(EffectKey(f"a{number}", f"c{number}"), call, timeout_seconds=TIMEOUT_SECONDS))
            for number in range(count)
        ]
        await full.wait()
        gate.set()
        assert len(await asyncio.gather(*runs)) == count
        assert most <= journal.pool.size


async def test_11_a_services_own_pool_counts_once_for_all_its_journals() -> None:
    dsn = "postgresql://127.0.0.1:1/nowhere"
    pool = asyncpg.create_pool(dsn, min_size=0, max_size=3)
    engine = create_async_engine("postgresql+asyncpg://127.0.0.1:1/nowhere", pool_size=2, max_overflow=1)
    sessions = SqlalchemyJournal(async_sessionmaker(engine))
    assert AsyncpgJournal(pool).pool == AsyncpgJournal(pool).pool == Pool(pool, 3)
    assert SqlalchemyJournal(engine).pool == sessions.pool == Pool(engine, 3)
    assert PsycopgJournal(dsn, connections_max=4).pool is not None
    unbound = create_async_engine("postgresql+asyncpg://127.0.0.1:1/nowhere", poolclass=NullPool)
    assert SqlalchemyJournal(unbound).pool is None
    more = create_async_engine("postgresql+asyncpg://127.0.0.1:1/nowhere", max_overflow=-1)
    assert SqlalchemyJournal(more).pool is None
