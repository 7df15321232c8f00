"""How long a large definition takes to be checked and drawn, and to be written as Python: seconds of CPU, without a database.

::

    PYTHONPATH=.:benchmarks python benchmarks/bench_definitions.py --steps 1000,5000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from goconductor.control.definitions.loading import check, load_definition
from goconductor.control.diagrams.drawing import diagram_of
from goconductor.saga.plan import Plan
from goconductor.saga.writing.as_python import as_python

SHAPES = ("chain", "beside", "references", "locks", "undo", "pivot")


def document(shape: str, steps: int) -> bytes:
    """Make a definition: steps one after the other, or side by side, with fields that are checked against one another."""
    made = []
    for number in range(steps):
        step: dict[str, Any] = {"id": f"s{number}", "run": "a.b", "inputs": {"n": {"ref": "$.input.n"}}, "undo": "none"}
        if number and shape != "beside":
            step["after"] = [f"s{number - 1}"]
        if shape == "references" and number:
            step["inputs"]["before"] = {"ref": f"$.steps.s{number - 1}.output.n"}
        if shape == "locks":
            step["locks"] = [{"key": f"{number}:{{input.n}}"}]
        if shape == "undo" and number > 1:
            step["undo"] = {"run": "a.c", "inputs": {"n": {"ref": f"$.steps.s{number - 2}.output"}}}
        if shape == "pivot" and number == steps // 2:
            step |= {"pivot": True, "undo": None}
        made.append(step)
    return json.dumps({"name": "large", "steps": made, "input_schema": {"type": "object"}}).encode()


def seconds(work: Callable[[], object]) -> float:
    """Return how much CPU something takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Print a row for each shape and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", default="1000,5000")
    sizes = [int(each) for each in parser.parse_args().steps.split(",")]
    print("| steps | shape | checked | drawn | as Python |\n|---|---|---|---|---|")
    for size in sizes:
        for shape in SHAPES:
            data = document(shape, size)
            checked = seconds(lambda data=data: check(data, "f"))  # type: ignore[misc]
            definition = load_definition(data)
            drawn = seconds(lambda of=definition: diagram_of(Plan(of)))  # type: ignore[misc]
            written = seconds(lambda of=definition: as_python(of))  # type: ignore[misc]
            print(f"| {size:,} | {shape} | {checked:.2f} | {drawn:.2f} | {written:.2f} |", flush=True)


if __name__ == "__main__":
    main()
