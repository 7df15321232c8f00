"""Several workers under uvicorn and gunicorn: reloaded and stopped under load, with open streams and a running step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest

from goconductor import Settings, connect
from goconductor.stores.postgres import migrate
from goconductor.testing.loopback import LOOPBACK, free_port
from tests.docs.page import DOCS, files

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

APPLICATION = """
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from goconductor import Participant, Saga, Settings, create_app

shop = Participant("shop")


@shop.step
async def pack(number: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["GATE_PORT"]))
    writer.write(f"{number}\\n".encode())
    await reader.readline()
    writer.close()
    return number


order = Saga("order")
order.step(pack, inputs={"number": order.input["number"]}, pivot=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = Settings.load()
    async with shop.running(settings) as conductor:
        app.state.sagas = conductor
        app.mount("/ops", create_app(conductor, settings))
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/worker")
async def worker() -> int:
    return os.getpid()


@app.post("/orders/{number}", status_code=202)
async def buy(number: str) -> str:
    started = await app.state.sagas.start(order, {"number": number}, key=number)
    return str(started.saga_id)
"""
WORKERS = 2


class Gate:
    """Where steps wait: each is let through at once, but for those that are held until they are released."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readline()).decode().strip() in self.held:
            self.arrived.set()
            await self.released.wait()
        writer.write(b"go on\n")
        await writer.drain()
        writer.close()


class Site:
    """The application under a server, as a client sees it: each request has a connection of its own."""

    def __init__(self, server: Process, port: int) -> None:
        self.server = server
        self.url = f"http://{LOOPBACK}:{port}"

    async def worker(self) -> int | None:
        """The worker that answers; None if nobody listens yet."""
        async with httpx.AsyncClient(base_url=self.url, timeout=300) as client:
            try:
                return int((await client.get("/worker")).text)
            except httpx.TransportError:
                assert self.server.returncode is None
                return None

    async def seen(self, without: Iterable[int] = ()) -> set[int]:
        """All workers, once all of them have answered and none of some others may."""
        found: set[int] = set()
        while len(found) < WORKERS:
            worker = await self.worker()
            if worker is not None and worker not in without:
                found.add(worker)
        return found

    async def buy(self, number: str) -> str:
        """A worker that ends may close a connection that it has just accepted: then again, and the key makes it the same saga."""
        while True:
            try:
                async with httpx.AsyncClient(base_url=self.url, timeout=300) as client:
                    answer = await client.post(f"/orders/{number}")
            except httpx.TransportError:
                assert self.server.returncode is None
                continue
            assert answer.status_code == 202, answer.text
            saga: str = answer.json()
            return saga


@asynccontextmanager
async def served(folder: Path, url: str, gate: Gate, *command: str, ports: list[int]) -> AsyncIterator[Site]:
    (folder / "shop.py").write_text(APPLICATION, "utf-8")
    conf = files(DOCS / "how-to" / "deploy.md")["gunicorn.conf.py"].replace(
        "str(9464 + worker.place)", f"str({ports}[worker.place])"
    )
    assert str(ports) in conf
    (folder / "gunicorn.conf.py").write_text(conf, "utf-8")
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "GATE_PORT": str(gate.port),
        "GOCONDUCTOR_DATABASE_URL": url,
        "GOCONDUCTOR_PARTICIPANT_DRAIN_SECONDS": "300",
    }
    here = [part.replace("PORT", str(port)) for part in command]
    with (folder / "server.log").open("wb") as log:
        server = await create_subprocess_exec(sys.executable, "-m", *here, cwd=folder, env=variables, stdout=log, stderr=log)
    try:
        yield Site(server, port)
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


COMMANDS = {
    "uvicorn": ["uvicorn", "shop:app", "--workers", str(WORKERS), "--port", "PORT", "--timeout-worker-healthcheck", "600"],
    "gunicorn": [*["gunicorn", "shop:app", "--workers", str(WORKERS)], "--bind", "127.0.0.1:PORT", "--graceful-timeout", "600"],
}


@pytest.mark.parametrize("name", COMMANDS)
async def test_workers_are_replaced_under_load_and_the_last_ones_stop_in_order_with_open_streams(
    name: str, tmp_path: Path, postgres_url: str
) -> None:
    await migrate(postgres_url)
    ports = [free_port() for _ in range(2 * WORKERS)]
    async with Gate() as gate, served(tmp_path, postgres_url, gate, *COMMANDS[name], ports=ports) as site:
        first = await site.seen()
        enough = asyncio.Event()
        sagas: list[str] = []

        async def buy() -> None:
            while not enough.is_set():
                sagas.append(await site.buy(f"early-{len(sagas)}"))

        buying = asyncio.create_task(buy())
        site.server.send_signal(signal.SIGHUP)  # a new worker for each, as for new code
        second = await site.seen(without=first)
        enough.set()
        await buying
        assert first & second == set()
        if name == "gunicorn":  # by gunicorn.conf.py of the page each worker has a port; those that were replaced had the first
            before = await started(ports[WORKERS:])
            sagas += [await site.buy(f"late-{number}") for number in range(8)]
            assert await started(ports[WORKERS:]) == before + 8

        gate.held.add("last")
        sagas.append(await site.buy("last"))
        await gate.arrived.wait()
        async with (
            httpx.AsyncClient(base_url=site.url, timeout=600) as client,
            client.stream("GET", f"/ops/v1/sagas/{sagas[-1]}/events") as stream,
        ):
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith((":", "id:"))
            site.server.send_signal(signal.SIGTERM)
            assert "event: end" not in [line async for line in lines]  # the stream ends, the saga does not
        assert site.server.returncode is None, "a worker waits for its step"
        gate.released.set()
        assert await site.server.wait() in {0, -signal.SIGTERM}, (tmp_path / "server.log").read_text()
    settings = Settings.model_validate({"database": {"url": postgres_url}})
    async with connect(settings) as conductor:
        for number, saga in enumerate(sagas):
            view = await conductor.saga(saga).view()
            assert (number, view.status) == (number, "completed")
            (step,) = view.steps
            assert step.attempt == 1, "it ran once, and was recorded by the worker that ran it"


async def started(ports: Iterable[int]) -> float:
    """How many sagas the workers on these ports have started, as Prometheus would sum it up."""
    found = 0.0
    async with httpx.AsyncClient(timeout=300) as client:
        for port in ports:
            text = (await client.get(f"http://{LOOPBACK}:{port}/metrics")).text
            assert "goconductor_build_info" in text
            lines = (line for line in text.splitlines() if line.startswith("goconductor_sagas_started_total{"))
            found += sum(float(line.rpartition(" ")[2]) for line in lines)
    return found
