"""Savepoints in definitions: what they say in each way of writing, and what is refused of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import ArgumentError, Saga
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Definition, Map, Savepoint, Step
from goconductor.saga.features import features_of
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python

WAYS = Savepoint(first="card", otherwise=("invoice",))


def saga(*steps: Step) -> Definition:
    return Definition(name="order", steps=steps)


def at(name: str = "pay", *after: str, **fields: Any) -> Step:
    return Step(id=name, savepoint=fields.pop("savepoint", WAYS), after=after, **fields)


def code(name: str, *after: str, **fields: Any) -> Step:
    return Step(id=name, run=f"shop.{name}", after=after, **fields)


def test_python_and_the_document_say_the_same() -> None:
    order: Saga[Any] = Saga("order")
    pay = order.savepoint("pay", first="card", otherwise=["invoice"])
    order.step("shop.charge", inputs={"by": pay.output}, when="steps.pay.output == 'card'")
    written = order.definition
    assert written.steps[0] == at()
    assert plan(written).features == ("savepoint",)
    said = as_python(written)
    assert "pay = order.savepoint('pay', first='card', otherwise=['invoice'])" in said
    made: dict[str, Any] = {}
    exec(said, made)
    assert made["order"].definition.version == written.version


@pytest.mark.parametrize(
    ("condition", "way"),
    [
        ("steps.pay.output == 'cart'", "cart"),
        ('"cart" != steps["pay"].output', "cart"),
        ("input.yes && (steps.pay.output in ['card', 'bill'])", "bill"),
        ("steps.pay.output == 'invoice'", None),
        ("steps.pay.output + 'x' == 'cardx'", None),
        ("'x' + steps.pay.output == 'xcard'", None),
        ("steps.pay.output == 'car' + 'd'", None),
        ("size(steps.pay.output) == 4 && input.way == 'cart'", None),
    ],
)
def test_a_condition_asks_for_ways_that_there_are(condition: str, way: str | None) -> None:
    lines = Step(id="lines", map=Map(over="$.input.lines", do=(code("inside", when=condition),)), after=("pay",))
    shadowed = Step(id="m", map=Map(over="$.input.lines", do=(code("pay"), code("b", "pay", when="steps.pay.output == 'x'"))))
    for definition in (saga(at(), code("a", "pay", when=condition)), saga(at(), lines)):
        found = problems(msgspec.structs.replace(definition, steps=(*definition.steps, shadowed)))
        if way is None:
            assert found == []
        else:
            (problem,) = found
            assert f"asks for way {way!r} of savepoint 'pay', which it does not have; " in problem


def test_what_was_stored_with_a_condition_on_another_way_runs_on() -> None:
    assert problems(saga(at(), code("a", "pay", when="steps.pay.output == 'cart'")), stored=True) == []


def test_a_definition_without_a_savepoint_needs_no_newer_code() -> None:
    assert features_of(saga(code("a"))) == ()


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ((at(), code("a")), "savepoint 'pay' has nothing after it"),
        ((at(savepoint=Savepoint(otherwise=())), code("a", "pay")), "savepoint 'pay' has 1 ways"),
        ((at(savepoint=Savepoint(otherwise=("b", "b"))), code("a", "pay")), "has the way 'b' twice"),
        ((at(savepoint=Savepoint(otherwise=("first",))), code("a", "pay")), "has the way 'first' twice"),
        ((at(savepoint=Savepoint(otherwise=("by post",))), code("a", "pay")), "has a way 'by post'; name it"),
        ((at(savepoint=Savepoint(otherwise=tuple(f"w{n}" for n in range(20)))), code("a", "pay")), "has 21 ways"),
        ((at(run="shop.pay"), code("a", "pay")), "which nobody runs, but has run"),
        ((at(pivot=True), code("a", "pay")), "cannot be the pivot"),
        ((at(allow_fail=True), code("a", "pay")), "cannot fail, but has allow_fail"),
        ((code("p", pivot=True), at("pay", "p"), code("a", "pay")), "savepoint 'pay' comes after the pivot 'p'"),
        ((code("x", fallback="pay"), at(), code("a", "pay")), "savepoint 'pay' is the fallback of step 'x'"),
        ((at("s"), at("t"), code("a", "s", "t")), "savepoints 's' and 't' both come before step 'a'"),
        (
            (Step(id="m", map=Map(over="$.input", do=(at(), code("a", "pay")))),),
            "savepoint 'pay' stands in map 'm', whose items cannot go back alone",
        ),
        ((at(), code("b", when="steps.pay.output == 'card'"), code("a", "pay")), "step 'b'"),
    ],
)
def test_what_is_refused_says_why(steps: tuple[Step, ...], problem: str) -> None:
    assert any(problem in each for each in problems(saga(*steps))), problems(saga(*steps))


def test_savepoints_in_a_row_are_on_one_path() -> None:
    assert problems(saga(at("s"), at("t", "s"), code("a", "t"), code("b", "s"))) == []


@pytest.mark.parametrize(("given", "what"), [({"otherwise": "invoice"}, "otherwise"), ({"otherwise": [1]}, r"otherwise\[0\]")])
def test_python_refuses_what_are_no_ways(given: dict[str, Any], what: str) -> None:
    with pytest.raises(ArgumentError, match=what):
        Saga[Any]("order").savepoint("pay", **given)
