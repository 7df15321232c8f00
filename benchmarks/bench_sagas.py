"""What coordination alone costs: three-step sagas with no-op steps, one participant, one PostgreSQL with fsync on.

A closed loop: C sagas are outstanding, each is followed by the next when its end is known. Printed for each C: sagas/s and
steps/s, latency, CPU seconds per 1,000 sagas of Python and of PostgreSQL, transactions and WAL bytes per saga. Every outcome is
checked. With ``--profile`` the Python side is profiled by the deterministic profiler, which slows it: read shares, not figures.

    python benchmarks/bench_sagas.py [--concurrency 1,64,256] [--seconds 8] [--url postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import platform
import pstats
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass

import asyncpg
import uvloop

from goconductor import Conductor, Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.control.doors.conductor import engine
from goconductor.engine.facts import garbage
from goconductor.testing.postgres import PostgresAddress, PostgresServer
from measuring import Run, closed_loop, cpu_seconds, milliseconds, postmaster

DATABASE = "goconductor_bench"
STEPS = 3

bench = Participant("bench", concurrency=4096)


@bench.step
async def reserve(order: int) -> dict[str, object]:
    return {"step": "reserve", "order": order, "ok": True}


@bench.step
async def charge(order: int) -> dict[str, object]:
    return {"step": "charge", "order": order, "ok": True}


@bench.step
async def ship(order: int) -> dict[str, object]:
    return {"step": "ship", "order": order, "ok": True}


def three_steps() -> Saga[dict[str, int]]:
    saga: Saga[dict[str, int]] = Saga("three-steps")
    order = {"order": saga.input["order"]}
    first = saga.step(reserve, inputs=order)
    second = saga.step(charge, inputs=order, after=[first])
    saga.step(ship, inputs=order, after=[second])
    return saga


@dataclass
class Figures:
    concurrency: int
    sagas_per_second: float
    steps_per_second: float
    p50_ms: float
    p99_ms: float
    python_cpu_per_1000: float
    postgres_cpu_per_1000: float
    transactions_per_saga: float
    transactions_per_step: float
    wal_bytes_per_saga: float
    events_per_append_batch: float


def followed(conductor: Conductor, saga: Saga[dict[str, int]]) -> Run:
    """One saga, to its end."""

    async def run(number: int) -> None:
        handle = await conductor.start(saga, {"order": number})
        outputs = await handle.result(timeout_seconds=60)
        if set(outputs) != {"reserve", "charge", "ship"} or outputs["ship"]["order"] != number:
            raise AssertionError(f"saga {handle.saga_id} answered {outputs}")

    return run


async def counters(url: str) -> tuple[int, int]:
    connection = await asyncpg.connect(url)
    try:
        await asyncio.sleep(1.1)  # the server reports its counters about once a second
        committed = await connection.fetchval("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        wal = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
        return int(committed), int(wal)
    finally:
        await connection.close()


async def measure(conductor: Conductor, url: str, server: int, concurrency: int, seconds: float) -> Figures:
    run = followed(conductor, three_steps())
    await closed_loop(run, concurrency, time.perf_counter() + min(2.0, seconds / 2))
    committed, wal = await counters(url)
    python, postgres = time.process_time(), cpu_seconds(server)
    appends, events = engine(conductor).counts["append_batches"], engine(conductor).counts["events"]
    began = time.perf_counter()
    latencies = await closed_loop(run, concurrency, began + seconds)
    elapsed = time.perf_counter() - began
    python, postgres = time.process_time() - python, cpu_seconds(server) - postgres
    batches = engine(conductor).counts["append_batches"] - appends
    events = engine(conductor).counts["events"] - events
    committed_after, wal_after = await counters(url)
    sagas = len(latencies)
    transactions = (committed_after - committed) / sagas
    return Figures(
        concurrency=concurrency,
        sagas_per_second=round(sagas / elapsed, 1),
        steps_per_second=round(sagas * STEPS / elapsed, 1),
        p50_ms=milliseconds(latencies, 0.5),
        p99_ms=milliseconds(latencies, 0.99),
        python_cpu_per_1000=round(python / sagas * 1000, 3),
        postgres_cpu_per_1000=round(postgres / sagas * 1000, 3),
        transactions_per_saga=round(transactions, 3),
        transactions_per_step=round(transactions / STEPS, 3),
        wal_bytes_per_saga=round((wal_after - wal) / sagas),
        events_per_append_batch=round(events / max(batches, 1), 1),
    )


@asynccontextmanager
async def database(url: str | None, **tuning: str) -> AsyncIterator[tuple[str, int]]:
    """A fresh database on a given server of this machine, or on one started for this run; with the postmaster's process id."""
    tuned = {"shared_buffers": "512MB", **tuning}
    with ExitStack() as stack:
        server = PostgresAddress(url) if url else stack.enter_context(PostgresServer(settings=tuned))
        server.drop_database(DATABASE)
        made = server.create_database(DATABASE)
        version, fsync = server.query("SHOW server_version"), server.query("SHOW fsync")
        print(f"PostgreSQL {version}, fsync {fsync}; Python {platform.python_version()}; {os.cpu_count()} cores", flush=True)
        yield made, server.pid if isinstance(server, PostgresServer) else postmaster(server)
        server.drop_database(DATABASE)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", default="1,64,256")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--url", help="a server to use; without it one is started")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    async with database(arguments.url) as (url, server):
        settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
        await migrate(settings)
        garbage.look_less_often()  # as in Participant.run()
        async with bench.running(settings) as conductor:
            for concurrency in map(int, arguments.concurrency.split(",")):
                profiler = cProfile.Profile() if arguments.profile else None
                if profiler is not None:
                    profiler.enable()
                figures = await measure(conductor, url, server, concurrency, arguments.seconds)
                if profiler is not None:
                    profiler.disable()
                    pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(40)
                show(figures, as_json=arguments.json)


def show(figures: Figures, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(figures)), flush=True)
        return
    print(
        f"C={figures.concurrency:<5} {figures.sagas_per_second:8.0f} sagas/s {figures.steps_per_second:8.0f} steps/s   "
        f"p50 {figures.p50_ms:7.2f} ms  p99 {figures.p99_ms:7.2f} ms   "
        f"CPU s per 1,000 sagas: Python {figures.python_cpu_per_1000:.3f}, PostgreSQL {figures.postgres_cpu_per_1000:.3f}   "
        f"{figures.transactions_per_saga:.2f} transactions/saga ({figures.transactions_per_step:.3f}/step)  "
        f"{figures.wal_bytes_per_saga:.0f} WAL bytes/saga  {figures.events_per_append_batch:.0f} events/append",
        flush=True,
    )


if __name__ == "__main__":
    uvloop.run(main())
