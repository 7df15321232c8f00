"""CI tries a test again that failed: what it names, and what it does not forgive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAKY = """
import pytest
tries = [0] * 10

@pytest.mark.parametrize("number", range({count}))
def test_flaky(number):
    tries[number] += 1
    assert tries[number] > {failures}, "out of order"
"""


@pytest.mark.parametrize(
    ("count", "failures", "passes"),
    [(1, 0, True), (3, 1, True), (4, 1, False), (1, 2, False)],
    ids=["none", "three", "four", "twice"],
)
def test_up_to_three_tests_may_fail_once(tmp_path: Path, count: int, failures: int, passes: bool) -> None:
    (tmp_path / "test_flaky.py").write_text(FLAKY.format(count=count, failures=failures))
    dry = subprocess.run(["make", "-n", "test", "TRY_AGAIN=1"], cwd=ROOT, capture_output=True, text=True, check=True)
    (options,) = {line.partition("--reruns")[2] for line in dry.stdout.splitlines() if "--per-leaf" in line}
    command = [sys.executable, "-m", "pytest", "-ptests.conftest", "-n2", f"--config-file={ROOT / 'pyproject.toml'}"]
    done = subprocess.run(
        [*command, *f"--reruns{options}".split(), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) is passes, done.stdout
    assert done.stdout.count(" failed (call) and is tried again") == min(count * min(failures, 1), 3)
    assert ("AssertionError: out of order" in done.stdout) is (failures > 0)
