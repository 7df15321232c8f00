"""What a contender is, for the harness: a few processes that stand beside the measured one, and a way to run one saga.

with contender.standing(place, url, spread=False) as standing:         # in the harness: servers and workers, by process id
    async with contender.running(workload, 64, standing.where) as run:      # in the measured process: client, or all of it
        await run(1)
"""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from measuring import Run
from peers.work import Workload

if TYPE_CHECKING:
    from peers.place import Place

LOOPBACK = "127.0.0.1"
TASK = "GOCONDUCTOR_TEST_BENCH"
"""The variable that tells a process of the harness what it is to do, as JSON."""


class UnavailableError(Exception):
    """A contender cannot run here; says why, for the report."""


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

    def prepare(self, place: Place) -> str:
        """Make what is there before anything starts, which is not timed: by default a fresh database, whose URL is answered."""
        return place.database(self.database_name)

    @contextmanager
    def standing(self, place: Place, url: str, *, spread: bool) -> Iterator[Standing]:
        """Start what it needs; by default nothing. It is stopped at the end.

        Args:
            place: where.
            url: of the database that was prepared.
            spread: three services in processes of their own, instead of one.

        Raises:
            UnavailableError: something is missing.
        """
        del place, spread
        yield Standing({"url": url})

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


async def until_stopped(ready: Path) -> None:
    """Say that this process is ready, and wait for SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await loop.run_in_executor(None, ready.touch)
    await stopped.wait()
