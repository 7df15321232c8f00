# ruff: noqa: T201 - it prints what it found
"""Runs simulations: ``python -m tests.simulation --seed 0 --runs 1000``; ``make simulate`` calls it.

One run alone prints its transcript. Several print how often each fault came and which seeds failed; the first failing one is made
smaller, and kept in ``tests/simulation/regressions`` where ``--keep`` names it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from tests.simulation.shrinking import keep, shrunk
from tests.simulation.simulated.faults import FAULTS, Fault
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate


def main() -> int:
    """Run what the command line says; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Run simulations of goconductor.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many run at once")
    parser.add_argument("--keep", default="", help="a name under which the first failing run is kept, made smaller")
    given = parser.parse_args()
    if given.runs == 1:
        results: list[Result] = [simulate(Options(seed=given.seed))]
        print("\n".join(results[0].transcript))
    else:
        results = _many(range(given.seed, given.seed + given.runs), given.processes)
    failed = [result for result in results if result.wrong]
    for result in failed[:20]:
        print(f"\nseed {result.options.seed}:", *result.wrong[:5], sep="\n  ")
    if failed and given.keep:
        print(f"\nkept as {keep(shrunk(failed[0]), given.keep)}")
    return 1 if failed else 0


def _many(seeds: Iterable[int], processes: int) -> list[Result]:
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.map(_run, [Options(seed=seed) for seed in seeds], chunksize=25)
    print(report(results, time.monotonic() - began))
    return results


def _run(options: Options) -> Result:
    """Run one, and keep the transcript only of a failure."""
    result = simulate(options)
    return result if result.wrong else replace(result, transcript=())


def report(results: list[Result], seconds: float) -> str:
    """Say what was run, and how often each fault came."""
    faults: Counter[Fault] = sum((result.faults for result in results), Counter())
    ends: Counter[str] = sum((result.ends for result in results), Counter())
    virtual = sum(result.seconds for result in results) / 3600
    longest = max(result.healed_seconds for result in results)
    failed = sum(bool(result.wrong) for result in results)
    lines = [
        f"{len(results):,} runs in {seconds:,.0f} s, {virtual:,.0f} simulated hours, {failed} broke a promise",
        f"sagas: {', '.join(f'{count:,} {status}' for status, count in sorted(ends.items()))}",
        f"after the last fault the last saga ended within {longest:.0f} s",
        f"{sum(faults.values()):,} faults:",
        *(f"  {faults[kind]:>9,}  {about}" for kind, (_, about) in FAULTS.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
