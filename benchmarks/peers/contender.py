"""What a contender is, for the harness: a few processes that stand beside the measured one, and a way to run one saga.

with contender.standing(place, spread=False) as standing:           # in the harness: servers and workers, by process id
    async with contender.running(workload, 64, standing.where) as run:      # in the measured process: client, or all of it
        await run(1)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from goconductor.testing.postgres import PostgresServer
from goconductor.testing.servers.child import Child
from measuring import Run
from peers.work import Workload

PROGRAM = Path(__file__).parents[1] / "bench_peers.py"
TASK = "GOCONDUCTOR_TEST_BENCH"
"""The variable that tells a process of the harness what it is to do, as JSON."""


class UnavailableError(Exception):
    """A contender cannot run here; says why, for the report."""


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


@dataclass
class Standing:
    """What stands beside the measured process.

    Attributes:
        where: what the measured process must know: addresses, as JSON's values.
        workers: process ids of those who run steps.
        servers: process ids of servers that a contender needs beside PostgreSQL.
    """

    where: dict[str, Any] = field(default_factory=dict)
    workers: Sequence[int] = ()
    servers: Sequence[int] = ()


class Contender(ABC):
    """One of those who are compared.

    Attributes:
        name: as on the command line.
        title: for readers.
        packages: distributions whose versions are told.
        tuning: how it is set up, and by whose advice.
        cannot: the workloads that it does not run, each with the reason.
        on_postgresql: whether its log is there; else it has one of its own.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    packages: ClassVar[Sequence[str]] = ()
    tuning: ClassVar[str]
    cannot: ClassVar[Mapping[str, str]] = {}
    on_postgresql: ClassVar[bool] = True

    @property
    def database_name(self) -> str:
        """Its own, where it needs one only."""
        return f"bench_{self.name.replace('-', '_')}"

    @contextmanager
    def standing(self, place: Place, *, spread: bool) -> Iterator[Standing]:
        """Start what it needs; by default a database. It is stopped at the end.

        Args:
            place: where.
            spread: three services in processes of their own, instead of one.

        Raises:
            UnavailableError: something is missing.
        """
        del spread
        yield Standing({"url": place.database(self.database_name)})

    @abstractmethod
    def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AbstractAsyncContextManager[Run]:
        """Be ready to run sagas, in the measured process.

        Args:
            workload: which sagas.
            concurrency: how many will be outstanding.
            where: from :class:`Standing`.
        """

    async def work(self, role: str, where: Mapping[str, Any], ready: Path) -> None:
        """Run steps in a process of their own until SIGTERM; by default there is no such process.

        Args:
            role: which process, where there are several kinds.
            where: as for :meth:`running`.
            ready: to be touched as soon as it can run steps.
        """
        raise NotImplementedError(f"{self.name} has no workers")


def program() -> list[str]:
    """The command that starts another process of the harness."""
    return [sys.executable, str(PROGRAM)]


def environment(task: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a process of the harness."""
    return {**os.environ, TASK: json.dumps(task)}


async def until_stopped(ready: Path) -> None:
    """Say that this process is ready, and wait for SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await loop.run_in_executor(None, ready.touch)
    await stopped.wait()
