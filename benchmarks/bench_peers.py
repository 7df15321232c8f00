"""goconductor beside its peers: the same sagas on one PostgreSQL with fsync and synchronous_commit on; a table and plots.

    make bench-peers                              # the cells of the targets, three rounds: about a quarter of an hour
    make bench-peers OPTIONS="--all"              # every contender, workload and concurrency: some hours
    make bench-peers OPTIONS="--contenders hand,goconductor --workloads steps --concurrency 1,64 --seconds 3"

Written to ``.bench/results`` (``--out``): ``peers.md``, the plots, and ``results.json``, of which ``--report`` writes the others
anew, and to which ``--append`` adds. A cell is a process of its own; contenders alternate over the rounds; every outcome is
checked. Contenders, workloads and how each is set up: ``peers/`` beside this file, and README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from goconductor.testing.postgres import PostgresServer
from peers import report, targets
from peers.contenders import PLACES
from peers.matrix import STANDING, Cell, Matrix, Options, Results
from peers.place import Place
from peers.work import WORKLOADS

ROOT = Path(__file__).parents[1]
CONCURRENCY = (1, 64, 256, 1024)
SETTINGS = {
    "shared_buffers": "512MB",
    "max_connections": "300",
    "max_wal_size": "8GB",  # no checkpoint in the middle of a cell
    "checkpoint_timeout": "30min",
    "autovacuum_naptime": "15s",
}


def cells_of(arguments: argparse.Namespace) -> list[Cell]:
    """What the command line asks for; without a choice, what the targets need."""
    names = names_of(arguments.contenders, PLACES)
    chosen = arguments.contenders or arguments.workloads or arguments.concurrency or arguments.all
    if arguments.targets or not chosen:
        return [cell for cell in targets.CELLS if cell.contender in names]
    workloads = names_of(arguments.workloads, [*WORKLOADS, STANDING])
    concurrency = [int(number) for number in arguments.concurrency.split(",")] if arguments.concurrency else CONCURRENCY
    return [
        Cell(name, workload, number)
        for name in names
        for workload in workloads
        for number in ([1] if workload == STANDING else concurrency)
    ]


def names_of(given: str | None, known: Sequence[str] | dict[str, Any]) -> list[str]:
    """The names of a list on the command line, all of them if there is none."""
    names = given.split(",") if given else list(known)
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"there is no {unknown[0]!r}; there are: {', '.join(known)}")
    return names


def run(arguments: argparse.Namespace, cells: Sequence[Cell], earlier: Results | None) -> Results:
    """Measure, and tell of each cell."""
    options = Options(arguments.seconds, arguments.idle_seconds, arguments.rounds, arguments.cell_seconds_max)
    load, began = os.getloadavg(), time.strftime("%Y-%m-%d %H:%M")
    with (
        PostgresServer(arguments.postgres, settings=SETTINGS) as server,
        tempfile.TemporaryDirectory(prefix="goconductor-peers-", ignore_cleanup_errors=True) as folder,
    ):
        place = Place(server, Path(folder))
        matrix = Matrix(place, options, lambda text: print(text, flush=True), earlier)
        with contextlib.suppress(KeyboardInterrupt):  # what was measured until then is kept
            matrix.run(cells)
        results = matrix.results
        results.about = report.about(server, asdict(options), {row["contender"] for row in results.rows})
    results.about |= {"began": began, "load_before": load, "load_after": os.getloadavg(), "command": " ".join(sys.argv[1:])}
    if earlier is not None:
        results.about["began"] = earlier.about["began"]
        results.failures = {**earlier.failures, **results.failures}
    return results


def main() -> None:
    """Measure, or write the report of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contenders", help=f"of {', '.join(PLACES)}")
    parser.add_argument("--workloads", help=f"of {', '.join([*WORKLOADS, STANDING])}")
    parser.add_argument("--concurrency", help=f"outstanding sagas; {','.join(map(str, CONCURRENCY))} by default")
    parser.add_argument("--targets", action="store_true", help="the cells that the targets need, of these contenders")
    parser.add_argument("--all", action="store_true", help="all contenders, workloads and concurrencies")
    parser.add_argument("--seconds", type=float, default=4.0, help="for which sagas are started in a cell")
    parser.add_argument("--idle-seconds", type=float, default=5.0, help="for which a contender is watched at rest")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cell-seconds-max", type=float, default=180.0, help="after which a cell is given up")
    parser.add_argument("--postgres", choices=("embedded", "system"), default="embedded", help="whose binaries")
    parser.add_argument("--out", type=Path, default=ROOT / ".bench" / "results")
    parser.add_argument("--append", action="store_true", help="add to results.json, as further rounds or cells")
    parser.add_argument("--report", action="store_true", help="only write the report of results.json anew")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing that was started is left behind
    kept = arguments.out / "results.json"
    earlier = Results(**json.loads(kept.read_text())) if kept.exists() and (arguments.report or arguments.append) else None
    if arguments.report:
        if earlier is None:
            raise SystemExit(f"there is no {kept}: measure first")
        results = earlier
    else:
        results = run(arguments, cells_of(arguments), earlier)
        arguments.out.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(results), indent=1))
    print(f"\nwritten: {', '.join(map(str, report.write(results, arguments.out)))}")


if __name__ == "__main__":
    main()
