"""How it goes on at scale: each sub-command prints the figures of one claim; see "At scale" in README.md.

    python benchmarks/bench_scale.py backlog [--rows 1000000]    # starts, ends and sweeps beside so many sagas that wait
    python benchmarks/bench_scale.py shapes                      # up to 10,000 parallel steps, items of a map, and 1,000 sequential steps
    python benchmarks/bench_scale.py hot                         # one saga, 50 instances
    python benchmarks/bench_scale.py churn [--seconds 60]        # tables and latencies while sagas come and go; then a pinned snapshot
    python benchmarks/bench_scale.py processes [--seconds 6]     # 1 to 4 participant processes
    python benchmarks/bench_scale.py idle                        # start-up, idle CPU
    python benchmarks/bench_scale.py running [--rows 10000]      # memory of so many running sagas
    python benchmarks/bench_scale.py waiting [--rows 100000]     # memory of so many sagas that wait for a back-off, near and far
    python benchmarks/bench_scale.py people [--rows 100000]      # memory and CPU of so many sagas that wait for a signal
    python benchmarks/bench_scale.py dead [--rows 100000]        # retention and takeover of so many sagas

Each starts a PostgreSQL of its own, fsync on. Sagas that only stand by are inserted by SQL, as they would be after their first step.
"""

# ruff: noqa: E501 - what is printed stands in long lines

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import asyncpg
import psutil
import uvloop

from bench_sagas import bench, counters, database
from goconductor import Participant, Saga, Settings, connect, migrate
from goconductor.control.doors.conductor import engine
from goconductor.recovery.retention import Retaining
from goconductor.recovery.sweep import Sweeper
from measuring import cpu_seconds
from scale import DAY_SECONDS, connected, fill, loop, prepared, timed
from standing import idle, people, running, waiting


async def backlog(arguments: argparse.Namespace) -> None:
    async with prepared() as (settings, url, _), bench.running(settings) as conductor:
        node = engine(conductor)
        await loop(conductor, 64, 3.0)
        for rows in (0, arguments.rows):
            if rows:
                began = time.perf_counter()
                await fill(conductor, url, rows, status="running")
                print(f"{rows:,} sagas wait now (inserted in {time.perf_counter() - began:.0f} s)", flush=True)
                await loop(conductor, 64, 3.0)
            alone = await loop(conductor, 1, arguments.seconds)
            many = await loop(conductor, 64, arguments.seconds)
            due, _ = await timed(lambda: node.store.recovery.due(500), 20)
            sweeper = Sweeper(node)
            term = await node.store.terms.current()
            sweep, looked = await timed(partial(sweeper.sweep_once, term.epoch if term else 0), 20)
            assert node.store.metrics is not None
            seconds, _ = await timed(node.store.metrics.read, 5)
            print(
                f"waiting {rows:>9,}: C=1 {alone[0]:.0f} sagas/s p50 {alone[1]:.2f} ms; C=64 {many[0]:.0f} sagas/s p50 {many[1]:.1f} "
                f"p99 {many[2]:.1f} ms; due {due:.2f} ms, a sweep of {looked} due {sweep:.2f} ms, metrics {seconds:.1f} ms",
                flush=True,
            )


def shape(kind: str, size: int) -> Saga[dict[str, Any]]:
    saga: Saga[dict[str, Any]] = Saga(f"{kind}-{size}")
    order = {"order": saga.input["order"]}
    if kind == "mapped":
        lines = saga.map(saga.input["lines"], id="lines")
        lines.step("bench.reserve", inputs=order)
        saga.step("bench.ship", inputs=order, after=[lines])
        return saga
    before: list[Any] = []
    steps: list[Any] = []
    for number in range(size):
        step = saga.step("bench.reserve", id=f"s{number}", inputs=order, after=before)
        steps.append(step)
        before = [step] if kind == "sequential" else []
    saga.step("bench.ship", inputs=order, after=steps if kind == "parallel" else before)
    return saga


async def shapes(_arguments: argparse.Namespace) -> None:
    async with prepared() as (settings, url, _), bench.running(settings) as conductor:
        wide = (10, 100, 1000, 3000, 10_000)
        for kind, sizes in {"sequential": (10, 100, 300, 1000), "parallel": wide, "mapped": wide}.items():
            for size in sizes:
                saga, lines = shape(kind, size), {"lines": [*range(size)]} if kind == "mapped" else {}
                await (await conductor.start(saga, {"order": 0} | lines)).result(timeout_seconds=300)
                _, wal = await counters(url)
                cpu, began = time.process_time(), time.perf_counter()
                await (await conductor.start(saga, {"order": 1} | lines)).result(timeout_seconds=300)
                took, cpu = time.perf_counter() - began, time.process_time() - cpu
                _, after = await counters(url)
                print(
                    f"{size:>6} {kind} steps: {took:7.3f} s, {took / size * 1e6:6.0f} µs a step, Python CPU {cpu / size * 1e6:5.0f} µs a "
                    f"step, {(after - wal) / size:5.0f} WAL bytes a step",
                    flush=True,
                )


async def hot(_arguments: argparse.Namespace) -> None:
    """One saga of 1,000 parallel steps, for 50 instances that take a few at a time."""
    async with database(None, max_connections="900") as (url, _), AsyncExitStack() as stack:
        settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_PARTICIPANT_PREFETCH": "4"})
        await migrate(settings)
        instances = []
        for _ in range(50):
            participant = Participant("bench", concurrency=4)

            @participant.step
            async def reserve(order: int) -> int:
                await asyncio.sleep(0.02)
                return order

            @participant.step
            async def ship(order: int) -> int:
                return order

            instances.append(await stack.enter_async_context(participant.running(settings)))
        client = await stack.enter_async_context(connect(settings))
        for size in (50, 1000):
            counts = [dict(engine(each).counts) for each in instances]
            began = time.perf_counter()
            await (await client.start(shape("parallel", size), {"order": 1})).result(timeout_seconds=300)
            took = time.perf_counter() - began

            def grown(name: str, before: list[dict[str, int]] = counts) -> int:
                return sum(engine(each).counts[name] - old.get(name, 0) for each, old in zip(instances, before, strict=True))

            at_it = sum(
                engine(each).counts["steps_run"] > old.get("steps_run", 0) for each, old in zip(instances, counts, strict=True)
            )
            print(
                f"{size} steps, {at_it} of 50 instances at it: {took:.2f} s, {grown('steps_run')} runs, {grown('appends')} appends won, "
                f"{grown('append_conflict')} lost ({grown('append_conflict') / size:.2f} a step), {grown('sweep_resent')} sent again",
                flush=True,
            )


async def churn(arguments: argparse.Namespace) -> None:
    """Sagas come and go while retention takes them after some seconds. Time is scaled, so autovacuum wakes every 2 seconds."""
    async with (
        prepared(autovacuum_naptime="2s") as (settings, url, _),
        bench.running(settings) as conductor,
        connected(url) as watcher,
    ):
        node = engine(conductor)
        term = await node.store.terms.current()
        keeping = Retaining(node, sagas_days=5 / DAY_SECONDS, dead_letters_days=1, instances_days=1)

        async def retain() -> None:
            while True:
                await keeping.pass_once(term.epoch if term else 0)
                await asyncio.sleep(1.0)

        retaining, total = asyncio.create_task(retain()), 0.0
        pinning: Any = None
        for turn in range(10):
            if turn == 7:
                print("a snapshot is pinned from now on", flush=True)
                pinning = await asyncpg.connect(url)
                await pinning.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM goconductor.sagas")
            rate, p50, p99 = await loop(conductor, 64, arguments.seconds / 10)
            total += rate * arguments.seconds / 10
            due, _ = await timed(lambda: node.store.recovery.due(500), 20)
            size, dead = await watcher.fetchrow(
                "SELECT pg_size_pretty(sum(pg_total_relation_size(relid))), sum(n_dead_tup) FROM pg_stat_user_tables"
                " WHERE schemaname = 'goconductor'"
            )
            live = await watcher.fetchval("SELECT count(*) FROM goconductor.sagas")
            print(
                f"{total:>8,.0f} sagas so far, {live:>7,} kept: {rate:.0f} sagas/s, p50 {p50:.1f} p99 {p99:.1f} ms, due {due:.2f} ms, tables "
                f"{size}, {dead:,} dead rows",
                flush=True,
            )
        retaining.cancel()
        await pinning.close()


async def worker() -> None:
    """A participant process that starts its own sagas: told when to begin, it says how many ended."""
    settings = Settings.load()
    async with bench.running(settings) as conductor:
        await loop(conductor, 64, 1.0)
        print("ready", flush=True)
        seconds = float(await asyncio.to_thread(sys.stdin.readline))
        rate, p50, p99 = await loop(conductor, 64, seconds)
        print(f"{rate} {p50} {p99} {time.process_time()}", flush=True)


def spawn(url: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "GOCONDUCTOR_DATABASE_URL": url, "GOCONDUCTOR_LOG_LEVEL": "error"}
    command = [sys.executable, __file__, "worker"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


async def processes(arguments: argparse.Namespace) -> None:
    for count in (1, 2, 3, 4):
        async with prepared() as (_, url, postmaster):
            workers = [spawn(url) for _ in range(count)]
            for each in workers:
                assert each.stdout
                each.stdout.readline()
            cpus = [psutil.Process(each.pid).cpu_times() for each in workers]
            before = cpu_seconds(postmaster)
            for each in workers:  # all at once, and only then listen to them one by one
                print(arguments.seconds, file=each.stdin, flush=True)
            told = [each.communicate()[0].split() for each in workers]
            postgres = cpu_seconds(postmaster) - before
            python = sum(float(each[3]) - cpu.user - cpu.system for each, cpu in zip(told, cpus, strict=True))
            rate = sum(float(each[0]) for each in told)
            sagas = rate * arguments.seconds
            print(
                f"{count} processes: {rate:.0f} sagas/s ({rate * 3:.0f} steps/s), p50 {max(float(each[1]) for each in told):.0f} ms, p99 "
                f"{max(float(each[2]) for each in told):.0f} ms; cores busy: Python {python / arguments.seconds:.2f}, PostgreSQL "
                f"{postgres / arguments.seconds:.2f}; a core of PostgreSQL alone would carry {sagas / postgres:.0f} sagas/s",
                flush=True,
            )


async def dead(arguments: argparse.Namespace) -> None:
    async with prepared() as (settings, url, _), bench.running(settings) as conductor, connected(url) as connection:
        node = engine(conductor)
        term = await node.store.terms.current()
        epoch = term.epoch if term else 0
        before = await loop(conductor, 64, 4.0)
        await fill(conductor, url, arguments.rows, status="completed", days=60, seq=4)
        longest = [0.0]
        retention: Any = node.store.retention
        forget = retention.forget

        async def timing(*args: Any, **facts: Any) -> Any:
            began = time.perf_counter()
            answer = await forget(*args, **facts)
            longest[0] = max(longest[0], time.perf_counter() - began)
            return answer

        retention.forget = timing
        began = time.perf_counter()
        passing = asyncio.create_task(Retaining(node, sagas_days=30, dead_letters_days=1, instances_days=1).pass_once(epoch))
        during = await loop(conductor, 64, 4.0)
        gone = await passing
        print(
            f"retention: {gone['sagas']:,} sagas, {gone['entries']:,} log entries and {gone['start_keys']:,} keys in "
            f"{time.perf_counter() - began:.1f} s, longest statement {longest[0] * 1000:.0f} ms; sagas/s before {before[0]:.0f} (p99 "
            f"{before[2]:.0f} ms), meanwhile {during[0]:.0f} (p99 {during[2]:.0f} ms)",
            flush=True,
        )
        gone_one = await node.store.instances.register("bench", "gone", {})
        await node.store.instances.unregister(gone_one.serial)
        await fill(conductor, url, arguments.rows, status="running", instance=gone_one.serial)
        took, (_, sagas) = await timed(lambda: node.store.instances.mark_dead(gone_one.serial, epoch=epoch), 3)
        print(f"a dead instance's {len(sagas):,} live sagas are found in {took:.0f} ms", flush=True)
        await connection.execute(
            "INSERT INTO goconductor.participants (participant, name, application_name, steps, dead_at)"
            " SELECT 'command', 'line', 'x', '{}', now() - interval '30 days' FROM generate_series(1, $1)",
            arguments.rows,
        )
        missing, _ = await timed(node.store.instances.missing, 5)
        _, gone = await timed(lambda: Retaining(node, sagas_days=0, dead_letters_days=0, instances_days=7).pass_once(epoch))
        after, _ = await timed(node.store.instances.missing, 5)
        print(
            f"who is missing, beside {arguments.rows:,} rows of processes that are gone: {missing:.1f} ms; after retention took "
            f"{gone['instances']:,}: {after:.1f} ms",
            flush=True,
        )


COMMANDS = {
    "backlog": backlog,
    "shapes": shapes,
    "hot": hot,
    "churn": churn,
    "processes": processes,
    "idle": idle,
    "running": running,
    "waiting": waiting,
    "people": people,
    "dead": dead,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=(*COMMANDS, "worker"))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seconds", type=float)
    arguments = parser.parse_args()
    arguments.rows = arguments.rows or {"backlog": 1_000_000, "running": 10_000}.get(arguments.command, 100_000)
    arguments.seconds = arguments.seconds or {"churn": 60.0, "idle": 10.0}.get(arguments.command, 6.0)
    uvloop.run(worker() if arguments.command == "worker" else COMMANDS[arguments.command](arguments))


if __name__ == "__main__":
    main()
