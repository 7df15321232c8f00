"""A process of the comparison, started by ``bench_peers.py``: a cell, or a worker of a contender.

It loads nothing but what it runs, since its start and its memory are told of the contender.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import uvloop

from peers.cell import Task, as_document, measure
from peers.contender import TASK
from peers.contenders import find


def do(task: dict[str, Any]) -> None:
    """What the harness wants."""
    if "cell" in task:
        figures = uvloop.run(measure(Task(**task["cell"])))
        print(json.dumps(as_document(figures)))
    else:
        uvloop.run(find(task["work"]).work(task["role"], task["where"], Path(task["ready"])))


if __name__ == "__main__":
    do(json.loads(os.environ.pop(TASK)))
