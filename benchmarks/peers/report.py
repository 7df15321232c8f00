"""The report: where goconductor loses, what of its targets is reached, a table for each workload, and how it was measured."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from goconductor.testing.postgres import PostgresAddress
from peers import servers
from peers.contender import Contender, UnavailableError
from peers.contenders import PLACES, find
from peers.matrix import STANDING, Cell, Results
from peers.tables import Medians
from peers.targets import KAFKA, OURS, TARGETS
from peers.work import WORKLOADS
from tests.servers import versions as server_versions

SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size")
LOST = (
    ("sagas_per_second", "sagas/s", False),
    ("p50_ms", "p50", True),
    ("p99_ms", "p99", True),
    ("cpu_per_1000_sagas", "CPU a saga", True),
)
"""What is compared, and whether less is better."""
MARGIN = 1.02
"""What is nearer than this is called equal."""


def about(server: PostgresAddress, options: Mapping[str, Any], contenders: Iterable[str]) -> dict[str, Any]:
    """Versions, settings and the machine."""
    packages = {package for contender in known(contenders) for package in contender.packages}
    return {
        "machine": f"{os.cpu_count()} cores ({processor()}), {platform.system()} {platform.release()}, {platform.machine()}",
        "python": " ".join(sys.version.split()),
        "postgresql": {name: server.query(f"SHOW {name}") for name in SHOWN},
        "packages": {package: version_of(package) for package in sorted(packages)},
        "servers": {"Kafka": server_versions.KAFKA, "Restate": servers.RESTATE, "Temporal": servers.TEMPORAL},
        "options": dict(options),
        "commit": commit(),
    }


def write(results: Results, folder: Path) -> list[Path]:
    """Write ``peers.md`` and, where matplotlib is installed, the plots beside it; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    medians = Medians(results.rows)
    drawn: list[Path] = []
    if importlib.util.find_spec("matplotlib") is not None:
        from peers.plots import draw  # noqa: PLC0415  (it is not among what development needs)

        drawn = draw(medians, folder)
    page = folder / "peers.md"
    page.write_text("\n".join(lines(results, medians, drawn)) + "\n")
    return [page, *drawn]


def lines(results: Results, medians: Medians, drawn: Sequence[Path]) -> Iterator[str]:
    """The report, line by line."""
    yield "# goconductor and its peers"
    yield ""
    yield from conditions(results.about, 1 + max((row["round"] for row in results.rows), default=-1))
    yield from section("Where goconductor loses", losses(medians), empty="In no cell that was measured.")
    yield from section("Targets", targets(medians), empty="None of their cells was measured.")
    for name, workload in WORKLOADS.items():
        yield from section(f"{workload.title[0].upper()}{workload.title[1:]}", table(medians, name), empty=None)
    yield from section("Start, rest, memory", resting(medians), empty=None)
    yield from section("Not measured", missing(results), empty="Nothing was left out.")
    yield from section("How each is set up", tuning(medians), empty=None)
    yield from section("Plots", [f"![{path.stem}]({path.name})" for path in drawn], empty="matplotlib is not installed.")


def section(title: str, content: Iterable[str], *, empty: str | None) -> Iterator[str]:
    """A heading and what stands below it; with nothing there, what is said then, or no heading at all."""
    written = list(content) or ([empty] if empty is not None else [])
    if written:
        yield from ("", f"## {title}", "", *written)


def conditions(about: Mapping[str, Any], rounds: int) -> Iterator[str]:
    """How it was measured."""
    options = about["options"]
    before, after = about["load_before"], about["load_after"]
    yield (
        f"Begun {about['began']} on {about['machine']}; load average before {before[0]:.1f}, after {after[0]:.1f}. "
        "Client, workers, servers and PostgreSQL share the machine."
    )
    yield (
        f"Closed loop, {options['seconds']:g} s a cell after a warm-up, rounds in alternating order: {rounds}; "
        "each cell is a process of its own. Medians over the rounds, ratios within a round. Every outcome was checked."
    )
    yield ""
    yield f"- Python {about['python']}; commit {about['commit']}; options `{about['command'] or 'none'}`"
    yield f"- PostgreSQL: {pairs(about['postgresql'])}"
    yield f"- packages: {pairs(about['packages'])}"
    yield f"- servers, where they were started: {pairs(about['servers'])}"


def losses(medians: Medians) -> Iterator[str]:
    """Each cell in which somebody else did better."""
    told = False
    for cell in medians.cells:
        ours = Cell(OURS, cell.workload, cell.concurrency)
        if cell.contender in {OURS, KAFKA} or cell.workload == STANDING:
            continue
        worse = []
        for figure, name, less in LOST:
            ratio = medians.ratio(figure, ours, cell)
            if ratio is not None and ratio and (ratio > MARGIN if less else ratio < 1 / MARGIN):
                worse.append(f"{name} {ratio:.2f} ×")
        if worse and not told:
            told = True
            yield from ("Our figure divided by theirs:", "")
        if worse:
            where = f"{WORKLOADS[cell.workload].title}, at {cell.concurrency:,}, beside {title(cell.contender)}"
            yield f"- {where}: {', '.join(worse)}"


def targets(medians: Medians) -> Iterator[str]:
    """What was wanted and what was reached."""
    reached = [(target, target.reached(medians)) for target in TARGETS]
    if any(figure is not None for _, figure in reached):
        yield from ("| what | target | reached | met |", "|---|---|---|---|")
    for target, figure in reached:
        if figure is not None:
            met = "yes" if target.met(figure) else "**no**"
            yield f"| {target.what} | {target.wanted} | {short(figure)}{target.unit} | {met} |"


def table(medians: Medians, workload: str) -> Iterator[str]:
    """One workload, all contenders, by concurrency."""
    cells = sorted((cell for cell in medians.cells if cell.workload == workload), key=place)
    if not cells:
        return
    yield (
        "| at | contender | sagas/s (range) | goconductor is | steps/s | p50 / p95 / p99 ms | CPU s per 1,000 steps: "
        "client and worker / "
        "server / PostgreSQL | transactions that wrote; WAL bytes a saga | MiB: client and worker / server |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for cell in cells:
        speeds = medians.all("sagas_per_second", cell)
        ratio = medians.ratio("sagas_per_second", Cell(OURS, workload, cell.concurrency), cell)
        latencies = " / ".join(short(medians.value(f"p{share}_ms", cell)) for share in (50, 95, 99))
        log = (
            "own log"
            if own_log(cell.contender)
            else f"{short(medians.value('transactions_per_saga', cell))}; {short(medians.value('wal_bytes_per_saga', cell))}"
        )
        yield (
            f"| {cell.concurrency:,} | {title(cell.contender)} | {short(medians.value('sagas_per_second', cell))} "
            f"({short(min(speeds))}–{short(max(speeds))}) | {f'{short(ratio)} ×' if ratio and cell.contender != OURS else ''} | "
            f"{short(medians.value('steps_per_second', cell))} | {latencies} | {by_kind(medians, 'cpu_per_1000_steps', cell)} | "
            f"{log} | {by_kind(medians, 'memory', cell, without_postgresql=True)} |"
        )


def resting(medians: Medians) -> Iterator[str]:
    """From the start to the first saga, and at rest."""
    cells = sorted((cell for cell in medians.cells if cell.workload == STANDING), key=place)
    if not cells:
        return
    yield (
        "| contender | servers and workers up, s | a fresh client process to its first saga, s | both | idle CPU, % "
        "of a core: client and worker / server / PostgreSQL | idle MiB: client and worker / server |"
    )
    yield "|---|---|---|---|---|---|"
    for cell in cells:
        yield (
            f"| {title(cell.contender)} | {short(medians.value('start_seconds', cell))} | "
            f"{short(medians.value('first_saga_seconds', cell))} | {short(medians.value('ready_seconds', cell))} | "
            f"{by_kind(medians, 'idle_cpu_percent', cell)} | "
            f"{by_kind(medians, 'idle_memory', cell, without_postgresql=True)} |"
        )


def missing(results: Results) -> Iterator[str]:
    """Who and what could not be measured, and why."""
    for name, reason in results.unavailable.items():
        yield f"- {name}: {reason}"
    for what, reason in results.failures.items():
        yield f"- {what}: {reason}"


def tuning(medians: Medians) -> Iterator[str]:
    """How each contender is set up."""
    measured = {cell.contender for cell in medians.cells}
    for contender in known(name for name in PLACES if name in measured):
        yield f"- **{contender.title}**: {contender.tuning}."


def known(names: Iterable[str]) -> Iterator[Contender]:
    """Those whose packages are installed here."""
    for name in names:
        with contextlib.suppress(UnavailableError):
            yield find(name)


def by_kind(medians: Medians, figure: str, cell: Cell, *, without_postgresql: bool = False) -> str:
    """Client and worker / server / PostgreSQL; without the last for memory, where it holds what all before it have touched."""
    parts = [medians.part(figure, kind, cell) for kind in ("client", "worker", "server", "postgresql")]
    python = None if parts[0] is None else parts[0] + (parts[1] or 0)
    if own_log(cell.contender):
        parts[3] = None
    return " / ".join(short(part) for part in (python, *parts[2 : 3 if without_postgresql else 4]))


def title(name: str) -> str:
    """For readers; its bare name, where its packages are not installed."""
    return next((contender.title for contender in known([name])), name)


def own_log(name: str) -> bool:
    """Whether PostgreSQL has nothing to do for it."""
    return any(not contender.on_postgresql for contender in known([name]))


def place(cell: Cell) -> tuple[int, int]:
    """By concurrency, then in our order."""
    return cell.concurrency, list(PLACES).index(cell.contender)


def short(figure: float | None) -> str:
    """With three digits that count."""
    if figure is None:
        return "–"
    if abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"


def pairs(named: Mapping[str, Any]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {value}" for name, value in named.items())


def version_of(package: str) -> str:
    """As it is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def processor() -> str:
    """Its model, where the system tells."""
    information = Path("/proc/cpuinfo")
    named = (
        [each for each in information.read_text().splitlines() if each.startswith("model name")] if information.exists() else []
    )
    return named[0].partition(":")[2].strip() if named else platform.processor() or "unknown"


def commit() -> str:
    """What is checked out, where it is a checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    answer = subprocess.run(
        [git, "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"
