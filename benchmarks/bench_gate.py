"""Has it become dearer? An earlier version and the present one, measured in turn in one run, and judged by ratios.

Of the earlier version its own sources and its own ``bench_sagas.py`` are taken, out of git, so nothing of the present one is in
it. Judged are the CPU seconds, transactions and WAL bytes of a saga; sagas a second are shown only, since whatever else the
machine does changes them. Exit code 1 says that a ratio is above its bound.

    python benchmarks/bench_gate.py [--base v0.1.0] [--rounds 3] [--seconds 4] [--concurrency 64]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
CPU = "CPU seconds"
BOUNDS: Mapping[str, float] = {CPU: 1.10, "transactions_per_saga": 1.25, "wal_bytes_per_saga": 1.05}
"""The largest ratio, present to earlier, that passes. Transactions depend on who arrives when, so they get more room."""
Run = Mapping[str, float]


def main() -> int:
    """Measure, show and judge; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="the earlier version: a tag or commit; without it the last tag")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    base = arguments.base or _last_release()
    runs: dict[str, list[Run]] = {"earlier": [], "present": []}
    with tempfile.TemporaryDirectory(prefix="goconductor-gate-") as folder:
        _unpack(base, Path(folder))
        for number in range(arguments.rounds):
            order = [("earlier", Path(folder)), ("present", HERE)]
            for name, home in order if number % 2 == 0 else reversed(order):
                runs[name].append(_measured(home, arguments.seconds, arguments.concurrency))
    lines, passed = judged(runs["earlier"], runs["present"])
    print(f"{base} against the present, {arguments.rounds} rounds in turn, medians at C={arguments.concurrency}")
    print("\n".join(lines))
    return 0 if passed else 1


def judged(earlier: Sequence[Run], present: Sequence[Run]) -> tuple[list[str], bool]:
    """A line for each figure, and whether all are within their bounds."""
    lines, passed = [], True
    for name in (*BOUNDS, "sagas_per_second"):
        before, after = (statistics.median(_figure(run, name) for run in runs) for runs in (earlier, present))
        ratio, bound = after / before, BOUNDS.get(name)
        above = bound is not None and ratio > bound
        passed = passed and not above
        verdict = "" if bound is None else f"at most {bound:.2f}: {'TOO MUCH' if above else 'passed'}"
        lines.append(f"{name:22} {before:10.3f} {after:10.3f}   ratio {ratio:.2f}   {verdict}".rstrip())
    return lines, passed


def _figure(run: Run, name: str) -> float:
    return run["python_cpu_per_1000"] + run["postgres_cpu_per_1000"] if name == CPU else run[name]


def _measured(home: Path, seconds: float, concurrency: int) -> Run:
    command = [sys.executable, "benchmarks/bench_sagas.py", "--json", f"--seconds={seconds}", f"--concurrency={concurrency}"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(home / folder) for folder in ("src", "", "benchmarks"))}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the benchmark of {home} failed:\n{done.stderr}")
    figures: Run = json.loads(done.stdout.splitlines()[-1])
    return figures


def _last_release() -> str:
    found = subprocess.run(["git", "describe", "--tags", "--abbrev=0"], cwd=HERE, capture_output=True, text=True, check=False)
    if found.returncode:
        sys.exit("there is no release yet to compare with; name a commit with --base")
    return found.stdout.strip()


def _unpack(base: str, folder: Path) -> None:
    found = subprocess.run(["git", "archive", base], cwd=HERE, capture_output=True, check=False)
    if found.returncode:
        sys.exit(f"git has no {base!r}: {found.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    sys.exit(main())
