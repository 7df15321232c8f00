"""Services, clients, leader and sweep in a simulation in which everything goes wrong: no promise is broken, and all ends.

``make simulate SEED=7 N=1`` prints the transcript of a seed; :mod:`tests.simulation.simulated.faults` has what goes wrong.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.shrinking import kept, promise, shrunk
from tests.simulation.simulated.definitions import CONSTRUCTS, SHAPES, Draft
from tests.simulation.simulated.faults import Fault
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate

ROOT = Path(__file__).parents[2]
BLOCKS, BLOCK = 4, 25
"""Seeds that each test run looks at; `make test-all` looks at ten thousand others."""

DIGESTS = """
import hashlib
from tests.simulation.simulated.simulation import Options, simulate
for seed in range(5):
    result = simulate(Options(seed=seed))
    print(hashlib.sha256("\\n".join(result.transcript).encode()).hexdigest(), result.steps)
"""


def digests() -> list[str]:
    results = [simulate(Options(seed=seed)) for seed in range(5)]
    return [f"{hashlib.sha256(chr(10).join(result.transcript).encode()).hexdigest()} {result.steps}" for result in results]


def test_a_seed_gives_the_same_transcript_also_in_another_process() -> None:
    """The hash of a text is another one in each process, and so is the order of a set of them."""
    here = digests()
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", DIGESTS],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.splitlines() == here
    assert len(set(here)) == len(here)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_promise_is_broken(block: int) -> None:
    faults: Counter[Fault] = Counter()
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        result = simulate(Options(seed=seed))
        assert not result.wrong, f"make simulate SEED={seed} N=1: {result.wrong}"
        faults += result.faults
    rare = {Fault.DATABASE_CRASH, Fault.CLOCK_JUMP, Fault.LEAVE, Fault.TWO_LEADERS}
    assert {kind for kind in Fault if not faults[kind]} <= rare


def test_no_promise_is_broken_where_steps_start_sagas() -> None:
    begun = 0
    for seed in range(BLOCK):
        result = simulate(Options(seed=seed, sagas=3, children=True))
        assert not result.wrong, f"make simulate SEED={seed} N=1, with children: {result.wrong}"
        begun += sum(result.ends.values()) - result.options.sagas
    assert begun > BLOCK


def test_no_promise_is_broken_where_sagas_are_migrated() -> None:
    """Definitions are edited and sagas moved to them and back, while processes are killed and messages are lost."""
    moved = 0
    for seed in range(BLOCK):
        result = simulate(Options(seed=seed, migrations=True))
        assert not result.wrong, f"make simulate SEED={seed} N=1, with migrations: {result.wrong}"
        moved += result.asked["SagaMigrated"]
    assert moved > BLOCK


def test_what_was_found_once_is_not_found_again() -> None:
    assert {name: wrong for name, options in kept().items() if (wrong := simulate(options).wrong)} == {}


def test_nothing_goes_wrong_where_nothing_does() -> None:
    result = simulate(Options(seed=1, kinds=()))
    assert (result.wrong, sum(result.faults.values())) == ((), 0)
    assert sum(result.ends.values()) == result.options.sagas


def test_a_failure_is_made_smaller() -> None:
    """A made up failure that needs a crash, and three sagas."""

    def run(options: Options) -> Result:
        faults = Counter(dict.fromkeys(options.kinds, 3))
        fails = Fault.CRASH in options.kinds and options.sagas >= 3
        return Result(
            options=options,
            wrong=("I2: twice",) if fails else (),
            transcript=(),
            faults=faults,
            steps=1,
            ends=Counter(),
            constructs=Counter(),
            asked=Counter(),
            seconds=1.0,
            healed_seconds=0.0,
        )

    small = shrunk(run(Options(seed=1)), run)
    assert small.options == Options(seed=1, sagas=3, kinds=(Fault.CRASH,), faults_max=0, instances=1)
    assert promise(small.wrong[0]) == "I2"


def test_every_construct_is_in_some_definition() -> None:
    assert len({construct.__name__ for construct in (*SHAPES, *CONSTRUCTS)}) == 18
    assert all(construct.__doc__ for construct in (*SHAPES, *CONSTRUCTS))
    assert Draft.__doc__


def test_many_runs_are_counted() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--runs", "4", "--processes", "2"]
    many = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "4 runs" in many.stdout
    assert "0 broke a promise" in many.stdout


def test_one_run_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["simulation", "--seed", "3"])
    assert main() == 0
    assert "everything heals" in capsys.readouterr().out
