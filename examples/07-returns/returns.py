"""Sagas that are documents: registered by the command line, started by their names, run by services that never saw them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from parcels import bank, warehouse

from goconductor import CompensatedError, Conductor, Settings, connect, logs, migrate
from goconductor.testing import PostgresServer

FOLDER = Path(__file__).parent
PATIENCE_SECONDS = 600.0


def register(url: str, name: str) -> None:
    """Register a document, as a deployment would: ``goconductor definition register FILE``."""
    program = "from goconductor.cli import main; main()"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GOCONDUCTOR_")}
    command = [sys.executable, "-c", program, "definition", "register", str(FOLDER / name)]
    subprocess.run(command, env=environment | {"GOCONDUCTOR_DATABASE_URL": url}, check=True, stdout=subprocess.DEVNULL)
    print(f"{name} is registered", flush=True)


async def run(conductor: Conductor, saga: str, given: dict[str, Any]) -> None:
    """Start a saga by its name, and print how it ended."""
    print(f"{saga}: {', '.join(map(str, given.values()))}", flush=True)
    started = await conductor.start(saga, given)
    try:
        print(f"  completed: {await started.result(timeout_seconds=PATIENCE_SECONDS)}", flush=True)
    except CompensatedError as error:
        print(f"  compensated: {error.reason}", flush=True)


async def returns(settings: Settings) -> None:
    """Take parcels back."""
    async with warehouse.running(settings), bank.running(settings), connect(settings) as conductor:
        await run(conductor, "return", {"parcel": "a lamp", "cents": 4900})
        await run(conductor, "return", {"parcel": "a broken cup", "cents": 900})
        await run(conductor, "return", {"parcel": "a piano", "cents": 490_000})
        await run(conductor, "reminder", {"customer": "Ann"})


def main() -> None:
    """Run it all over a PostgreSQL of its own."""
    logs.set_up(level="error", format="text")
    with PostgresServer() as postgres:
        settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres.url()})
        asyncio.run(migrate(settings))
        for name in ("return.yaml", "reminder.json"):
            register(postgres.url(), name)
        asyncio.run(returns(settings))


if __name__ == "__main__":
    main()
