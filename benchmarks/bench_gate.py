"""Has it become dearer? An earlier version and the present one, measured in turns in one run, and judged by ratios.

Of the earlier version its own sources and its own ``bench_sagas.py`` are taken, out of git, so nothing of the present one is in
it. Each round measures the earlier version twice and the present one once, in an order that rotates. The two runs of the earlier
version show what the machine does by itself: their ratio, "A/A", is shown first. A figure fails where its median ratio is above
its bound even after the noise of A/A was taken off.

Judged are the CPU seconds, transactions and WAL bytes of a saga; sagas a second are shown only, since whatever else the
machine does changes them. Exit code 1 says that a ratio is above its bound.

    python benchmarks/bench_gate.py [--base v0.1.0] [--rounds 5] [--bound 1.10] [--seconds 4] [--concurrency 64]
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
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
CPU = "CPU seconds"
BOUNDS: Mapping[str, float] = {CPU: 1.10, "transactions_per_saga": 1.25, "wal_bytes_per_saga": 1.05}
"""The largest ratio, present to earlier, that passes. Transactions depend on who arrives when, so they get more room."""
Run = Mapping[str, float]


class Round(NamedTuple):
    """One round: the earlier version, the earlier version again, and the present one."""

    earlier: Run
    again: Run
    present: Run


def main() -> int:
    """Measure, show and judge; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", help="the earlier version: a tag or commit; without it the last tag")
    parser.add_argument("--rounds", type=int, default=5, help="how often all three are measured; more of them lower A/A's noise")
    parser.add_argument("--bound", type=float, default=BOUNDS[CPU], help="the largest ratio of CPU seconds that passes")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    base = arguments.base or _last_release()
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="goconductor-gate-") as folder:
        unpack(base, Path(folder))
        homes = (Path(folder), Path(folder), HERE)
        for number in range(arguments.rounds):
            order = [(number + turn) % len(homes) for turn in range(len(homes))]
            runs = {place: _measured(homes[place], arguments.seconds, arguments.concurrency) for place in order}
            rounds.append(Round(*(runs[place] for place in range(len(homes)))))
    lines, passed = judged(rounds, {**BOUNDS, CPU: arguments.bound})
    print(
        f"{base} against the present, {arguments.rounds} rounds in turns at C={arguments.concurrency}, medians of ratios [range]"
    )
    print("\n".join(lines))
    return 0 if passed else 1


def judged(rounds: Sequence[Round], bounds: Mapping[str, float] = BOUNDS) -> tuple[list[str], bool]:
    """Return a line for each figure, and whether all are within their bounds."""
    lines, passed = [], True
    for name in (*BOUNDS, "sagas_per_second"):
        noise = _ratios(rounds, name, "again")
        ratios = _ratios(rounds, name, "present")
        middle, bound = statistics.median(ratios), bounds.get(name)
        beyond = middle / (1 + abs(statistics.median(noise) - 1))
        above = bound is not None and beyond > bound
        passed = passed and not above
        verdict = "" if bound is None else f"at most {bound:.2f}: {'TOO MUCH' if above else 'passed'}"
        before = statistics.median(_figure(each.earlier, name) for each in rounds)
        lines.append(f"{name:22} {before:10.3f}   A/A {_shown(noise)}   present {_shown(ratios)}   {verdict}".rstrip())
    return lines, passed


def _ratios(rounds: Sequence[Round], name: str, which: str) -> list[float]:
    return [_figure(getattr(each, which), name) / _figure(each.earlier, name) for each in rounds]


def _shown(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.3f} [{min(ratios):.2f} to {max(ratios):.2f}]"


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


def unpack(base: str, folder: Path) -> None:
    found = subprocess.run(["git", "archive", base], cwd=HERE, capture_output=True, check=False)
    if found.returncode:
        sys.exit(f"git has no {base!r}: {found.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    sys.exit(main())
