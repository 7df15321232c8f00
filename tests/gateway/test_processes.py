"""Servers and workers as processes on a real database: killed, stopped and taken over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from goconductor import Conductor, Saga, Settings, connect, migrate
from tests.gateway.conftest import PATIENCE_SECONDS

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
PROGRAM = Path(__file__).with_name("program.py")


class Town:
    """A folder with a database behind it, its servers and its workers."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "GOCONDUCTOR_DATABASE_URL": url,
            "GOCONDUCTOR_REST_PORT": "0",
            "GOCONDUCTOR_GATEWAY_ENABLED": "true",
            "GOCONDUCTOR_GATEWAY_GRACE_SECONDS": "0.5",
        }
        self.settings = Settings.load(environ=self.environ)
        self.processes: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self, *command: str, **more: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"log-{len(self.processes)}").open("wb")
        process = subprocess.Popen(
            [sys.executable, *command], env=os.environ | self.environ | more, cwd=self.folder, stdout=log, stderr=log
        )
        log.close()
        self.processes.append(process)
        return process

    def server(self) -> subprocess.Popen[bytes]:
        return self.start("-c", "from goconductor.cli import main; main()", "serve", GOCONDUCTOR_GRPC_PORT=str(self.port))

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        return self.start(str(PROGRAM), f"127.0.0.1:{self.port}", str(self.folder), name)

    def notes(self, text: str) -> list[str]:
        path = self.folder / "notes"
        return [line for line in path.read_text().splitlines() if text in line] if path.exists() else []

    async def noted(self, text: str) -> list[str]:
        while not (found := self.notes(text)):
            failed = [process.args for process in self.processes if process.poll() not in (None, 0, -signal.SIGKILL)]
            assert not failed, f"{failed} have ended\n{self.logs()}"
            await asyncio.sleep(0.05)
        return found

    def open_gate(self) -> None:
        (self.folder / "open").touch()

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("log-*")))


@pytest.fixture
def town(postgres_url: str, tmp_path: Path) -> Iterator[Town]:
    town = Town(postgres_url, tmp_path)
    yield town
    for process in town.processes:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


@pytest.fixture
async def conductor(town: Town) -> AsyncIterator[Conductor]:
    await migrate(town.settings)
    async with connect(town.settings) as conductor:
        yield conductor


def order() -> Saga[Any, Any]:
    saga: Saga[Any, Any] = Saga("order")
    charged = saga.step("payments.charge", inputs={"order": saga.input.order})
    return saga.returns(charged.output)


async def started(conductor: Conductor, number: int) -> UUID:
    return (await conductor.start(order(), {"order": number})).saga_id


async def completed(conductor: Conductor, saga_id: UUID) -> str:
    output: str = await asyncio.wait_for(conductor.saga(saga_id).result(), PATIENCE_SECONDS)
    return output


async def test_a_worker_is_killed_and_another_takes_over_under_the_same_key(town: Town, conductor: Conductor) -> None:
    town.server()
    first = town.worker("first")
    saga_id = await started(conductor, 1)
    (begun,) = await town.noted("first charge 1 1")
    first.kill()
    second = town.worker("second")
    (again,) = await town.noted("second charge 1 2")
    assert begun.split()[-1] == again.split()[-1]
    town.open_gate()
    assert await completed(conductor, saga_id) == f"receipt {second.pid}"


async def test_a_worker_that_is_stopped_is_known_in_time_and_its_late_outcome_is_not_taken(
    town: Town, conductor: Conductor
) -> None:
    town.server()
    first = town.worker("first")
    saga_id = await started(conductor, 1)
    await town.noted("first charge 1 1")
    first.send_signal(signal.SIGSTOP)
    second = town.worker("second")
    await town.noted("second charge 1 2")
    first.send_signal(signal.SIGCONT)
    town.open_gate()
    assert await completed(conductor, saga_id) == f"receipt {second.pid}"
    assert await completed(conductor, await started(conductor, 2)) in {f"receipt {first.pid}", f"receipt {second.pid}"}


async def test_a_server_is_killed_and_the_worker_goes_on_at_the_next_one(town: Town, conductor: Conductor) -> None:
    server = town.server()
    town.worker("first")
    saga_id = await started(conductor, 1)
    await town.noted("first charge 1 1")
    server.kill()
    server.wait()
    town.server()
    await town.noted("first charge 1 2")
    town.open_gate()
    await completed(conductor, saga_id)


async def test_both_end_in_order_with_nothing_left_behind(town: Town, conductor: Conductor) -> None:
    server, worker = town.server(), town.worker("first")
    saga_id = await started(conductor, 1)
    await town.noted("first charge 1 1")
    worker.terminate()
    town.open_gate()
    await completed(conductor, saga_id)
    assert await asyncio.to_thread(worker.wait) == 0
    server.terminate()
    assert await asyncio.to_thread(server.wait) == 0
    assert town.notes("charge 1") == [*town.notes("charge 1 1")]
    assert "Traceback" not in town.logs()
