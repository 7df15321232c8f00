"""Where contenders stand, and how the harness starts its other processes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goconductor.testing.postgres import PostgresServer
from peers.contender import TASK, Contender
from tests.servers.child import Child

PROGRAM = Path(__file__).parents[1] / "peer_process.py"


@dataclass
class Place:
    """Where contenders stand.

    Attributes:
        server: the PostgreSQL that all of them use.
        folder: for their data and logs; it goes with the run.
    """

    server: PostgresServer
    folder: Path

    def database(self, name: str) -> str:
        """A database that is fresh and empty."""
        self.server.drop_database(name)
        return self.server.create_database(name)

    def worker(self, stack: ExitStack, contender: Contender, role: str, where: Mapping[str, Any]) -> int:
        """Start a process that runs :meth:`Contender.work`, and wait until it is ready; the number of the process."""
        ready = self.folder / f"{contender.name}-{role}-{time.time_ns()}.ready"
        task = {"work": contender.name, "role": role, "where": dict(where), "ready": str(ready)}
        child = Child(
            f"{contender.name}-{role}",
            folder=self.folder,
            command=program(),
            environment=environment(task),
            ready=ready.exists,
            stop_timeout_seconds=5.0,
        )
        child.start()
        stack.callback(child.stop)
        return child.pid


def program() -> list[str]:
    """The command that starts another process of the harness."""
    return [sys.executable, str(PROGRAM)]


def environment(task: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a process of the harness."""
    return {**os.environ, TASK: json.dumps(task)}
