"""Which calls does a saga take, and which did it take before? Exact, however busy the machine is.

Sagas of three steps run in one process, as in ``bench_sagas.py``, 64 at a time, under Python's own profiler. It counts the
calls of each function, those of C included. They depend on the code alone and, a little, on how large the batches were. Where
calls were added or saved is printed by the functions' names, as a function may have moved to another file. Calls are not time:
``bench_gate.py`` has that.

    python benchmarks/bench_calls.py [--base COMMIT] [--sagas 2000] [--shown 30]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import uvloop

import bench_sagas
from goconductor import Settings
from goconductor.app import migrate
from measuring import Run

HERE = Path(__file__).resolve().parents[1]
CONCURRENCY = 64
WARM_UP = 500
"""Sagas before those that are counted: they fill caches and open connections."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="an earlier version to compare with: a tag or commit")
    parser.add_argument("--sagas", type=int, default=2000, help="how many are counted")
    parser.add_argument("--shown", type=int, default=30, help="so many functions are printed")
    parser.add_argument("--count", action="store_true", help="count here, and print JSON")
    arguments = parser.parse_args()
    if arguments.count:
        print(json.dumps(uvloop.run(counted(arguments.sagas))), flush=True)
        return
    before: Mapping[str, float] = {}
    if arguments.base:
        from bench_gate import unpack  # noqa: PLC0415  (where an earlier version is counted, its own file would be found)

        with tempfile.TemporaryDirectory(prefix="goconductor-calls-") as folder:
            unpack(arguments.base, Path(folder))
            before = counted_in(Path(folder), arguments.sagas)
    print("\n".join(report(before, counted_in(HERE, arguments.sagas), arguments.shown)))


def report(before: Mapping[str, float], now: Mapping[str, float], shown: int) -> list[str]:
    """Lines: the sums, then the functions whose calls differ most; without an earlier version those that are called most."""
    sums = [f"{sum(calls.values()):.0f} calls a saga" for calls in (before, now) if calls]
    differing = sorted({*before, *now}, key=lambda name: (-abs(now.get(name, 0.0) - before.get(name, 0.0)), name))
    lines = [
        f"{now.get(name, 0.0):8.2f} {now.get(name, 0.0) - before.get(name, 0.0):+8.2f}  {name}" for name in differing[:shown]
    ]
    return [" before, ".join(sums) + " now", *lines]


def counted_in(home: Path, sagas: int) -> dict[str, float]:
    """The calls a saga of the version in a folder, by the functions' names. Only the counting is this file's."""
    path = os.pathsep.join(str(home / folder) for folder in ("src", "", "benchmarks"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((path, str(HERE / "benchmarks")))}
    command = [sys.executable, "-P", __file__, "--count", f"--sagas={sagas}"]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"counting the calls of {home} failed:\n{done.stderr}")
    calls: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return calls


async def counted(sagas: int) -> dict[str, float]:
    """Run sagas and count the calls of each function name, a saga."""
    async with bench_sagas.database(None) as (url, _):
        settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": url})
        await migrate(settings)
        async with bench_sagas.bench.running(settings) as conductor:
            run = bench_sagas.followed(conductor, bench_sagas.three_steps())
            await closed(run, 0, WARM_UP)
            profiler = cProfile.Profile()
            profiler.enable()
            await closed(run, WARM_UP, sagas)
            profiler.disable()
    calls: Counter[str] = Counter()
    for (_, _, name), (_, number, *_) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        calls[name.partition(" at 0x")[0]] += number
    return {name: number / sagas for name, number in calls.items()}


async def closed(run: Run, first: int, sagas: int) -> None:
    """So many sagas, no more than 64 of them at a time."""
    numbers = iter(range(first, first + sagas))

    async def lane() -> None:
        for number in numbers:
            await run(number)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(CONCURRENCY):
            lanes.create_task(lane())


if __name__ == "__main__":
    main()
