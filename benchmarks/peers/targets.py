"""The targets that goconductor has set itself, as ratios within one run, and the cells that are needed to judge them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peers.matrix import STANDING, Cell
from peers.tables import Medians
from peers.work import WORKLOADS

OURS = "goconductor"
KAFKA = "goconductor-kafka"


@dataclass(frozen=True)
class Target:
    """One line of the table.

    Attributes:
        what: the workload and where.
        wanted: in words.
        reached: the figure, or None where its cells were not measured.
        met: whether the figure is good enough.
        unit: of the figure.
    """

    what: str
    wanted: str
    reached: Callable[[Medians], float | None]
    met: Callable[[float], bool]
    unit: str = ""


def ratio(workload: str, at: int, other: str, least: float) -> Target:
    """So many times as many sagas a second as somebody else."""
    return Target(
        f"{WORKLOADS[workload].title}, at {at:,}",
        f"≥ {least:g} × {other}",
        lambda medians: medians.ratio("sagas_per_second", Cell(OURS, workload, at), Cell(other, workload, at)),
        lambda reached: reached >= least,
        " ×",
    )


def against(name: str, workload: str, other: str, other_workload: str, least: float) -> Target:
    """The sagas a second over services, beside those of one process."""
    return Target(
        f"{WORKLOADS[workload].title}, {name}, at 64",
        f"≥ {least:g} × {other} ({other_workload})",
        lambda medians: medians.ratio("sagas_per_second", Cell(name, workload, 64), Cell(other, other_workload, 64)),
        lambda reached: reached >= least,
        " ×",
    )


def most(what: str, unit: str, most: float, figure: Callable[[Medians], float | None]) -> Target:
    """A figure that is not to be larger."""
    return Target(what, f"≤ {most:,.4g}{unit}", figure, lambda reached: reached <= most, unit)


def slept(medians: Medians) -> float | None:
    """The share of what the sleeping alone would allow, in percent."""
    reached = medians.value("sagas_per_second", Cell(OURS, "io", 1024))
    workload = WORKLOADS["io"]
    return None if reached is None else 100 * reached / (1024 / (workload.sleep_seconds * len(workload.steps)))


def slept_as_fast(medians: Medians) -> float | None:
    """What is left of the speed without the sleeping, in percent."""
    share = medians.ratio("sagas_per_second", Cell(OURS, "io", 1024), Cell(OURS, "steps", 1024))
    return None if share is None else 100 * share


COST = Cell(OURS, "steps", 64)
REST = Cell(OURS, STANDING, 1)

TARGETS = (
    most(
        "three steps, at 1: p50",
        " × hand",
        2,
        lambda medians: medians.ratio("p50_ms", Cell(OURS, "steps", 1), Cell("hand", "steps", 1)),
    ),
    most(
        "three steps, at 1: p50",
        " × restate",
        1 / 3,
        lambda medians: medians.ratio("p50_ms", Cell(OURS, "steps", 1), Cell("restate", "steps", 1)),
    ),
    ratio("steps", 64, "hand", 1.2),
    ratio("steps", 64, "restate", 5),
    ratio("steps", 64, "dbos", 40),
    ratio("steps", 64, "temporal-local", 50),
    ratio("steps", 256, "hand", 1.8),
    ratio("steps", 256, "restate", 7),
    ratio("steps", 256, "hand-group", 0.28),
    ratio("failing", 64, "hand", 1.2),
    ratio("failing", 64, "restate", 5),
    ratio("fan-out", 64, "hand", 1.5),
    ratio("fan-out", 64, "restate", 2.5),
    against(OURS, "services", OURS, "steps", 0.5),
    against(KAFKA, "services", OURS, "steps", 0.5),
    against(OURS, "services", "restate", "steps", 2),
    against(KAFKA, "services", "restate", "steps", 2),
    most("three services, at 1: p50", " ms", 8, lambda medians: medians.value("p50_ms", Cell(OURS, "services", 1))),
    most("three services, Kafka, at 1: p50", " ms", 8, lambda medians: medians.value("p50_ms", Cell(KAFKA, "services", 1))),
    Target("steps of 10 ms, at 1,024", "≥ 95 % of what the sleeping alone allows", slept, lambda reached: reached >= 95, " %"),
    Target(
        "steps of 10 ms, at 1,024",
        "(for comparison: of the same without sleeping)",
        slept_as_fast,
        lambda reached: reached >= 95,
        " %",
    ),
    most("cost of a saga, at 64: CPU", " s per 1,000", 0.5, lambda medians: medians.value("cpu_per_1000_sagas", COST)),
    most("cost of a saga, at 64: commits", " transactions", 0.25, lambda medians: medians.value("transactions_per_saga", COST)),
    most("cost of a saga, at 64: WAL", " bytes", 2200, lambda medians: medians.value("wal_bytes_per_saga", COST)),
    most("start to first saga", " s", 0.7, lambda medians: medians.value("ready_seconds", REST)),
    most("idle", " % of a core", 0.5, lambda medians: medians.part("idle_cpu_percent", "client", REST)),
    most("memory at rest", " MiB", 60, lambda medians: medians.part("idle_memory", "client", REST)),
)

CELLS = tuple(
    Cell(contender, workload, concurrency)
    for contender, workload, concurrencies in (
        ("hand", "steps", (1, 64, 256)),
        ("hand", "failing", (64,)),
        ("hand", "fan-out", (64,)),
        ("hand-group", "steps", (64, 256)),
        (OURS, STANDING, (1,)),
        (OURS, "steps", (1, 64, 256, 1024)),
        (OURS, "failing", (64,)),
        (OURS, "fan-out", (64,)),
        (OURS, "io", (1024,)),
        (OURS, "services", (1, 64)),
        (KAFKA, "services", (1, 64)),
        ("restate", "steps", (1, 64, 256)),
        ("restate", "failing", (64,)),
        ("restate", "fan-out", (64,)),
        ("temporal-local", "steps", (64,)),
        ("temporal", "steps", (64,)),
        ("dbos", "steps", (64,)),
        ("restate", STANDING, (1,)),
        ("temporal", STANDING, (1,)),
        ("dbos", STANDING, (1,)),
        ("procrastinate", "steps", (64,)),
    )
    for concurrency in concurrencies
)
"""What the targets need, and the two peers beside them that they do not name."""
