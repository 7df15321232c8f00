"""The gate passes what costs the same, and names what has become dearer."""

from __future__ import annotations

import pytest

from bench_gate import CPU, Round, judged

RUN = {
    "python_cpu_per_1000": 0.2,
    "postgres_cpu_per_1000": 0.1,
    "transactions_per_saga": 0.1,
    "wal_bytes_per_saga": 2000.0,
    "sagas_per_second": 3000.0,
}


def test_what_costs_the_same_passes_however_slow_the_machine_was() -> None:
    slow = {**RUN, "sagas_per_second": 10.0}
    lines, passed = judged([Round(RUN, RUN, RUN), Round(RUN, slow, slow), Round(slow, RUN, slow)])
    assert passed
    assert not any("TOO MUCH" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value"), [("python_cpu_per_1000", 0.24), ("transactions_per_saga", 0.2), ("wal_bytes_per_saga", 2200.0)]
)
def test_what_became_dearer_is_named(name: str, value: float) -> None:
    lines, passed = judged([Round(RUN, RUN, {**RUN, name: value})] * 3)
    assert not passed
    assert sum("TOO MUCH" in line for line in lines) == 1


def test_one_bad_run_of_three_is_no_regression() -> None:
    bad = {**RUN, "python_cpu_per_1000": 5.0}
    _, passed = judged([Round(RUN, RUN, RUN), Round(RUN, RUN, RUN), Round(RUN, RUN, bad)])
    assert passed


def test_a_tighter_bound_finds_a_smaller_regression() -> None:
    dearer = {**RUN, "python_cpu_per_1000": 0.21}
    rounds = [Round(RUN, RUN, dearer)] * 3
    assert judged(rounds)[1]
    assert not judged(rounds, {CPU: 1.02})[1]


def test_what_the_same_version_does_beside_itself_is_shown_first_and_taken_off() -> None:
    noisy, dearer = {**RUN, "python_cpu_per_1000": 0.22}, {**RUN, "python_cpu_per_1000": 0.225}
    lines, passed = judged([Round(RUN, noisy, dearer)] * 3, {CPU: 1.02})
    assert passed
    assert "A/A 1.067" in lines[0]
    assert "present 1.083" in lines[0]
