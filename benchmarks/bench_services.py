"""What a bus costs: three-step sagas whose steps belong to three services, each a process of its own.

A closed loop as in bench_sagas.py, but every step's end goes over the bus to the next step's service, and the last one's to the
client. Printed for each C: sagas/s and steps/s, latency, and CPU seconds per 1,000 sagas of all Python processes and of the bus's
server. Every outcome is checked. Compare with bench_sagas.py, where nothing crosses the bus.

With ``--count`` a second loop follows each, in which the calls of each process are counted. The profiler slows this
loop, so that waves may be of another size.

    python benchmarks/bench_services.py [--bus postgres|kafka] [--concurrency 1,64,256] [--seconds 8] [--count]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from counting import Counting, counts, threads
from goconductor import Conductor, Participant, Saga, Settings, connect
from goconductor.app import migrate
from goconductor.testing.postgres import PostgresServer
from measuring import Run, closed_loop, cpu_seconds, milliseconds
from tests.servers.kafka import KafkaServer

DATABASE = "goconductor_bench"
STEPS = ("reserve", "charge", "ship")
SERVICES = dict(zip(("stock", "bank", "parcels"), STEPS, strict=True))
WAIT_SECONDS = 60.0


def service(name: str) -> Participant:
    participant = Participant(name, concurrency=4096)
    step = SERVICES[name]

    async def run(order: int) -> dict[str, object]:
        return {"step": step, "order": order, "ok": True}

    run.__name__ = step
    participant.step(run)
    return participant


def three_steps() -> Saga[dict[str, int]]:
    saga: Saga[dict[str, int]] = Saga("three-services")
    order = {"order": saga.input["order"]}
    before = None
    for name, step in SERVICES.items():
        before = saga.step(f"{name}.{step}", inputs=order, after=[before] if before is not None else [])
    return saga


@dataclass
class Figures:
    bus: str
    concurrency: int
    sagas_per_second: float
    steps_per_second: float
    p50_ms: float
    p99_ms: float
    python_cpu_per_1000: float
    server_cpu_per_1000: float


def followed(conductor: Conductor) -> Run:
    """One saga, to its end."""
    saga = three_steps()

    async def run(number: int) -> None:
        handle = await conductor.start(saga, {"order": number})
        outputs = await handle.result(timeout_seconds=WAIT_SECONDS)
        if set(outputs) != set(STEPS) or outputs["ship"]["order"] != number:
            raise AssertionError(f"saga {handle.saga_id} answered {outputs}")

    return run


async def measure(
    conductor: Conductor, bus: str, servers: list[int], pythons: list[int], concurrency: int, seconds: float
) -> Figures:
    run = followed(conductor)
    await closed_loop(run, concurrency, time.perf_counter() + min(2.0, seconds / 2))
    python, server = cpu_seconds(*pythons) + time.process_time(), cpu_seconds(*servers)
    began = time.perf_counter()
    latencies = await closed_loop(run, concurrency, began + seconds)
    elapsed = time.perf_counter() - began
    python, server = cpu_seconds(*pythons) + time.process_time() - python, cpu_seconds(*servers) - server
    sagas = len(latencies)
    return Figures(
        bus=bus,
        concurrency=concurrency,
        sagas_per_second=round(sagas / elapsed, 1),
        steps_per_second=round(sagas * len(STEPS) / elapsed, 1),
        p50_ms=milliseconds(latencies, 0.5),
        p99_ms=milliseconds(latencies, 0.99),
        python_cpu_per_1000=round(python / sagas * 1000, 3),
        server_cpu_per_1000=round(server / sagas * 1000, 3),
    )


async def count(conductor: Conductor, folder: Path, pythons: list[int], concurrency: int, seconds: float) -> None:
    """Print what each process does for a saga: its threads' time and sleeps, then the calls of its loop."""
    run, pids = followed(conductor), dict(zip(SERVICES, pythons, strict=True)) | {"client": os.getpid()}
    before = {name: threads(pid) for name, pid in pids.items()}
    sagas = len(await closed_loop(run, concurrency, time.perf_counter() + seconds))
    for name, pid in pids.items():
        for thread, (cpu, sleeps) in sorted(threads(pid).items()):
            cpu_before, sleeps_before = before[name].get(thread, (0.0, 0))
            if (milliseconds_a_saga := (cpu - cpu_before) / sagas * 1000) >= 0.001:
                line = f"{milliseconds_a_saga:6.3f} ms, {(sleeps - sleeps_before) / sagas:5.2f} sleeps a saga"
                print(f"  {name:8} thread {thread:16} {line}", flush=True)
    own = Counting(folder / "client")
    for pid in pythons:
        os.kill(pid, signal.SIGUSR1)
    own.begin()
    sagas = len(await closed_loop(run, concurrency, time.perf_counter() + seconds))
    own.end()
    for pid in pythons:
        os.kill(pid, signal.SIGUSR2)
    while not all((folder / name).exists() for name in SERVICES):  # noqa: ASYNC110  (other processes write them)
        await asyncio.sleep(0.01)
    counted = {name: counts(folder / name) for name in pids}
    for what in counted["client"]:
        if any(counted[name][what] for name in counted):
            print(f"  {what:32}" + "".join(f"{counted[name][what] / sagas:9.2f} {name}" for name in counted), flush=True)
    for name in pids:
        (folder / name).unlink()


async def serve(name: str, counted: Path | None) -> None:
    """Run a service, until it is ended; its calls are counted between SIGUSR1 and SIGUSR2."""
    if counted is not None:
        counting, loop = Counting(counted / name), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, counting.begin)
        loop.add_signal_handler(signal.SIGUSR2, counting.end)
    await service(name).run()


@contextmanager
def processes(environment: dict[str, str], counted: Path) -> Iterator[list[int]]:
    """The three services; gone at the end."""
    running = [
        subprocess.Popen(
            [sys.executable, __file__, "--service", name, "--counted", str(counted)],
            env={**os.environ, **environment},
            start_new_session=True,
        )
        for name in SERVICES
    ]
    try:
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def run(arguments: argparse.Namespace) -> None:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(settings={"shared_buffers": "512MB"}))
        servers = [postgres.pid]
        environment = {"GOCONDUCTOR_DATABASE_URL": postgres.create_database(DATABASE), "GOCONDUCTOR_BUS_KIND": arguments.bus}
        if arguments.bus == "kafka":
            kafka = stack.enter_context(KafkaServer(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
            environment["GOCONDUCTOR_BUS_URL"] = kafka.url
            servers.append(kafka.child.pid)
        print(f"bus {arguments.bus}; Python {platform.python_version()}; {os.cpu_count()} cores", flush=True)
        settings = Settings.load(environ=environment)
        await migrate(settings)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pythons = stack.enter_context(processes(environment, folder))
        async with connect(settings) as conductor:
            # the first saga waits until all three services are there
            await followed(conductor)(0)
            for concurrency in map(int, arguments.concurrency.split(",")):
                show(await measure(conductor, arguments.bus, servers, pythons, concurrency, arguments.seconds), arguments.json)
                if arguments.count:
                    await count(conductor, folder, pythons, concurrency, arguments.seconds)


def show(figures: Figures, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(figures)), flush=True)
        return
    print(
        f"C={figures.concurrency:<5} {figures.sagas_per_second:8.0f} sagas/s {figures.steps_per_second:8.0f} steps/s   "
        f"p50 {figures.p50_ms:7.2f} ms  p99 {figures.p99_ms:7.2f} ms   "
        f"CPU s per 1,000 sagas: Python {figures.python_cpu_per_1000:.3f}, servers {figures.server_cpu_per_1000:.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--concurrency", default="1,64,256")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--counted", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--service", choices=tuple(SERVICES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.service:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        uvloop.run(serve(arguments.service, arguments.counted))
    else:
        uvloop.run(run(arguments))


if __name__ == "__main__":
    main()
