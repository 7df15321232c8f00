"""A failing run made smaller, so that its transcript can be read: fewer faults, fewer kinds of them, fewer sagas.

Each try is a whole run. It counts as the same failure if it breaks the same promise; with other faults the rest of a run changes.
(Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002; here kinds and counts are enough.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate

REGRESSIONS = Path(__file__).with_name("regressions")
TRIES_MAX = 150


def promise(wrong: str) -> str:
    """Which promise is broken: ``I2``, or the beginning of an error that was logged."""
    return wrong[:40] if wrong.startswith("an error") else wrong.partition(":")[0]


def shrunk(failed: Result, run: Callable[[Options], Result] = simulate) -> Result:
    """Make a failing run smaller.

    Args:
        failed: a run that broke promises; its first one counts.
        run: runs a simulation.
    """
    broken, tries = promise(failed.wrong[0]), 0
    best, found = failed, True
    while found:
        found = False
        for smaller in _smaller(best):
            tries += 1
            if tries > TRIES_MAX:
                return best
            result = run(smaller)
            if any(promise(wrong) == broken for wrong in result.wrong):
                best, found = result, True
                break
    return best


def _smaller(result: Result) -> Iterator[Options]:
    options, count = result.options, sum(result.faults.values())
    if options.faults_max is not None:
        count = min(count, options.faults_max)
    came = tuple(kind for kind in options.kinds if result.faults[kind])
    if came != options.kinds:
        yield replace(options, kinds=came)
    for sagas in sorted({1, options.sagas // 2, options.sagas - 1}):
        if 0 < sagas < options.sagas:
            yield replace(options, sagas=sagas)
    for kind in came:
        yield replace(options, kinds=tuple(each for each in came if each is not kind))
    for most in sorted({count // 4, count // 2, count * 3 // 4, count - 1}):
        if 0 <= most < count:
            yield replace(options, faults_max=most)
    if options.instances > 1:
        yield replace(options, instances=1)


def keep(failed: Result, name: str) -> Path:
    """Keep a run among the regressions: its options, by which it is repeated, and its transcript, to be read.

    Args:
        failed: the run.
        name: what it shows, as a file's name.
    """
    REGRESSIONS.mkdir(exist_ok=True)
    path = REGRESSIONS / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(failed.options)) + b"\n")
    path.with_suffix(".txt").write_text("\n".join((*failed.wrong, "", *failed.transcript)) + "\n")
    return path


def kept() -> dict[str, Options]:
    """The options of all regressions, by name."""
    return {path.stem: msgspec.json.decode(path.read_bytes(), type=Options) for path in sorted(REGRESSIONS.glob("*.json"))}
