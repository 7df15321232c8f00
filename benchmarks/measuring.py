"""What every benchmark here does: a closed loop, and what it costs by process and by PostgreSQL's own counters.

A closed loop keeps so many sagas outstanding; each is followed by the next when its end is known. The whole of it counts, with
the start of the first saga and the end of the last, so that slow contenders need no longer a window than fast ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil

if TYPE_CHECKING:
    from goconductor.testing.postgres import PostgresAddress

Run = Callable[[int], Awaitable[None]]
"""One saga, by its number: started, followed to its end, and its outcome checked."""

WRITTEN = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"


async def closed_loop(run: Run, concurrency: int, until: float, first: int = 0) -> list[float]:
    """Latencies, in seconds, of all sagas.

    Args:
        run: one saga.
        concurrency: how many are outstanding.
        until: when no more are started, by ``time.perf_counter()``.
        first: the number of the first saga; the others count on from it.
    """
    latencies: list[float] = []

    async def one(number: int) -> None:
        while True:
            began = time.perf_counter()
            await run(number)
            latencies.append(time.perf_counter() - began)
            number += concurrency
            if time.perf_counter() >= until:
                return

    async with asyncio.TaskGroup() as lanes:
        for lane in range(concurrency):
            lanes.create_task(one(first + lane))
    return latencies


def milliseconds(latencies: Iterable[float], share: float) -> float:
    """The latency that this share of the sagas did not exceed."""
    ordered = sorted(latencies)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 2)


async def written(url: str) -> tuple[int, int]:
    """Transactions that wrote something, subtransactions included, and bytes of WAL, since the server was made.

    These are exact at any moment, unlike the counters of all transactions, which its processes report now and then.
    """
    connection = await asyncpg.connect(url)
    try:
        transactions, wal = (await connection.fetch(WRITTEN))[0]
        return int(transactions), int(wal)
    finally:
        await connection.close()


def cpu_seconds(*pids: int) -> float:
    """Of processes and their children, those that have ended included."""
    total = 0.0
    for process in family(*pids):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def mebibytes(*pids: int) -> float:
    """Memory of processes and their children; pages that several of them share count once, where the system tells."""
    total = 0
    for process in family(*pids):
        try:
            total += getattr(process.memory_full_info(), "pss", 0) or process.memory_info().rss
        except psutil.AccessDenied:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20


def family(*pids: int) -> list[psutil.Process]:
    """These processes and their children, each once."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found |= {each.pid: each for each in [process, *process.children(recursive=True)]}
        except psutil.NoSuchProcess:
            continue
    return list(found.values())


def postmaster(server: PostgresAddress) -> int:
    """The process id of a server of this machine that somebody else started."""
    return int((Path(server.query("SHOW data_directory")) / "postmaster.pid").read_text().split()[0])
