"""What does the compiled build save? A compiled wheel beside a pure one, in turns, by CPU seconds of Python.

Both wheels are of the present sources, each unpacked into a folder of its own, and run ``bench_sagas.py`` with the same
interpreter. A round measures the pure one twice and the compiled one once, in an order that rotates. The two runs of the pure one
show what the machine does by itself: their ratio, "A/A", is shown first.

What is compiled is a small part of what a saga costs. So it is measured by itself as well: the decisions of a saga of three
steps, the best of many runs, which hardly depends on what else the machine does.

    python benchmarks/bench_compiled.py --pure WHEEL --compiled WHEEL [--rounds 5] [--seconds 4] [--concurrency 64]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

HERE = Path(__file__).resolve().parent
FIGURES = ("decisions_us", "python_cpu_per_1000", "sagas_per_second")
DECISIONS_OF = 1_000
"""Sagas in a run of decisions."""


class Round(NamedTuple):
    """One round: the pure build, the pure build again, and the compiled one."""

    pure: Mapping[str, float]
    again: Mapping[str, float]
    compiled: Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    if sys.argv[1:] == ["--decisions"]:
        print(decisions_us())
        return
    parser.add_argument("--pure", type=Path, required=True, help="the wheel of pure Python")
    parser.add_argument("--compiled", type=Path, required=True, help="the compiled wheel")
    parser.add_argument("--rounds", type=int, default=5, help="how often all three are measured; more of them lower A/A's noise")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="goconductor-compiled-") as folder:
        pure, compiled = (
            unpacked(wheel, Path(folder) / kind) for kind, wheel in (("pure", arguments.pure), ("compiled", arguments.compiled))
        )
        builds = [built(home) for home in (pure, compiled)]
        if builds != ["pure Python", "compiled"]:
            sys.exit(f"--pure is {builds[0]}, and --compiled is {builds[1]}")
        homes, rounds = (pure, pure, compiled), list[Round]()
        for number in range(arguments.rounds):
            order = [(number + turn) % len(homes) for turn in range(len(homes))]
            runs = {place: measured(homes[place], arguments.seconds, arguments.concurrency) for place in order}
            rounds.append(Round(*(runs[place] for place in range(len(homes)))))
    print(f"compiled beside pure, {arguments.rounds} rounds in turns at C={arguments.concurrency}, medians of ratios [range]")
    print("\n".join(report(rounds)))


def unpacked(wheel: Path, home: Path) -> Path:
    """A folder with what is in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    return home


def built(home: Path) -> str:
    """Which build a folder has, as it says itself."""
    return _run(home, ["-c", "from goconductor.builds import build; print(build())"]).strip()


def measured(home: Path, seconds: float, concurrency: int) -> dict[str, float]:
    """The figures of one run of the build in a folder."""
    command = [str(HERE / "bench_sagas.py"), "--json", f"--seconds={seconds}", f"--concurrency={concurrency}"]
    figures: dict[str, float] = json.loads(_run(home, command).splitlines()[-1])
    return {**figures, "decisions_us": float(_run(home, [__file__, "--decisions"]))}


def decisions_us() -> float:
    """CPU time of all decisions of a saga, in microseconds, of the build that is imported."""
    from goconductor.lifecycle.decide import begin, decide  # noqa: PLC0415  (of the build that is measured, in its process)
    from goconductor.lifecycle.facts.events import ActionSucceeded, SagaStarted  # noqa: PLC0415
    from goconductor.saga.definition import Definition, Step  # noqa: PLC0415
    from goconductor.saga.plan import plan  # noqa: PLC0415

    names = ("reserve", "charge", "ship")
    steps = tuple(Step(id=name, run=f"bench.{name}", after=names[:place][-1:]) for place, name in enumerate(names))
    compiled, saga_id = plan(Definition(name="three-steps", steps=steps)), UUID(int=1)
    best = float("inf")
    for _ in range(20):
        began = time.process_time()
        for _ in range(DECISIONS_OF):
            state = begin(compiled, saga_id, SagaStarted(input=None, at=1.0)).state
            for name in names:
                state = decide(compiled, state, ActionSucceeded(name, 1, at=2.0)).state
        best = min(best, time.process_time() - began)
    return best / DECISIONS_OF * 1e6


def report(rounds: Sequence[Round]) -> list[str]:
    """A line for each figure: the pure build's median, then the ratios to it, of its other run and of the compiled build."""
    lines = []
    for name in FIGURES:
        before = statistics.median(each.pure[name] for each in rounds)
        noise = _shown([each.again[name] / each.pure[name] for each in rounds])
        ratios = _shown([each.compiled[name] / each.pure[name] for each in rounds])
        lines.append(f"{name:20} {before:10.3f}   A/A {noise}   compiled {ratios}")
    return lines


def _shown(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.3f} [{min(ratios):.2f} to {max(ratios):.2f}]"


def _run(home: Path, command: Sequence[str]) -> str:
    """Run Python with the build in a folder, and not with the sources beside this file."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(home), str(HERE)))}
    done = subprocess.run(
        [sys.executable, "-P", *command], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed on the build in {home}:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
