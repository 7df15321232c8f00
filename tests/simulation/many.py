# ruff: noqa: T201 - it prints what it found
"""Many simulations at once, in several processes. They find this module by its name, as they could not find a program."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from tests.simulation.simulated.faults import FAULTS, Fault
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate


def many(seeds: Iterable[int], processes: int) -> list[Result]:
    """Run seeds in several processes, and print what came of them; only of failures the transcript is kept."""
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.map(run, [Options(seed=seed) for seed in seeds], chunksize=25)
    print(report(results, time.monotonic() - began))
    return results


def run(options: Options) -> Result:
    """Run one, and keep the transcript only of a failure."""
    result = simulate(options)
    return result if result.wrong else replace(result, transcript=())


def report(results: list[Result], seconds: float) -> str:
    """Say what was run, and how often each fault came."""
    faults: Counter[Fault] = sum((result.faults for result in results), Counter())
    ends: Counter[str] = sum((result.ends for result in results), Counter())
    constructs: Counter[str] = sum((result.constructs for result in results), Counter())
    asked: Counter[str] = sum((result.asked for result in results), Counter())
    virtual = sum(result.seconds for result in results) / 3600
    longest = max(result.healed_seconds for result in results)
    failed = sum(bool(result.wrong) for result in results)
    lines = [
        f"{len(results):,} runs in {seconds:,.0f} s, {virtual:,.0f} simulated hours, {failed} broke a promise",
        f"sagas: {', '.join(f'{count:,} {status}' for status, count in sorted(ends.items()))}",
        f"after the last fault the last saga ended within {longest:.0f} s",
        f"{sum(faults.values()):,} faults:",
        *(f"  {faults[kind]:>9,}  {about}" for kind, (_, about) in FAULTS.items()),
        f"steps with: {_counted(constructs)}",
        f"requests that were accepted: {_counted(asked)}",
    ]
    return "\n".join(lines)


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
