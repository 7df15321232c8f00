"""The whole table: contenders alternate over rounds, so that what disturbs the machine disturbs all of them.

In a round each contender is started, measured in all of its cells and stopped; the next round visits them in the opposite order.
Each cell is a process of its own. What is compared are the medians over the rounds, and ratios within a round.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from goconductor.errors import GoConductorError
from measuring import family
from peers.cell import Task
from peers.contender import Contender, Standing, UnavailableError
from peers.contenders import ABSENT, PLACES, find
from peers.place import Place, environment, program
from peers.work import WORKLOADS

STANDING = "standing"
"""Not a workload: how long the contender takes from its start to its first saga, and what it uses at rest."""


@dataclass(frozen=True)
class Cell:
    """What is to be measured once in each round."""

    contender: str
    workload: str
    concurrency: int

    def __str__(self) -> str:
        return f"{self.contender}: {self.workload}, at {self.concurrency:,}"


@dataclass
class Options:
    """How it is measured.

    Attributes:
        seconds: how long sagas are started in each cell.
        idle_seconds: how long a contender is watched at rest.
        rounds: how often each cell is measured.
        cell_seconds_max: what takes longer is given up, and told.
    """

    seconds: float
    idle_seconds: float
    rounds: int
    cell_seconds_max: float


@dataclass
class Results:
    """What came of it.

    Attributes:
        rows: the figures of each cell and round, with ``round``, and how long the start took, without and with the first saga.
        failures: cells that could not be measured, with the reason.
        unavailable: contenders that could not, with the reason.
        about: versions, settings and the machine.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=lambda: dict(ABSENT))
    about: dict[str, Any] = field(default_factory=dict)


class Matrix:
    """Measures cells.

    Args:
        place: where contenders stand.
        options: how it is measured.
        say: is told of each cell.
        earlier: what an earlier run came to, to go on from there; its failures are tried again.
    """

    def __init__(self, place: Place, options: Options, say: Callable[[str], None], earlier: Results | None = None) -> None:
        self._place = place
        self._options = options
        self._say = say
        self.results = Results(rows=list(earlier.rows) if earlier is not None else [])

    def run(self, cells: Sequence[Cell]) -> None:
        """All rounds; :attr:`results` has what they came to."""
        order = [name for name in PLACES if any(cell.contender == name for cell in cells)]
        for number in range(self._options.rounds):
            for name in order if number % 2 == 0 else reversed(order):
                own = [cell for cell in cells if cell.contender == name]
                if name not in self.results.unavailable:
                    self._visit(name, own)

    def round_of(self, cell: Cell) -> int:
        """The number of the cell's next round: how often it was measured."""
        wanted = (cell.contender, cell.workload, cell.concurrency)
        return sum((row["contender"], row["workload"], row["concurrency"]) == wanted for row in self.results.rows)

    def _visit(self, name: str, cells: Sequence[Cell]) -> None:
        try:
            contender = find(name)
            for spread, own in groupby(sorted(cells, key=is_spread), is_spread):
                able = [cell for cell in own if self._can(contender, cell)]
                if able:
                    self._stand(contender, able, spread=spread)
        except (UnavailableError, GoConductorError) as error:
            self.results.unavailable[name] = str(error)
            self._say(f"{name}: {error}")

    def _can(self, contender: Contender, cell: Cell) -> bool:
        reason = contender.cannot.get(cell.workload)
        if reason is not None:
            self.results.failures[f"{cell.contender}: {cell.workload}"] = reason  # of all concurrencies
        return reason is None

    def _stand(self, contender: Contender, cells: Sequence[Cell], *, spread: bool) -> None:
        url = contender.prepare(self._place)
        began = time.time()
        with contender.standing(self._place, url, spread=spread) as standing:
            started = time.time()
            for cell in cells:
                if cell.workload == STANDING:
                    self._measure(contender, cell, standing, rests=False)  # makes the tables, where the contender does
            # first of all, so that what is timed is the first saga of a fresh start
            for cell in sorted(cells, key=lambda cell: cell.workload != STANDING):
                if str(cell) not in self.results.failures:
                    row = self._measure(contender, cell, standing)
                    if row is not None:
                        row |= {"round": self.round_of(cell), "start_seconds": round(started - began, 3)}
                        row["ready_seconds"] = round(row["start_seconds"] + row["first_saga_seconds"], 3)
                        self.results.rows.append(row)
                        self._say(line(row))
        if url:  # else vacuum works on it while the next is measured
            self._place.server.drop_database(contender.database_name)

    def _measure(self, contender: Contender, cell: Cell, standing: Standing, *, rests: bool = True) -> dict[str, Any] | None:
        resting = cell.workload == STANDING
        self._place.server.query("CHECKPOINT")  # else one in the middle would add whole pages to the WAL of one cell only
        task = Task(
            contender=contender.name,
            workload="steps" if resting else cell.workload,
            concurrency=cell.concurrency,
            seconds=0.0 if resting else self._options.seconds,
            idle_seconds=self._options.idle_seconds if resting and rests else 0.0,
            where=standing.where,
            url=self._place.server.url(),
            pids={"worker": standing.workers, "server": standing.servers, "postgresql": [self._place.server.pid]},
            asked_at=time.time(),
        )
        log = self._place.folder / f"{contender.name}.log"
        with log.open("ab") as errors, process(task, errors.fileno()) as measured:
            try:
                said, _ = measured.communicate(timeout=self._options.cell_seconds_max)
                reason = None if measured.returncode == 0 else f"it failed: {last_line(log)}"
            except subprocess.TimeoutExpired:
                reason = f"it took longer than {self._options.cell_seconds_max:g} s"
        if reason is not None:
            self.results.failures[str(cell)] = reason
            self._say(f"{cell}: {reason}")
            return None
        row: dict[str, Any] = json.loads(said.splitlines()[-1])  # a peer's library may print, too
        return {**row, "workload": cell.workload}


@contextmanager
def process(task: Task, errors: int) -> Iterator[subprocess.Popen[bytes]]:
    """The measured one; gone at the end, with all that it started."""
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    started = subprocess.Popen(
        [*dies_with_us, *program()],
        env=environment({"cell": asdict(task)}),
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
            for each in family(started.pid):
                each.send_signal(signal.SIGKILL)
            started.wait()


def is_spread(cell: Cell) -> bool:
    """Whether it needs services in processes of their own."""
    return cell.workload != STANDING and WORKLOADS[cell.workload].spread


def last_line(log: Path) -> str:
    """What a process said at its end."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def line(row: dict[str, Any]) -> str:
    """One row for whoever watches."""
    name = f"{row['contender']:17} {row['workload']:9} C={row['concurrency']:<5}"
    load = f"load {os.getloadavg()[0]:.1f}"
    if row["workload"] == STANDING:
        started = f"start {row['start_seconds']:.2f} s, first saga {row['first_saga_seconds']:.2f} s"
        return f"{name} {started}, idle CPU % {row['idle_cpu_percent']}, MiB {row['idle_memory']}  {load}"
    return (
        f"{name} {row['sagas_per_second']:8.1f} sagas/s  p50 {row['p50_ms']:8.2f} p99 {row['p99_ms']:8.2f} ms  "
        f"CPU s/1,000 steps {row['cpu_per_1000_steps']}  {row['transactions_per_saga']:.2f} transactions  "
        f"{row['wal_bytes_per_saga']:.0f} WAL bytes  {load}"
    )
