# ruff: noqa: T201 - it prints what it found
"""Runs simulations: ``python -m tests.simulation --seed 0 --runs 1000``; ``make simulate`` calls it.

One run alone prints its transcript. Several print how often each fault came and which seeds failed; the first failing one is made
smaller, and kept in ``tests/simulation/regressions`` where ``--keep`` names it.
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation.many import many
from tests.simulation.planted import BUGS, seeds_needed
from tests.simulation.shrinking import keep, shrunk
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate


def main() -> int:
    """Run what the command line says; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Run simulations of goconductor.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds from there on")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many run at once")
    parser.add_argument("--keep", default="", help="a name under which the first failing run is kept, made smaller")
    parser.add_argument("--planted", action="store_true", help="plant each known bug instead, and say how many seeds find it")
    given = parser.parse_args()
    if given.planted:
        return _planted(max(given.runs, 400))
    if given.runs == 1:
        results: list[Result] = [simulate(Options(seed=given.seed))]
        print("\n".join(results[0].transcript))
    else:
        results = many(range(given.seed, given.seed + given.runs), given.processes)
    failed = [result for result in results if result.wrong]
    for result in failed[:20]:
        print(f"\nseed {result.options.seed}:", *result.wrong[:5], sep="\n  ")
    if failed and given.keep:
        print(f"\nkept as {keep(shrunk(failed[0]), given.keep)}")
    return 1 if failed else 0


def _planted(runs_max: int) -> int:
    missed = 0
    for name, bug in BUGS.items():
        needed, found = seeds_needed(bug, runs_max=runs_max)
        missed += found is None
        print(f"{name:28} {needed:5} seeds  {found.wrong[0] if found is not None else 'NOT FOUND'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
