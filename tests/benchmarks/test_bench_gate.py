"""The gate passes what costs the same, and names what has become dearer."""

from __future__ import annotations

import pytest

from bench_gate import judged

RUN = {
    "python_cpu_per_1000": 0.2,
    "postgres_cpu_per_1000": 0.1,
    "transactions_per_saga": 0.1,
    "wal_bytes_per_saga": 2000.0,
    "sagas_per_second": 3000.0,
}


def test_what_costs_the_same_passes_however_slow_the_machine_was() -> None:
    lines, passed = judged([RUN] * 3, [RUN, {**RUN, "sagas_per_second": 10.0}, {**RUN, "sagas_per_second": 10.0}])
    assert passed
    assert not any("TOO MUCH" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value"), [("python_cpu_per_1000", 0.24), ("transactions_per_saga", 0.2), ("wal_bytes_per_saga", 2200.0)]
)
def test_what_became_dearer_is_named(name: str, value: float) -> None:
    lines, passed = judged([RUN] * 3, [{**RUN, name: value}] * 3)
    assert not passed
    assert sum("TOO MUCH" in line for line in lines) == 1


def test_one_bad_run_of_three_is_no_regression() -> None:
    _, passed = judged([RUN] * 3, [RUN, RUN, {**RUN, "python_cpu_per_1000": 5.0}])
    assert passed
