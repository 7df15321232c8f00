"""A definition with thousands of steps is checked and drawn by work that grows with its size, and not with its square."""

from __future__ import annotations

import json
from typing import Any

import pytest

from goconductor.control.definitions.loading import check, read
from goconductor.control.diagrams.drawing import diagram_of
from goconductor.saga.checking.constructs.locks import CIRCLES_MAX, circles
from goconductor.saga.definition import Definition, Lock, Step
from goconductor.saga.plan import Plan
from goconductor.saga.writing.as_python import as_python
from tests.lifecycle.calls import calls_of


def document(shape: str, steps: int) -> dict[str, Any]:
    """One step after the other, or side by side; each with a field that is checked against others."""
    made = []
    for number in range(steps):
        step: dict[str, Any] = {"id": f"s{number}", "run": "a.b", "inputs": {"n": {"ref": "$.input.n"}}, "undo": "none"}
        if number and shape != "beside":
            step["after"] = [f"s{number - 1}"]
        match shape:
            case "locks":
                step["locks"] = [{"key": f"{number}:{{input.n}}"}]
            case "references" if number:
                step["inputs"]["before"] = {"ref": f"$.steps.s{number - 1}.output.n"}
            case "pivot" if number == steps // 2:
                step |= {"pivot": True, "undo": None}
        made.append(step)
    return {"name": "large", "steps": made, "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}


@pytest.mark.parametrize("shape", ["chain", "beside", "references", "pivot"])
def test_checking_and_drawing_take_calls_in_proportion_to_the_steps(shape: str) -> None:
    def taken(steps: int) -> int:
        data = json.dumps(document(shape, steps)).encode()

        def work() -> None:
            assert check(data, "f").problems == []
            definition = read(json.loads(data))
            diagram_of(Plan(definition))
            as_python(definition)

        return calls_of(work)

    taken(10)  # what is only done once
    assert taken(400) <= 4.5 * taken(100)


def test_a_thousand_steps_with_locks_are_compared_by_what_their_keys_begin_with() -> None:
    data = json.dumps(document("locks", 1_000)).encode()
    assert check(data, "f").advice == []


def asking(*steps: tuple[str, tuple[str, ...], tuple[str, ...]]) -> list[str]:
    made = tuple(Step(id=id, run="a.b", after=after, locks=tuple(map(Lock, keys))) for id, after, keys in steps)
    return [said.partition(", so")[0] for said in circles(Definition(name="order", steps=made))]


def test_locks_that_may_come_in_any_order_are_named() -> None:
    one_after = "steps 'a' and 'b' ask for locks one after the other"
    assert asking(("a", (), ("x:{input.n}",)), ("b", ("a",), ("x:{input.m}",))) == [one_after]
    assert asking(("a", (), ("x:{input.n}",)), ("b", ("a",), ("{input.m}",))) == [one_after]  # which may be anything
    assert asking(("a", (), ("x:{input.n}",)), ("b", ("a",), ("x:1",))) == [one_after]
    assert asking(("a", (), ("x:{input.n}",)), ("b", ("a",), ("y:{input.m}",))) == []
    assert asking(("a", (), ("x", "y")), ("b", ("a",), ("x",))) == []  # it has them already
    assert asking(("a", (), ("x",)), ("b", (), ("y",))) == ["steps 'a' and 'b' ask for locks side by side"]
    assert asking(("a", (), ("x",)), ("b", (), ("x",))) == []


def test_of_very_many_the_first_are_told() -> None:
    found = asking(*((f"s{number}", (), (f"{number}:{{input.n}}",)) for number in range(500)))
    assert (len(found), found[-1]) == (CIRCLES_MAX + 1, "there are more of these; correct the ones above first.")
