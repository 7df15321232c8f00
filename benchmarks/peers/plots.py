"""The plots: sagas a second and latency by concurrency for each workload, and what a step costs."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from peers.contenders import PLACES
from peers.matrix import STANDING, Cell
from peers.report import own_log
from peers.tables import Medians
from peers.work import WORKLOADS

KINDS = {
    "client": "client, and worker where it is in the same process",
    "worker": "worker",
    "server": "server",
    "postgresql": "PostgreSQL",
}
COST_AT = 64
COLOURS = dict(zip(PLACES, plt.get_cmap("tab10").colors, strict=False))


def draw(medians: Medians, folder: Path) -> list[Path]:
    """Draw what was measured; the files."""
    mpl.rcParams |= {"svg.hashsalt": "goconductor", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}
    measured = {cell.workload for cell in medians.cells} - {STANDING}
    return [
        path for name in WORKLOADS if name in measured for path in (curves(medians, name, folder), costs(medians, name, folder))
    ]


def curves(medians: Medians, workload: str, folder: Path) -> Path:
    """Speed and latency, by concurrency; both scales are logarithmic."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for name, colour in COLOURS.items():
        cells = sorted((cell for cell in medians.cells if (cell.contender, cell.workload) == (name, workload)), key=at)
        if not cells:
            continue
        at_once = [cell.concurrency for cell in cells]
        for axis, key in zip(axes, ("sagas_per_second", "p50_ms"), strict=True):
            axis.plot(at_once, [medians.value(key, cell) for cell in cells], "o-", color=colour, label=name, markersize=4)
        axes[1].plot(at_once, [medians.value("p99_ms", cell) for cell in cells], ":", color=colour)
    for axis, title in zip(axes, ("sagas per second", "latency, ms: p50, and dotted p99"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="sagas at once", title=title)
    axes[0].legend(fontsize=7)
    figure.suptitle(WORKLOADS[workload].title)
    return keep(figure, folder / f"{workload}.svg")


def costs(medians: Medians, workload: str, folder: Path) -> Path:
    """CPU seconds per 1,000 steps by kind of process, at 64 or whatever is nearest; the scale is logarithmic."""
    cells = [cell for cell in medians.cells if cell.workload == workload]
    at_once = min({cell.concurrency for cell in cells}, key=lambda number: abs(number - COST_AT))
    shown = [cell for name in PLACES for cell in cells if (cell.contender, cell.concurrency) == (name, at_once)]
    figure, axis = plt.subplots(figsize=(10, 1.2 + 0.4 * len(shown)))
    height = 0.8 / len(KINDS)
    for number, (kind, title) in enumerate(KINDS.items()):
        hidden = {cell for cell in shown if kind == "postgresql" and own_log(cell.contender)}
        values = [0.0 if cell in hidden else medians.part("cpu_per_1000_steps", kind, cell) or 0.0 for cell in shown]
        axis.barh([row + number * height for row in range(len(shown))], values, height, label=title)
    axis.set(
        xscale="log",
        xlim=(0.01, None),
        xlabel="CPU seconds per 1,000 steps",
        title=f"{WORKLOADS[workload].title}, at {at_once:,}",
    )
    axis.set_yticks([row + 0.4 - height / 2 for row in range(len(shown))], [cell.contender for cell in shown])
    axis.invert_yaxis()
    axis.legend(fontsize=7)
    return keep(figure, folder / f"{workload}-cost.svg")


def at(cell: Cell) -> int:
    """Its concurrency."""
    return cell.concurrency


def keep(figure: plt.Figure, path: Path) -> Path:
    """Write it, without the date, and forget it."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
