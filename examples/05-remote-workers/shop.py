"""A server, a worker over gRPC and one by long poll, as processes of their own; only the server reaches the database."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from goconductor import CompensatedError, Conductor, Saga, Settings, connect, logs, migrate
from goconductor.testing import PostgresServer

FOLDER = Path(__file__).parent
PATIENCE_SECONDS = 600.0
NODE_WITH_TYPES = (22, 18)


def order() -> Saga[Any, Any]:
    """Write the saga down; it does not say who runs its steps, nor in which language."""
    saga: Saga[Any, Any] = Saga("order")
    saga.step("payments.charge", inputs={"cents": saga.input.cents})
    shipped = saga.step("shipping.ship", inputs={"to": saga.input.to})
    return saga.returns(shipped.output)


@contextmanager
def process(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program, and ask it to end at the end."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("GOCONDUCTOR_")}
    with subprocess.Popen(command, env=ours | environment, text=True) as running:
        try:
            yield running
        finally:
            running.terminate()


@contextmanager
def server(url: str) -> Iterator[tuple[str, str]]:
    """Run a server that takes workers; yields where it speaks gRPC and where REST."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("GOCONDUCTOR_")}
    settings = {"DATABASE_URL": url, "GATEWAY_ENABLED": "true", "GRPC_PORT": "0", "REST_PORT": "0", "LOG_LEVEL": "error"}
    ours |= {f"GOCONDUCTOR_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-c", "from goconductor.cli import main; main()", "serve"]
    with subprocess.Popen(command, env=ours, text=True, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            said = running.stdout.readline() + running.stdout.readline()
            grpc, rest = re.search(r"gRPC on (\S+),", said), re.search(r"REST on (\S+)/v1", said)
            if grpc is None or rest is None:
                raise SystemExit(f"the server said: {said}")
            yield grpc[1], rest[1]
        finally:
            running.terminate()
            running.communicate()


def shipping(grpc: str, rest: str, folder: Path) -> tuple[str, list[str]]:
    """Return the language of a worker that can run here, and its command."""
    if (go := shutil.which("go")) is not None:
        program = str(folder / "worker")
        built = subprocess.run([go, "build", "-o", program, "."], cwd=FOLDER / "go", capture_output=True, text=True, check=False)
        if built.returncode == 0:
            return "Go", [program, rest, "shipping"]
    if (node := shutil.which("node")) is not None:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        if tuple(int(part) for part in version.strip("v\n").split(".")[:2]) >= NODE_WITH_TYPES:
            return "TypeScript", [node, str(FOLDER / "node" / "worker.mts"), rest, "shipping"]
    return "Python", [sys.executable, str(FOLDER / "shipping_worker.py"), grpc]


async def orders(conductor: Conductor, payments: list[str]) -> None:
    """Execute orders, while a worker is killed."""
    with process(*payments) as first:
        print("an order to Berlin", flush=True)
        started = await conductor.start(order(), {"cents": 4900, "to": "Berlin"})
        print(f"  completed: {await asyncio.wait_for(started.result(), PATIENCE_SECONDS)}", flush=True)
        print("an order to nowhere", flush=True)
        started = await conductor.start(order(), {"cents": 4900, "to": "nowhere"})
        try:
            await asyncio.wait_for(started.result(), PATIENCE_SECONDS)
        except CompensatedError as error:
            print(f"  compensated: {error.reason}", flush=True)
        first.kill()
    print("payments is killed, an order waits, and payments comes back", flush=True)
    started = await conductor.start(order(), {"cents": 100, "to": "Rome"})
    with process(*payments):
        print(f"  completed: {await asyncio.wait_for(started.result(), PATIENCE_SECONDS)}", flush=True)


async def day(url: str) -> None:
    """Run it all."""
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
    await migrate(settings)
    with server(url) as (grpc, rest), tempfile.TemporaryDirectory() as folder:
        language, command = shipping(grpc, rest, Path(folder))
        print("payments has a worker in Python, over gRPC", flush=True)
        print(f"shipping has a worker in {language}", flush=True)
        with process(*command):
            async with connect(settings) as conductor:
                await orders(conductor, [sys.executable, str(FOLDER / "payments_worker.py"), grpc])


def main() -> None:
    """Run it all over a PostgreSQL of its own."""
    logs.set_up(level="error", format="text")
    with PostgresServer() as postgres:
        asyncio.run(day(postgres.url()))


if __name__ == "__main__":
    main()
