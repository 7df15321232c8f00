"""``pytest --per-leaf`` fails when a leaf did not pass its whole suite, and says which test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.per_leaf import leaves, suite

ROOT = Path(__file__).parents[2]
LEAF = """
import pytest
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.testing.contracts.bus import BusContract

class TestMemoryBus(BusContract):
    @pytest.fixture
    def new_bus(self):
        broker = MemoryBroker()
        return lambda: MemoryBus(broker)
"""


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_bus_memory.py").write_text(code)
    options = ["--per-leaf", "-ptests.conftest", f"--config-file={ROOT / 'pyproject.toml'}"]
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in leaves()}))
def test_every_kind_of_leaf_has_a_suite(kind: str) -> None:
    assert suite(kind)


def test_a_leaf_that_ran_its_suite_is_counted(tmp_path: Path) -> None:
    done = run(tmp_path, LEAF)
    total = len(suite("bus"))
    assert f"bus/memory {total:14} runs, {total} of {total} tests" in done.stdout
    assert "bus/memory did not pass" not in done.stdout


def test_leaves_that_ran_less_fail_the_run_although_every_test_passed(tmp_path: Path) -> None:
    done = run(tmp_path, LEAF)
    assert f"bus/postgres did not pass {len(suite('bus'))} tests" in done.stdout
    assert " failed" not in done.stdout
    assert done.returncode == 1


def test_a_contract_test_that_a_leaf_hides_is_missing(tmp_path: Path) -> None:
    hidden = "    async def test_2_sending_nothing_is_no_error(self) -> None: pass\n"
    done = run(tmp_path, LEAF + hidden)
    assert "bus/memory did not pass 1 tests: BusContract.test_2_sending_nothing_is_no_error" in done.stdout


def test_a_skipped_test_of_a_real_server_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "import pytest\n@pytest.mark.postgres\ndef test_it():\n    pytest.skip('no server')\n")
    assert "test_it was skipped" in done.stdout
    assert done.returncode == 1
