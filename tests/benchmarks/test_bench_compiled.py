"""The comparison of builds tells what the machine does by itself beside what compiling saves."""

from __future__ import annotations

from bench_compiled import Round, report

PURE = {"decisions_us": 20.0, "python_cpu_per_1000": 0.4, "sagas_per_second": 1000.0}


def test_ratios_are_to_the_pure_run_of_the_same_round() -> None:
    slow = {"decisions_us": 20.0, "python_cpu_per_1000": 0.8, "sagas_per_second": 500.0}
    quick, of_slow = (
        {"decisions_us": 15.0, "python_cpu_per_1000": 0.3, "sagas_per_second": 1250.0},
        {"decisions_us": 15.0, "python_cpu_per_1000": 0.6, "sagas_per_second": 625.0},
    )
    decisions, cpu, sagas = report([Round(PURE, PURE, quick), Round(slow, PURE, of_slow), Round(PURE, PURE, quick)])
    assert " ".join(cpu.split()) == "python_cpu_per_1000 0.400 A/A 1.000 [0.50 to 1.00] compiled 0.750 [0.75 to 0.75]"
    assert " ".join(sagas.split()) == "sagas_per_second 1000.000 A/A 1.000 [1.00 to 2.00] compiled 1.250 [1.25 to 1.25]"
    assert " ".join(decisions.split()) == "decisions_us 20.000 A/A 1.000 [1.00 to 1.00] compiled 0.750 [0.75 to 0.75]"
