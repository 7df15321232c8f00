"""The comparison with peers can be repeated: it measures, checks what it measured, and says what it could not measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from goconductor.testing.postgres import PostgresServer
from peers import report
from peers.matrix import Cell, Matrix, Options, Results
from peers.place import Place
from peers.tables import Medians
from peers.work import WORKLOADS, WrongOutcomeError, act, check, summary

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "bench_peers.py"
ABOUT: dict[str, Any] = {
    "began": "today",
    "machine": "one",
    "load_before": [0.0],
    "load_after": [0.0],
    "options": {"seconds": 1.0, "rounds": 2},
    "python": "3",
    "commit": "c",
    "command": "",
    "postgresql": {"fsync": "on"},
    "packages": {},
    "servers": {},
}


@pytest.mark.postgres
def test_a_subset_is_measured_beside_the_hand_written_code_and_the_report_is_written(tmp_path: Path) -> None:
    chosen = ["--contenders", "hand,goconductor,dbos", "--workloads", "steps,failing", "--concurrency", "4"]
    measured = subprocess.run(
        [sys.executable, PROGRAM, *chosen, "--seconds", "0.5", "--rounds", "1", "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert measured.returncode == 0, measured.stderr
    results = Results(**json.loads((tmp_path / "results.json").read_text()))
    cells = {(row["contender"], row["workload"]): row for row in results.rows}
    for contender in ("hand", "goconductor"):
        for workload in ("steps", "failing"):
            row = cells[contender, workload]
            assert row["sagas"] >= 4, measured.stdout
            assert row["transactions_per_saga"] > 0
            assert row["wal_bytes_per_saga"] > 0
    assert results.failures == {}
    page = (tmp_path / "peers.md").read_text()
    assert "| 4 | goconductor |" in page
    assert "fsync on, synchronous_commit on" in page
    # a peer that is not installed, or not to be had at all, is told of
    assert ("dbos", "steps") in cells or "- dbos: the package 'dbos' is not installed" in page
    assert "- dtm: its server cannot be had" in page


async def test_an_outcome_that_is_not_the_workloads_ends_the_run() -> None:
    steps = WORKLOADS["steps"]
    outputs = {step: await act(step, 7) for step in steps.steps}
    check(steps, 7, summary("completed", outputs))
    with pytest.raises(WrongOutcomeError, match="order 8 should have answered"):
        check(steps, 8, summary("completed", outputs))
    with pytest.raises(WrongOutcomeError, match="'outcome': 'compensated'"):
        check(steps, 7, summary("compensated", outputs))
    with pytest.raises(WrongOutcomeError):
        check(WORKLOADS["1k"], 7, summary("completed", outputs))
    del outputs["ship"]
    with pytest.raises(WrongOutcomeError):
        check(steps, 7, summary("completed", outputs))


def test_ratios_are_taken_within_a_round_and_then_their_median() -> None:
    medians = Medians([row("goconductor", 0, 100.0), row("hand", 0, 50.0), row("goconductor", 1, 30.0), row("hand", 1, 10.0)])
    ours, theirs = Cell("goconductor", "steps", 64), Cell("hand", "steps", 64)
    assert medians.ratio("sagas_per_second", ours, theirs) == 2.5
    assert medians.value("sagas_per_second", ours) == 65.0
    assert medians.ratio("sagas_per_second", ours, Cell("dbos", "steps", 64)) is None


def test_a_run_can_be_measured_in_portions(tmp_path: Path) -> None:
    earlier = Results(rows=[row("hand", 0, 50.0), row("hand", 1, 50.0)])
    matrix = Matrix(Place(PostgresServer(), tmp_path), Options(1.0, 1.0, 1, 1.0), print, earlier)
    assert matrix.round_of(Cell("hand", "steps", 64)) == 2
    assert matrix.round_of(Cell("hand", "steps", 1)) == 0


def test_the_report_begins_with_where_we_lose() -> None:
    slower = Results(rows=[row("goconductor", 0, 40.0), row("hand", 0, 50.0)], about=ABOUT)
    page = "\n".join(report.lines(slower, Medians(slower.rows), []))
    first = page.index("## Where goconductor loses")
    assert first == page.index("## ")
    assert "three steps, at 64, beside hand-written, a commit per step: sagas/s 0.80 ×" in page  # noqa: RUF001
    assert "| three steps, at 64 | ≥ 1.2 × hand | 0.8 × | **no** |" in page  # noqa: RUF001


def row(contender: str, number: int, speed: float) -> dict[str, Any]:
    """A cell's figures in one round."""
    kinds = {"client": 1.0, "postgresql": 1.0}
    same = dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "cpu_per_1000_sagas", "transactions_per_saga", "wal_bytes_per_saga"), 1.0)
    about = {"contender": contender, "workload": "steps", "concurrency": 64, "round": number}
    return {
        **about,
        **same,
        "sagas_per_second": speed,
        "steps_per_second": 3 * speed,
        "cpu_per_1000_steps": kinds,
        "memory": kinds,
    }
