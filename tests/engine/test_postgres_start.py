"""A participant starts while its PostgreSQL is absent, wrong, or not its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from goconductor import Participant, Saga, Settings, __version__, connect, logs
from goconductor.app import migrate
from goconductor.errors import ConfigurationError, SchemaError
from goconductor.testing.faults import CuttableProxy
from goconductor.testing.loopback import free_port
from goconductor.testing.postgres import PostgresAddress, PostgresServer

pytestmark = pytest.mark.postgres


def settings_of(url: str) -> Settings:
    return Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})


def service() -> tuple[Participant, Saga[Any]]:
    shop = Participant("shop")

    @shop.step
    async def pack() -> str:
        return "packed"

    saga: Saga[Any] = Saga("order")
    saga.returns(saga.step(pack).output)
    return shop, saga


class Said(logging.Handler):
    """Sets an event when something is said."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.heard, self.lines = text, asyncio.Event(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if self.text in record.getMessage():
            self.heard.set()


async def test_it_waits_for_the_database_says_so_and_goes_on_when_it_comes(postgres_to_break: PostgresServer) -> None:
    settings = settings_of(postgres_to_break.create_database("sagas"))
    await migrate(settings)
    postgres_to_break._end("fast")  # stop() would take the data with it
    shop, saga = service()
    said = Said("waiting for PostgreSQL: PostgreSQL at 127.0.0.1")
    logging.getLogger("goconductor").addHandler(said)
    try:

        async def run() -> Any:
            async with shop.running(settings) as conductor:
                return await (await conductor.start(saga, None)).result(timeout_seconds=300)

        running = asyncio.create_task(run())
        await said.heard.wait()
        assert not running.done()
        await asyncio.to_thread(postgres_to_break._launch)
        assert await running == "packed"
    finally:
        logging.getLogger("goconductor").removeHandler(said)


async def test_it_says_what_it_runs_and_where_and_no_password(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_of(postgres_url)
    await migrate(settings)
    shop, _ = service()
    with caplog.at_level(logging.INFO, "goconductor"):
        async with shop.running(settings), connect(settings):
            pass
    (record,) = [record for record in caplog.records if "saga log at" in record.getMessage()]
    parts, said = urlsplit(postgres_url), record.getMessage()
    where = f"{parts.hostname}:{parts.port}{parts.path}"
    assert said == (
        f"goconductor {__version__}, process {os.getpid()}: participant 'shop' runs pack, as instance 1; saga log at {where}, "
        "schema goconductor; bus postgres, election postgres"
    )
    serves = json.loads(logs.JsonFormatter().format(record))["serves"]
    assert serves == {
        "version": __version__,
        "pid": os.getpid(),
        "participant": "shop",
        "steps": ["pack"],
        "instance": 1,
        "database": where,
        "schema": "goconductor",
        "bus": ["postgres"],
        "election": ["postgres"],
        "metrics": None,
        "health": None,
    }
    assert str(parts.password) not in logs.JsonFormatter().format(record)


async def test_it_says_where_it_answers_for_its_metrics_and_its_health(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, health = free_port(), free_port()
    doors = {"GOCONDUCTOR_METRICS_PORT": str(metrics), "GOCONDUCTOR_HEALTH_PORT": str(health)}
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url, **doors})
    await migrate(settings)
    shop, _ = service()
    with caplog.at_level(logging.INFO, "goconductor"):
        async with shop.running(settings):
            pass
    (said,) = [record.getMessage() for record in caplog.records if "saga log at" in record.getMessage()]
    assert said.endswith(f"; metrics on http://127.0.0.1:{metrics}; health on http://127.0.0.1:{health}")


@pytest.mark.parametrize(("user", "password"), [("nobody", None), ("postgres", "wrong")])
async def test_wrong_credentials_are_said_at_once(postgres_to_break: PostgresServer, user: str, password: str | None) -> None:
    secret = postgres_to_break._password
    url = postgres_to_break.create_database("sagas").replace(f"postgres:{secret}@", f"{user}:{password or secret}@")
    shop, _ = service()
    async with asyncio.timeout(300):
        with pytest.raises(ConfigurationError, match=r"postgres://|password|credentials|authentication") as raised:
            async with shop.running(settings_of(url)):
                pass
    assert secret not in str(raised.value)
    assert "wrong@" not in str(raised.value)


async def test_a_database_that_was_not_migrated_says_what_to_run(postgres_url: str) -> None:
    shop, _ = service()
    with pytest.raises(SchemaError, match="goconductor migrate"):
        async with shop.running(settings_of(postgres_url)):
            pass
    with pytest.raises(SchemaError, match="goconductor migrate"):
        async with connect(settings_of(postgres_url)):
            pass


async def test_a_database_that_is_newer_says_to_upgrade(postgres_url: str, postgres_server: PostgresAddress) -> None:
    import asyncpg

    await migrate(settings_of(postgres_url))
    connection = await asyncpg.connect(postgres_url)
    (table,) = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename LIKE 'alembic_version%'")
    name = await connection.fetchval("SELECT tablename FROM pg_tables WHERE tablename LIKE 'alembic_version%'")
    await connection.execute(f"UPDATE \"{table[0]}\".\"{name}\" SET version_num = '9999', oldest_code = '9999'")
    await connection.close()
    shop, _ = service()
    with pytest.raises(SchemaError, match=r"newer|upgrade"):
        async with shop.running(settings_of(postgres_url)):
            pass


async def test_what_is_bad_in_one_saga_leaves_the_others_alone_on_a_real_database(postgres_url: str) -> None:
    """The same as in memory: an output that cannot be kept, a message that is not ours, a round beyond all numbers."""
    from goconductor.errors import CompensatedError
    from goconductor.messages.topics import steps_topic
    from goconductor.ports.bus import Message

    shop = Participant("shop")

    @shop.step
    async def pack(what: Any) -> Any:
        return "a\0b" if what == "NUL" else {"packed": what}

    saga: Saga[Any] = Saga("order")
    saga.returns(saga.step(pack, inputs={"what": saga.input}).output)
    settings = settings_of(postgres_url)
    await migrate(settings)
    async with shop.running(settings) as conductor:
        handles = [await conductor.start(saga, what) for what in ("NUL", "tea")]
        junk = [b"junk", b"\0", b'{"specversion":"1.0","id":"1","source":"/x","type":"a\\u0000.v1"}']
        await conductor._node.bus.send([Message(topic=steps_topic("shop"), key="k", payload=each) for each in junk])
        with pytest.raises(CompensatedError, match="NUL"):
            await handles[0].result(timeout_seconds=300)
        assert await handles[1].result(timeout_seconds=300) == {"packed": "tea"}
        while len(letters := await conductor._node.store.dead_letters.newest()) < 3:
            await conductor._node.clock.sleep(0.01)
        assert sorted(letter.payload for letter in letters) == sorted(junk)


async def test_ports_that_another_worker_has_and_unknown_variables_stop_nobody(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await migrate(settings_of(postgres_url))
    shop, saga = service()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = {
            "GOCONDUCTOR_DATABASE_URL": postgres_url,
            "GOCONDUCTOR_METRICS_PORT": port,
            "GOCONDUCTOR_HEALTH_PORT": port,
            "GOCONDUCTOR_LOG_LEVLE": "debug",
        }
        async with shop.running(Settings.load(environ=environ)) as conductor:
            assert await (await conductor.start(saga, None)).result() == "packed"
    said = "\n".join(each.getMessage() for each in caplog.records)
    assert f"cannot serve metrics on 127.0.0.1 port {port} (it is taken)" in said
    assert f"cannot answer about health on 127.0.0.1 port {port}" in said
    assert "GOCONDUCTOR_LOG_LEVLE: there is no such setting; did you mean GOCONDUCTOR_LOG_LEVEL?" in said


async def test_it_lives_and_is_not_ready_while_it_waits_for_the_database_and_while_it_drains(postgres_url: str) -> None:
    await migrate(settings_of(postgres_url))
    shop, released, began = Participant("shop"), asyncio.Event(), asyncio.Event()

    @shop.step
    async def pack() -> str:
        began.set()
        await released.wait()
        return "packed"

    saga: Saga[Any] = Saga("order")
    saga.returns(saga.step(pack).output)
    parts, port = urlsplit(postgres_url), free_port()
    async with (
        CuttableProxy(parts.hostname or "", parts.port or 5432) as proxy,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as client,
    ):
        proxy.cut()
        through = urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{proxy.port}"))
        settings = Settings.load(
            environ={
                "GOCONDUCTOR_DATABASE_URL": through,
                "GOCONDUCTOR_HEALTH_PORT": str(port),
                "GOCONDUCTOR_PARTICIPANT_DRAIN_SECONDS": "300",
            }
        )
        leave = asyncio.Event()

        async def run() -> None:
            async with shop.running(settings) as conductor:
                await conductor.start(saga, None)
                await leave.wait()

        async def answers(path: str) -> int:
            return (await client.get(path)).status_code

        said = Said("waiting for PostgreSQL")
        logging.getLogger("goconductor").addHandler(said)
        running = asyncio.create_task(run())
        await said.heard.wait()
        logging.getLogger("goconductor").removeHandler(said)
        assert (await answers("/livez"), await answers("/readyz")) == (200, 503)
        proxy.heal()
        await began.wait()
        assert (await answers("/livez"), await answers("/readyz")) == (200, 200)
        leave.set()
        while await answers("/readyz") == 200:
            pass
        assert (await answers("/livez"), running.done()) == (200, False)
        released.set()
        await running
