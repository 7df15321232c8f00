"""One cell of the table: one contender, one workload, so many sagas outstanding; measured in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from measuring import closed_loop, cpu_seconds, mebibytes, milliseconds, written
from peers.contenders import find
from peers.work import WORKLOADS

WARM_CONCURRENCY_MAX = 64
WARM_SECONDS_MAX = 2.0
SETTLE_SECONDS = 3.0
FIRST, WARM, MEASURED = 0, 1_000_000, 100_000_000
"""Where the numbers of the sagas of each phase begin."""


@dataclass(frozen=True)
class Task:
    """What the process is told.

    Attributes:
        contender: its name.
        workload: its name.
        concurrency: how many sagas are outstanding.
        seconds: how long sagas are started; 0 measures the start alone.
        idle_seconds: for how long it is watched at rest, after its first saga; 0: not at all.
        where: what the contender needs to know.
        url: of the PostgreSQL server, for its counters.
        pids: processes by kind: ``worker``, ``server``, ``postgresql``.
        asked_at: when the process was asked for, by ``time.time()``.
    """

    contender: str
    workload: str
    concurrency: int
    seconds: float
    idle_seconds: float
    where: Mapping[str, Any]
    url: str
    pids: Mapping[str, Sequence[int]]
    asked_at: float


@dataclass
class Figures:
    """What one cell came to. Times are seconds, latencies milliseconds, memory MiB; CPU is seconds by kind of process."""

    contender: str
    workload: str
    concurrency: int
    sagas: int = 0
    sagas_per_second: float = 0.0
    steps_per_second: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_per_1000_steps: dict[str, float] = field(default_factory=dict)
    cpu_per_1000_sagas: float = 0.0
    transactions_per_saga: float = 0.0
    wal_bytes_per_saga: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    first_saga_seconds: float = 0.0
    idle_cpu_percent: dict[str, float] = field(default_factory=dict)
    idle_memory: dict[str, float] = field(default_factory=dict)


async def measure(task: Task) -> Figures:
    """Run the cell."""
    workload = WORKLOADS[task.workload]
    figures = Figures(task.contender, task.workload, task.concurrency)
    kinds = {"client": [os.getpid()], **task.pids}
    async with find(task.contender).running(workload, task.concurrency, task.where) as run:
        await run(FIRST)
        figures.first_saga_seconds = round(time.time() - task.asked_at, 3)
        if task.idle_seconds:
            await asyncio.sleep(SETTLE_SECONDS)
            spent, began = cpu(kinds), time.perf_counter()
            await asyncio.sleep(task.idle_seconds)
            seconds = time.perf_counter() - began
            figures.idle_cpu_percent = {kind: round(100 * used / seconds, 2) for kind, used in since(spent, kinds).items()}
            figures.idle_memory = memory(kinds)
        if task.seconds:
            warm = time.perf_counter() + min(WARM_SECONDS_MAX, task.seconds / 2)
            await closed_loop(run, min(task.concurrency, WARM_CONCURRENCY_MAX), warm, WARM)
            gc.collect()
            transactions, wal = await written(task.url)
            spent, began = cpu(kinds), time.perf_counter()
            latencies = await closed_loop(run, task.concurrency, began + task.seconds, MEASURED)
            seconds, used = time.perf_counter() - began, since(spent, kinds)
            transactions_after, wal_after = await written(task.url)
            sagas = len(latencies)
            steps = sagas * workload.actions
            figures.sagas = sagas
            figures.sagas_per_second = round(sagas / seconds, 1)
            figures.steps_per_second = round(steps / seconds, 1)
            figures.p50_ms, figures.p95_ms, figures.p99_ms = (milliseconds(latencies, share) for share in (0.5, 0.95, 0.99))
            figures.cpu_per_1000_steps = {kind: round(1000 * amount / steps, 4) for kind, amount in used.items()}
            figures.cpu_per_1000_sagas = round(1000 * sum(used.values()) / sagas, 3)
            figures.transactions_per_saga = round((transactions_after - transactions) / sagas, 3)
            figures.wal_bytes_per_saga = round((wal_after - wal) / sagas)
            figures.memory = memory(kinds)
    return figures


def cpu(kinds: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """What each kind of process has used so far."""
    return {kind: cpu_seconds(*pids) for kind, pids in kinds.items() if pids}


def since(before: Mapping[str, float], kinds: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """What each kind of process has used since then."""
    return {kind: used - before[kind] for kind, used in cpu(kinds).items()}


def memory(kinds: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """What each kind of process holds."""
    return {kind: round(mebibytes(*pids), 1) for kind, pids in kinds.items() if pids}


def as_document(figures: Figures) -> dict[str, Any]:
    """For JSON."""
    return asdict(figures)
