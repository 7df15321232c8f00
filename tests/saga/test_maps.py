"""Maps in a definition: their names, what their steps see, and what is refused of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from goconductor import Saga
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.errors import ArgumentError
from goconductor.saga.checking.code import unfit_undo
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Definition
from goconductor.saga.features import features_of
from goconductor.saga.growth import Items, Name, split, template
from goconductor.saga.ids import Direction
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python


def defined(*steps: dict[str, Any], **others: Any) -> Definition:
    return msgspec.convert({"name": "order", "steps": [*steps], **others}, Definition)


def mapped(*do: dict[str, Any], over: str = "$.input.lines", **others: Any) -> dict[str, Any]:
    return {"id": "lines", "map": {"over": over, "do": [*do]}, **others}


RESERVE = {"id": "reserve", "run": "inventory.reserve"}
NESTED = mapped({"id": "y" * 100, "run": "x.y"}) | {"id": "z" * 100}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("line[3].reserve", Name("line.reserve", "line", 3, "reserve")),
        ("line[3].box[0].pack", Name("line.box.pack", "line[3].box", 0, "pack")),
        *((name, None) for name in ("line", "line.reserve", "line[3]", "line[03].x", "line[-1].x", "line[].x", "[3].x")),
        *((name, None) for name in ("a[1][2].x", "line[٣].x", "a[0]." * 4 + "x", "a[0]." * 5_000 + "x")),
        (f"line[{'9' * 5_000}].x", None),
    ],
)
def test_a_name_is_split_into_what_the_definition_knows_and_where_it_is(name: str, found: Name | None) -> None:
    assert split(name) == found
    assert template(name) == (name if found is None else found.template)


def test_a_plan_answers_for_steps_that_no_plan_was_built_for() -> None:
    compiled = plan(
        defined(
            {"id": "charge", "run": "payments.charge"},
            mapped(RESERVE, {"id": "label", "run": "labels.print", "after": ["reserve"], "allow_fail": True}, after=["charge"]),
            {"id": "ship", "run": "shipping.ship", "after": ["lines"], "pivot": True},
        )
    )
    assert compiled.steps["lines[7].reserve"].run == "inventory.reserve"
    assert compiled.owners["lines[7].label"] == ("labels", "print")
    assert compiled.predecessors["lines[7].label"] == ("lines[7].reserve",)
    assert (compiled.successors["lines[7].reserve"], compiled.successors["lines[7].label"]) == (("lines[7].label",), ("lines",))
    assert compiled.successors["lines"] == ("ship",)
    assert compiled.roles["lines[0].reserve"] == "compensatable"
    assert "lines[0].label" in compiled.tolerated
    assert "lines[0].reserve" not in compiled.tolerated
    for name in ("lines[0].charge", "lines.reserve", "charge[0].reserve", "lines[0]"):
        assert name not in compiled.steps
    assert compiled.order == ("charge", "lines", "ship")


def test_a_saga_without_maps_has_plain_dicts() -> None:
    compiled = plan(defined(RESERVE))
    assert (type(compiled.steps), type(compiled.predecessors), compiled.data) == (dict, dict, None)


def test_what_an_item_uses_of_the_outside_comes_before_the_map() -> None:
    compiled = plan(
        defined(
            mapped({**RESERVE, "inputs": {"paid": {"ref": "$.steps.charge.output"}, "sku": {"ref": "$.item"}}}),
            {"id": "charge", "run": "payments.charge"},
        )
    )
    assert compiled.predecessors["lines"] == ("charge",)


def test_features_of_the_steps_in_a_map_are_the_definitions() -> None:
    assert features_of(defined(mapped({"id": "wait", "delay": {"seconds": 5}}))) == ("delay", "map")


def test_a_declared_undo_in_a_map_is_a_feature_of_its_own_and_sees_its_item() -> None:
    inputs = {name: {"ref": ref} for name, ref in (("sku", "$.item.sku"), ("shelf", "$.steps.reserve.output"), ("at", "$.index"))}
    definition = defined(mapped({**RESERVE, "undo": {"run": "clerk.undo", "inputs": inputs}}))
    assert problems(definition) == []
    assert features_of(definition) == ("declared_undo", "declared_undo_in_map", "map")
    compiled = plan(definition)
    assert "lines[1].reserve" in compiled.undoes
    assert compiled.owners_of[Direction.ACTION]["lines[1].reserve"] == ("inventory", "reserve")
    assert compiled.owners_of[Direction.COMPENSATION]["lines[1].reserve"] == ("clerk", "undo")
    outputs = {"lines": Items(2), "lines[1].reserve": "A1"}
    seen = compiled.undo_inputs("lines[1].reserve", {"lines": [{"sku": "hat"}, {"sku": "cap"}]}, outputs)
    assert seen == {"sku": "cap", "shelf": "A1", "at": 1}


def test_an_undo_in_a_map_takes_null_where_a_sibling_may_be_skipped() -> None:
    class Code:
        parameters: Mapping[str, bool] = {"of": True}

        def refusal_of(self, name: str, value: object) -> str | None:
            return "no" if value is None else None

        def taken(self, name: str) -> Mapping[str, object]:
            return {}

    undo = {"run": "clerk.undo", "inputs": {"of": {"ref": "$.steps.weigh.output"}}}
    weigh = {"id": "weigh", "run": "scales.weigh", "when": "item.heavy"}
    definition = defined(mapped(weigh, {**RESERVE, "after": ["weigh"], "undo": undo}))
    assert problems(definition) == []
    lines = definition.steps[0].map
    assert lines is not None
    [problem] = unfit_undo(definition, lines.do[1], Code())
    assert "Path: weigh is skipped → reserve → the saga turns back." in problem


def test_a_join_that_needs_not_all_items_is_a_feature_of_its_own() -> None:
    joined = {"id": "lines", "map": {"over": "$.input", "do": [RESERVE], "join": 2}}
    assert features_of(defined(joined)) == ("join", "map")
    assert features_of(defined(joined | {"map": joined["map"] | {"join": "all"}})) == ("map",)  # type: ignore[operator]
    slots = joined | {"map": joined["map"] | {"join": "all", "concurrency": 4}}  # type: ignore[operator]
    assert features_of(defined(slots)) == ("concurrency", "map")


def test_a_map_that_may_fail_is_a_feature_of_its_own_also_in_a_map() -> None:
    may_fail = mapped(RESERVE, allow_fail=True)
    assert features_of(defined(may_fail)) == ("map", "tolerated_failure", "tolerated_map")
    inner = {"id": "orders", "map": {"over": "$.input", "do": [{**may_fail, "map": {"over": "$.item", "do": [RESERVE]}}]}}
    assert problems(defined(inner)) == []
    assert features_of(defined(inner)) == ("map", "tolerated_failure", "tolerated_map")


def test_an_option_that_maps_do_not_have_is_refused_and_said_what_there_is() -> None:
    saga: Saga[Any] = Saga("order")
    with pytest.raises(ArgumentError, match="a step has no option 'concurency'; did you mean concurrency"):
        saga.map(saga.input["lines"], concurency=4)  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="concurrency is of type str; give how many items may be at work"):
        saga.map(saga.input["lines"], concurrency="4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([mapped()], "map 'lines' has no steps; add at least one to its 'do'."),
        (
            [mapped(RESERVE, over="input.lines")],
            "the list of map 'lines' refers to 'input.lines': is not a reference: it does not",
        ),
        ([mapped(RESERVE, over="$.steps.nowhere.output")], "the list of map 'lines' refers to the output of 'nowhere'"),
        ([mapped(RESERVE, over="$.steps.lines.output")], "steps wait for one another in a cycle: lines → lines"),
        ([mapped(RESERVE, RESERVE)], "in map 'lines': step 'reserve' is defined 2 times"),
        ([mapped({**RESERVE, "pivot": True})], "pivot 'reserve' is in map 'lines'; a saga has one point of no return"),
        (
            [mapped({**RESERVE, "undo": "none", "compensation": True})],
            "in map 'lines': step 'reserve' has both a compensation and undo, of which only undo would run",
        ),
        (
            [
                {"id": "charge", "run": "payments.charge"},
                mapped({**RESERVE, "undo": {"run": "clerk.undo", "inputs": {"of": {"ref": "$.steps.charge.output"}}}}),
            ],
            "refers to the output of 'charge', which there need not be: it does not come before the map",
        ),
        (
            [
                mapped(
                    {**RESERVE, "undo": {"run": "clerk.undo", "inputs": {"of": {"ref": "$.steps.label.output"}}}},
                    {"id": "label", "run": "labels.print"},
                )
            ],
            "in map 'lines': input 'of' of the undo of step 'reserve' refers to the output of 'label', which there need not be",
        ),
        (
            [{"id": "charge", "run": "p.c", "pivot": True}, mapped({**RESERVE, "undo": {"run": "clerk.undo"}}, after=["charge"])],
            "step 'reserve' in map 'lines' comes after the pivot 'charge', so its undo can never run",
        ),
        ([mapped(RESERVE, pivot=True)], "step 'lines' is a map, which cannot be the pivot"),
        (
            [{"id": "pay", "run": "a.b", "pivot": True}, mapped(RESERVE, allow_fail=True, after=["pay"])],
            (
                "step 'lines' comes after the pivot 'pay' but has allow_fail; there a step is tried until it succeeds: "
                "remove that, or move the step before the pivot."
            ),
        ),
        ([mapped(RESERVE, run="x.y")], "step 'lines' is a map, which nobody runs, but has run; leave that out."),
        ([mapped(RESERVE, delay={"seconds": 1})], "step 'lines' is both a delay and a map; make two steps of it."),
        (
            [{"id": "charge", "run": "payments.charge"}, mapped({**RESERVE, "after": ["charge"]})],
            "in map 'lines': step 'reserve' comes after 'charge', which is outside of its map; let the map come after it.",
        ),
        (
            [{"id": "ship", "run": "shipping.ship", "inputs": {"sku": {"ref": "$.item.sku"}}}],
            "input 'sku' of step 'ship' refers to $.item.sku, which only steps in a map have",
        ),
        (
            [mapped(RESERVE), {"id": "ship", "run": "shipping.ship", "inputs": {"shelf": {"ref": "$.steps.reserve.output"}}}],
            "input 'shelf' of step 'ship' refers to the output of 'reserve', which is not a step of this saga",
        ),
        (
            [mapped(RESERVE), {"id": "ship", "run": "shipping.ship", "after": ["lines"], "when": "steps.lines.output == []"}],
            "asks for the output of map 'lines'; ask for its size: steps.lines.size.",
        ),
        (
            [{"id": "ship", "run": "shipping.ship", "when": "item.sku == 'x'"}],
            "the condition of step 'ship' does not compile",
        ),
        (
            [{"id": "charge", "run": "payments.charge"}, mapped({**RESERVE, "when": "steps.charge.output == 3"})],
            "asks for step 'charge', which does not come before it",
        ),
        (
            [{"id": "charge", "run": "p.c", "pivot": True}, mapped({**RESERVE, "compensation": True}, after=["charge"])],
            "step 'reserve' in map 'lines' comes after the pivot 'charge' but has a compensation that can never run",
        ),
        (
            [{"id": "charge", "run": "p.c", "pivot": True}, mapped({**RESERVE, "allow_fail": True}, after=["charge"])],
            "step 'reserve' in map 'lines' comes after the pivot 'charge' but has allow_fail",
        ),
        (
            [
                mapped(
                    {
                        "id": "x" * 100,
                        "map": {"over": "$.item", "do": [NESTED]},
                    }
                )
            ],
            "the name of step 'yyyyyyyyyy",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_a_remedy(steps: list[dict[str, Any]], problem: str) -> None:
    found = problems(defined(*steps))
    assert any(problem in each for each in found), found


def nested(depth: int) -> dict[str, Any]:
    step: dict[str, Any] = {"id": "x", "run": "x.x"}
    for number in range(depth):
        step = {"id": f"m{number}", "map": {"over": "$.item" if number < depth - 1 else "$.input", "do": [step]}}
    return step


def test_maps_stand_at_most_three_deep() -> None:
    assert problems(defined(nested(3))) == []
    assert problems(defined(nested(4))) == [
        "its maps and repeats stand more than 3 deep in one another; use fewer, or several sagas."
    ]


def test_the_same_definition_in_python_and_as_a_diagram() -> None:
    saga: Saga[Any] = Saga("order")
    paid = saga.step("payments.charge")
    lines = saga.map(saga.input["lines"], id="lines", after=[paid], when="input.yes")
    shelf = lines.step("inventory.reserve", inputs={"sku": lines.item.sku, "place": lines.index, "paid": paid.output})
    boxes = lines.map(lines.item.boxes, id="boxes", after=[shelf], join="any", concurrency=4, allow_fail=True)
    boxes.step("packing.pack", inputs={"box": boxes.item, "shelf": shelf.output})
    lines.delay("1h", id="rest", after=[boxes])
    lines.step("labels.print", fallback=lines.later("write"), inputs={"boxes": boxes.output})
    lines.step("labels.write", when="item.urgent")
    saga.step("shipping.ship", inputs={"labels": lines.output}, pivot=True)
    names: dict[str, Any] = {}
    exec(as_python(saga.definition), names)
    assert names["order"].definition.version == saga.definition.version
    drawn = mermaid(plan(saga.definition))
    assert "for each of $.item.boxes, one is enough, 4 at a time" in drawn.replace("#36;", "$")
    assert 'subgraph s1_each ["each item of lines"]' in drawn
    assert "s1_2 -. fails .-> s1_3" in drawn or "-. fails .->" in drawn
