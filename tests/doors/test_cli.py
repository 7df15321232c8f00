"""The command line as a process, with a real participant beside it: what signals, pipes and terminals do to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from goconductor.buses.postgres import PostgresBus
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions import loading, versions
from goconductor.engine.node import Node
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.loopback import free_port
from tests.certificates import Authority
from tests.doors.conftest import INPUT, ORDER, Shop

pytestmark = pytest.mark.postgres

CANARY = "hunter2-canary"
PROGRAM = [sys.executable, "-c", "from goconductor.cli import main; main()"]
UNKNOWN = "01920000-0000-7000-8000-000000000000"


class Ran(NamedTuple):
    """What a command ended with."""

    code: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Runs commands in a folder of its own, on one database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GOCONDUCTOR_")}
        self.environ |= {"GOCONDUCTOR_DATABASE_URL": url, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
        self.begun: list[Process] = []

    async def begin(self, *arguments: str, **environ: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, *arguments, cwd=self.folder, env=self.environ | environ, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        self.begun.append(process)
        return process

    async def close(self) -> None:
        """End what a failed test left behind."""
        for process in self.begun:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Ran:
        process = await self.begin(*arguments, **environ)
        return await self.end(process, stdin)

    async def end(self, process: Process, stdin: bytes = b"") -> Ran:
        out, err = await process.communicate(stdin)
        ran = Ran(process.returncode, out.decode(), err.decode())
        assert CANARY not in ran.out + ran.err
        assert "Traceback" not in ran.err, ran.err
        return ran


@pytest.fixture
async def empty(tmp_path: Path, postgres_url: str) -> AsyncIterator[Terminal]:
    """A terminal on a database that is not migrated."""
    parts = urlsplit(postgres_url)
    password = parts.password or CANARY  # a server that trusts takes any
    user = f"{parts.username or 'postgres'}:{password}"
    terminal = Terminal(tmp_path, urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}")))
    yield terminal
    await terminal.close()


@pytest.fixture
async def terminal(empty: Terminal) -> AsyncIterator[Terminal]:
    """A terminal on a database where a shop offers its steps."""
    await migrate(empty.url)
    node = Node(
        store=PostgresStore(empty.url),
        bus=PostgresBus(empty.url),
        open_store=lambda: PostgresStore(empty.url),
        registry=Shop().steps(),
    )
    await node.open()
    try:
        await versions.register(ANYBODY, node, loading.read(ORDER))
        yield empty
    finally:
        await node.close()


async def test_commands_can_be_chained_by_a_script(terminal: Terminal) -> None:
    started = await terminal.run(
        "saga", "start", "order", "--input", "-", "--wait", "300", "--json", stdin=json.dumps(INPUT).encode()
    )
    assert started.code == 0, started.err
    saga_id = started.json["saga_id"]
    live = await terminal.run("saga", "watch", saga_id, FORCE_COLOR="1")
    assert (live.code, "\x1b[" in live.out, "ship" in live.out) == (0, True, True)
    assert (await terminal.run("saga", "show", "x")).code == 2


@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_who_has_read_enough_is_told_nothing(terminal: Terminal, options: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as closed:  # noqa: ASYNC230, PTH123  (a pipe)
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "definition", "list", *options, cwd=terminal.folder, env=terminal.environ, stdout=closed, stderr=PIPE
        )
    _, told = await process.communicate()
    assert (process.returncode, told) == (1, b"")


async def test_who_stops_waiting_for_a_change_is_told_how_to_go_on(terminal: Terminal) -> None:
    others = json.dumps({"second": {"kind": "postgres", "options": {"schema": "second"}}})
    waiting = await terminal.begin("bus", "migrate", "--to", "second", GOCONDUCTOR_BUS_OTHERS=others)
    assert waiting.stdout is not None
    assert b"postgres" in await waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    ran = await terminal.end(waiting)
    assert ran.code not in {0, None}
    assert "call it again to go on, or --to the old one to go back" in ran.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_answers_on_loopback_until_it_is_told_to_stop(terminal: Terminal, number: signal.Signals) -> None:
    serving = await terminal.begin("serve", GOCONDUCTOR_REST_PORT="0")
    assert serving.stdout is not None
    told = (await serving.stdout.readline()).decode()
    assert told.startswith("REST on http://127.0.0.1:")
    base_url = told.split()[2].removesuffix("/v1,")
    async with httpx.AsyncClient(base_url=base_url, timeout=300) as client:
        assert (await client.get("/readyz")).status_code == 200
        answer = await client.post("/v1/sagas/order", params={"wait_seconds": 300}, json=INPUT)
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        assert "server" not in answer.headers
        waiting = asyncio.create_task(
            client.post("/v1/sagas/order", params={"wait_seconds": 300}, json={**INPUT, "card": "busy"})
        )
        while not (await client.get("/v1/sagas", params={"status": "running"})).json()["sagas"]:
            pass
        serving.send_signal(number)
        assert ((await waiting).status_code, (await waiting).json()["status"]) == (202, "running")
    ran = await terminal.end(serving)
    assert (ran.code, ran.out) == (0, "stopped\n"), ran.err


async def test_serve_answers_over_grpc_too_where_it_has_a_port(terminal: Terminal) -> None:
    from tests.doors.over_grpc import NOT_SERVING, SERVING, Caller, value

    serving = await terminal.begin("serve", GOCONDUCTOR_REST_PORT="0", GOCONDUCTOR_GRPC_PORT="0")
    assert serving.stdout is not None
    assert (await serving.stdout.readline()).startswith(b"REST on ")
    told = (await serving.stdout.readline()).decode()
    assert told.startswith("gRPC on 127.0.0.1:")
    caller = Caller(told.split()[2].removesuffix(","))
    health = caller.health_watch()
    assert (await health.read()).status == SERVING
    ended = await caller.call("StartSaga", saga="order", input=value(INPUT), wait_seconds=300)
    assert ended.saga.status == "completed"
    waits = await caller.call("StartSaga", saga="order", input=value({**INPUT, "card": "busy"}))
    waiting = asyncio.ensure_future(caller.call("GetResult", saga_id=waits.saga.saga_id, wait_seconds=300))
    await caller.call("GetSaga", saga_id=waits.saga.saga_id)  # sent after that one, on the same connection
    serving.send_signal(signal.SIGTERM)
    assert (await waiting).status == "running"
    assert (await health.read()).status == NOT_SERVING
    ran = await terminal.end(serving)
    assert (ran.code, ran.out) == (0, "stopped\n"), ran.err
    await caller.channel.close()


async def test_serve_beyond_loopback_asks_for_a_key_over_tls_and_over_grpc(terminal: Terminal, tmp_path: Path) -> None:
    import grpc

    from goconductor.control.authority.authenticating import UnauthenticatedError
    from goconductor.grpc import Client

    authority = Authority(tmp_path)
    pair, root = authority.pair("server"), authority.file.read_bytes()
    files = {f"GOCONDUCTOR_{door}_CERTIFICATE": str(pair.cert) for door in ("REST", "GRPC")}
    files |= {f"GOCONDUCTOR_{door}_CERTIFICATE_KEY": str(pair.key) for door in ("REST", "GRPC")}
    doors = {f"GOCONDUCTOR_{door}_HOST": "0.0.0.0" for door in ("REST", "GRPC")}
    doors |= {f"GOCONDUCTOR_{door}_PORT": "0" for door in ("REST", "GRPC")}
    serving = await terminal.begin("serve", GOCONDUCTOR_AUTH_ENABLED="true", **files, **doors)
    assert serving.stdout is not None
    told = (await serving.stdout.readline()).decode()
    assert told.startswith("REST on https://0.0.0.0:")
    url = told.split()[2].removesuffix("/v1,").replace("0.0.0.0", "localhost")
    target = (await serving.stdout.readline()).decode().split()[2].removesuffix(",").replace("0.0.0.0", "localhost")
    made = await terminal.run("key", "create", "ci", "--role", "operator", "--json")
    key, key_id = made.json["key"], made.json["detail"]["key_id"]
    trusting = ssl.create_default_context(cafile=str(authority.file))
    async with httpx.AsyncClient(base_url=url, verify=trusting, timeout=300) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.post("/v1/sagas/order", json=INPUT)).status_code == 401
        client.headers["authorization"] = f"Bearer {key}"
        started = await client.post("/v1/sagas/order", params={"wait_seconds": 300}, json=INPUT)
        assert (started.status_code, started.json()["status"]) == (200, "completed")
        async with Client(target, credentials=grpc.ssl_channel_credentials(root), api_key=key) as calling:
            assert (await calling.saga(started.json()["saga_id"])).status == "completed"
            waits = await calling.start("order", {**INPUT, "card": "busy"})
            watching = asyncio.ensure_future(calling.ended(waits.saga_id))
            assert (await terminal.run("key", "revoke", key_id)).code == 0
            with pytest.raises(UnauthenticatedError):
                await watching
    serving.send_signal(signal.SIGTERM)
    ran = await terminal.end(serving)
    assert (ran.code, key in ran.out + ran.err) == (0, False), ran.err


async def test_serve_refuses_another_host_than_loopback_over_grpc_too(empty: Terminal) -> None:
    ran = await empty.run("serve", GOCONDUCTOR_GRPC_HOST="0.0.0.0", GOCONDUCTOR_GRPC_PORT="0")
    assert (ran.code, "set grpc.insecure to true" in ran.err) == (2, True)


async def test_serve_stops_while_it_waits_for_the_database(empty: Terminal) -> None:
    serving = await empty.begin(
        "serve", GOCONDUCTOR_REST_PORT="0", GOCONDUCTOR_DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/x"
    )
    assert serving.stderr is not None
    assert "waiting for PostgreSQL" in (await serving.stderr.readline()).decode()
    serving.send_signal(signal.SIGTERM)
    ran = await empty.end(serving)
    assert (ran.code, ran.out) == (0, "stopped\n"), ran.err


async def test_serve_says_that_it_lives_and_what_it_waits_for_before_its_database_is_there(empty: Terminal) -> None:
    port = free_port()
    url = f"postgresql://127.0.0.1:{free_port()}/x"
    serving = await empty.begin("serve", GOCONDUCTOR_REST_PORT=str(port), GOCONDUCTOR_DATABASE_URL=url)
    assert serving.stderr is not None
    assert "waiting for PostgreSQL" in (await serving.stderr.readline()).decode()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
        assert ((await client.get("/livez")).status_code, (await client.head("/livez")).content) == (200, b"")
        for answer in (await client.get("/readyz"), await client.get("/v1/sagas"), await client.post("/v1/sagas/order", json={})):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert (answer.json()["type"], answer.json()["errors"][0]["path"]) == ("urn:goconductor:problem:not-ready", "store")
        assert (await client.get("/livez", headers={"host": "evil.example"})).status_code == 421
    serving.send_signal(signal.SIGTERM)
    ran = await empty.end(serving)
    assert (ran.code, ran.out) == (0, "stopped\n"), ran.err


async def test_serve_lives_while_it_waits_for_the_database_that_has_its_secrets(empty: Terminal) -> None:
    port, url = free_port(), f"postgresql://127.0.0.1:{free_port()}/x"
    referring = {"GOCONDUCTOR_BUS_KIND": "rabbitmq", "GOCONDUCTOR_BUS_URL": "${secret:bus}"}
    serving = await empty.begin(
        "serve", GOCONDUCTOR_REST_PORT="0", GOCONDUCTOR_HEALTH_PORT=str(port), GOCONDUCTOR_DATABASE_URL=url, **referring
    )
    assert serving.stderr is not None
    while "waiting for PostgreSQL" not in (line := (await serving.stderr.readline()).decode()):
        assert line
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
    serving.send_signal(signal.SIGTERM)
    ran = await empty.end(serving)
    assert (ran.code, ran.out) == (0, "stopped\n"), ran.err


async def test_serve_refuses_a_port_that_is_taken_and_a_database_that_is_not_migrated(empty: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = await empty.run("serve", GOCONDUCTOR_REST_PORT=port)
    assert ran.code == 2
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in ran.err
    assert (await empty.run("serve", GOCONDUCTOR_REST_PORT="0")).code == 3


async def test_a_command_beside_a_process_leaves_the_ports_of_its_settings_alone(terminal: Terminal) -> None:
    """`docker exec` and `kubectl exec` give it the environment of the process that has them."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = await terminal.run("participants", GOCONDUCTOR_HEALTH_PORT=port, GOCONDUCTOR_METRICS_PORT=port)
    assert (ran.code, ran.err) == (0, "")


async def test_serve_refuses_another_host_than_loopback(empty: Terminal) -> None:
    ran = await empty.run("serve", GOCONDUCTOR_REST_HOST="0.0.0.0")
    assert (ran.code, "Set auth.enabled to true" in ran.err) == (2, True)
