"""What each leaf's sessions on PostgreSQL have in common."""

from __future__ import annotations

import asyncpg
import pytest

from goconductor.errors import BusUnavailableError, ConfigurationError, PoolerError
from goconductor.postgres.dialling import Address, Connection
from goconductor.postgres.setup import SETTINGS, Limits, Setup, end
from goconductor.postgres.tables import Tables
from tests.servers.fixtures.pooler import Pooler

pytestmark = pytest.mark.postgres


def set_up(url: str, **options: object) -> Setup:
    address = Address(url, application_name="set up", unavailable=BusUnavailableError)
    return Setup(address=address, limits=Limits(7.0, 3.0, 5.0), connect_timeout_seconds=20, **options)  # type: ignore[arg-type]


async def test_a_session_has_the_settings_and_limits_of_its_leaf(postgres_url: str) -> None:
    connection = await set_up(postgres_url, settings={"jit": "off"}).dial()
    limits = {"statement_timeout": "7s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "5s"}
    expected = {**SETTINGS, **limits, "jit": "off", "synchronous_commit": "on"}
    shown = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in expected}
    assert shown == expected
    await end(connection)


async def test_a_session_that_need_not_wait_for_the_disk_does_not(postgres_url: str) -> None:
    connection = await set_up(postgres_url, durable=False).dial()
    assert await connection.fetchval("SHOW synchronous_commit") == "off"
    await end(connection)


async def test_a_session_that_cannot_be_prepared_is_ended_and_its_error_is_the_leafs(postgres_url: str) -> None:
    seen: list[Connection] = []

    async def prepare(connection: Connection) -> None:
        seen.append(connection)
        await connection.execute("SELECT * FROM no_such_table")

    with pytest.raises(BusUnavailableError, match="no_such_table"):
        await set_up(postgres_url, prepare=prepare).dial()
    assert seen[0].is_closed()


async def test_tables_are_made_once_and_a_missing_right_is_named(postgres_url: str) -> None:
    tables = Tables(
        schema="small",
        exist="SELECT to_regclass('small.one') IS NOT NULL",
        lock="SELECT pg_advisory_xact_lock(1)",
        create="CREATE TABLE small.one ()",
    )
    setup = set_up(postgres_url, prepare=tables.ensure)
    one, other = await setup.dial(), await setup.dial()
    await other.execute("SELECT FROM small.one")
    await other.execute("CREATE ROLE nobody_here; DROP SCHEMA small CASCADE; SET ROLE nobody_here")
    with pytest.raises(ConfigurationError, match="grant CREATE on the database"):
        await tables.ensure(other)
    await other.execute("RESET ROLE; DROP ROLE nobody_here")
    for each in (one, other):
        await end(each)


async def test_a_transaction_pooler_is_found_by_a_second_session(pooler: Pooler) -> None:
    async with pooler("transaction") as url:
        setup = set_up(url)
        connection = await setup.dial()
        with pytest.raises(PoolerError, match="the remedy"):
            await setup.refuse_pooler(connection, "the remedy")
        connection.terminate()


async def test_who_ends_a_connection_that_is_gone_hears_nothing_of_it(postgres_url: str) -> None:
    connection, other = await set_up(postgres_url).dial(), await asyncpg.connect(postgres_url)
    await other.execute("SELECT pg_terminate_backend($1, 60000)", connection.get_server_pid())
    await end(connection)
    assert connection.is_closed()
    await other.close()
