"""A worker as a program of its own: it writes down what it does, and holds a step for as long as a file is not there."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from goconductor import StepContext
from goconductor.worker import Worker

target, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
worker = Worker(target, participant="payments", name=name, credit=4)


def note(text: str) -> None:
    with (folder / "notes").open("a") as notes:
        notes.write(f"{text}\n")


@worker.step(timeout="300s")
async def charge(order: int, context: StepContext) -> str:
    note(f"{name} charge {order} {context.attempt} {context.idempotency_key}")
    while not (folder / "open").exists():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    note(f"{name} charged {order}")
    return f"receipt {os.getpid()}"


assert not {module.partition(".")[0] for module in sys.modules} & {"asyncpg", "sqlalchemy"}
assert "goconductor.stores" not in sys.modules
worker.run()
