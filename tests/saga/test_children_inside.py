"""Sagas that are written inside the step that starts them: checked with their parent, shown with it, and named by their place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import ArgumentError, DefinitionError, Lock, Saga, Undo, load_definition
from goconductor.control.definitions.loading import check, read
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.control.diagrams.svg import svg
from goconductor.saga.checking.validate import problems
from goconductor.saga.comparing import compare
from goconductor.saga.definition import Definition
from goconductor.saga.features import features_of
from goconductor.saga.ids import is_name, is_saga_name
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python
from goconductor.saga.writing.groups.differences import differences

PACK: dict[str, Any] = {"id": "pack", "run": "shipping.pack", "inputs": {"sku": {"ref": "$.input.sku"}}}
SCHEMA = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"], "additionalProperties": False}
INSIDE: dict[str, Any] = {"steps": [PACK], "output": {"ref": "$.steps.pack.output"}, "input_schema": SCHEMA}
PARCEL: dict[str, Any] = {"id": "parcel", "saga": INSIDE, "inputs": {"sku": {"ref": "$.input.sku"}}}
CHARGE: dict[str, Any] = {"id": "charge", "run": "payments.charge", "after": ["parcel"], "pivot": True}
LONG = {
    "steps": [{"id": "a" * 100, "saga": {"steps": [{"id": "b" * 100, "saga": {"steps": [{"id": "c" * 100, "saga": INSIDE}]}}]}}]
}


def document(*steps: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"name": "order", "steps": [*steps], **others}


def found_in(*steps: dict[str, Any], **others: Any) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        read(document(*steps, **others))
    return [*refused.value.problems]


def test_it_is_checked_with_its_parent_and_named_by_its_place() -> None:
    definition = read(document(PARCEL, CHARGE))
    assert plan(definition).children["parcel"].name == "order:parcel"
    assert features_of(definition) == ("saga", "saga_inside")
    lines = {"id": "lines", "map": {"over": "$.input.lines", "do": [PARCEL | {"inputs": {"sku": {"ref": "$.item"}}}]}}
    assert plan(read(document(lines))).children["lines[2].parcel"].name == "order:lines.parcel"


def test_no_saga_that_is_registered_by_itself_has_such_a_name() -> None:
    assert not is_name("order:parcel")
    assert is_saga_name("order:parcel:lines.label")
    assert not any(is_saga_name(name) for name in ("", ":parcel", "order:", "order::a", "a.b:c", "order:" + "a" * 300))
    assert "the saga's name 'order:parcel' must be 1 to 100 letters" in found_in(PACK, name="order:parcel")[0]


@pytest.mark.parametrize(
    ("saga", "problem"),
    [
        ({"steps": [{"id": "pack", "run": "pack"}]}, "in the saga of step 'parcel': step 'pack' runs 'pack'; name its code"),
        ({"steps": [PACK, {"id": "b", "run": "a.b", "after": ["charge"]}]}, "'charge', which is not a step of this saga"),
        (INSIDE | {"output": {"ref": "$.steps.label.output"}}, "in the saga of step 'parcel': the saga's output refers to"),
        ({"steps": [PACK | {"pivot": True}]}, "which cannot undo itself once its pivot 'pack' has succeeded"),
        (INSIDE | {"name": "parcel"}, "and has the steps of one that is written here; leave the name out, or the steps."),
        ({"steps": []}, "step 'parcel' starts a saga without a name; give the name of a registered one, or write its steps"),
        ({"name": "parcel", "priority": 1}, "starts a saga that is not written here, and says of it priority"),
        (INSIDE | {"input_schema": {"type": "nothing"}}, "in the saga of step 'parcel': its input_schema: "),
        ({"steps": [{"id": "a", "run": "system.nothing"}]}, "in the saga of step 'parcel': step 'a' runs 'system.nothing'"),
        ({"steps": [{"id": "a", "steps": []}]}, "in the saga of step 'parcel': 'a' has no steps"),
        (LONG, "longer than 255 characters"),
    ],
)
def test_a_fault_in_it_has_its_place(saga: dict[str, Any], problem: str) -> None:
    found = found_in({"id": "parcel", "saga": saga, "inputs": {"sku": {"value": "x"}}}, CHARGE)
    assert any(problem in each for each in found), found


def test_what_the_step_gives_must_fit_its_input() -> None:
    found = found_in(PARCEL | {"inputs": {"sk": {"ref": "$.input.sku"}}}, CHARGE)
    assert found[0] == "step 'parcel' gives the saga that it starts an input 'sk' that it does not take; did you mean sku?"
    assert "gives the saga that it starts no 'sku'" in found[1]


def test_at_most_eight_stand_one_below_the_other() -> None:
    saga = INSIDE
    for _ in range(6):
        saga = {"steps": [{"id": "a", "saga": saga, "inputs": {"sku": {"ref": "$.input.sku"}}}]}
    read(document(PARCEL | {"saga": saga}))
    deeper = {"steps": [{"id": "a", "saga": saga, "inputs": {"sku": {"ref": "$.input.sku"}}}]}
    assert "at most 8 may stand one below the other" in found_in(PARCEL | {"saga": deeper})[0]


def test_doubts_and_advice_tell_their_place() -> None:
    steps = [PACK | {"compensation": False}, {"id": "b", "run": "a.b", "after": ["pack"]}]
    checked = check(msgspec.json.encode(document(PARCEL | {"saga": {"steps": steps}})), "order.json")
    assert checked.problems[0].startswith("in the saga of step 'parcel': what step 'pack' does stays")


def test_groups_and_switches_in_it_are_compiled_by_themselves() -> None:
    group = {"id": "way", "when": "input.sku != 'x'", "steps": [PACK, {"id": "label", "run": "shipping.label"}]}
    definition = read(document(PARCEL | {"saga": {"steps": [group], "output": {"ref": "$.steps.way.output"}}}, CHARGE))
    child = definition.steps[0].saga
    assert child is not None
    assert [step.id for step in child.steps] == ["way.when", "way.pack", "way.label"]
    assert child.output is not None
    assert child.output.ref == "$.steps['way.label'].output"
    lines = {"id": "lines", "map": {"over": "$.input.lines", "do": [PARCEL | {"saga": {"steps": [group]}}]}}
    (mapped,) = read(document(lines)).steps
    assert [[step.id for step in each.saga.steps] for each in mapped.body if each.saga is not None] == [
        [s.id for s in child.steps]
    ]


def test_diagrams_show_it() -> None:
    drawn = plan(read(document(PARCEL, CHARGE)))
    assert 'subgraph s0_saga ["the saga of parcel"]\n    s0_s0["pack<br/>shipping.pack"]' in mermaid(drawn)
    assert "a saga that is written inside" in svg(drawn)


def test_a_difference_is_told_in_its_own_words() -> None:
    one, other = (plan(read(document(PARCEL | {"saga": INSIDE | {"priority": each}}, CHARGE))) for each in (1, 2))
    assert one.version != other.version
    found = compare(one, other)
    assert differences(one, other) == ("step 'parcel': in its saga, the saga's priority is 2, and was 1",)
    assert found.holding == ("parcel",)


def order_in_python() -> Saga[Any, Any]:
    label: Saga[Any, Any] = Saga("label")
    label.step("printer.print")
    parcel: Saga[Any, Any] = Saga("parcel", timeout="1h", input_schema=SCHEMA)
    packed = parcel.step("shipping.pack", inputs={"sku": parcel.input.sku}, output=str)
    parcel.saga(label, inside=True, id="print", after=[packed])
    parcel.returns(packed.output)
    order: Saga[Any, Any] = Saga("order")
    lines = order.map(order.input.lines, id="lines")
    lines.saga(parcel, inside=True, inputs={"sku": lines.item})
    sent = order.saga(parcel, inside=True, inputs={"sku": order.input.sku}, undo=Undo("shipping.take_back"))
    order.step("payments.charge", after=[sent, lines], pivot=True)
    return order.returns(sent.output)


def test_it_is_written_in_python_and_back() -> None:
    order = order_in_python()
    assert (order.sagas, order.result_type) == ((), str)
    assert problems(order.definition) == []
    found: dict[str, Any] = {}
    exec(as_python(order.definition), found)
    assert found["order"].definition.version == order.definition.version
    assert load_definition(order.definition.document()).version == order.definition.version


def test_a_saga_in_it_that_is_registered_by_itself_is_still_to_be_registered() -> None:
    label: Saga[Any, Any] = Saga("label")
    label.step("printer.print")
    parcel: Saga[Any, Any] = Saga("parcel")
    parcel.saga(label)
    order: Saga[Any, Any] = Saga("order")
    order.saga(parcel, inside=True)
    assert order.sagas == (label,)


def test_what_cannot_be_taken_in_is_refused() -> None:
    order: Saga[Any, Any] = Saga("order")
    with pytest.raises(ArgumentError, match="only the name of the saga is given"):
        order.saga("parcel", inside=True)
    locked: Saga[Any, Any] = Saga("parcel", locks=[Lock("a")])
    locked.step("shipping.pack")
    with pytest.raises(ArgumentError, match="without locks of its own"):
        order.saga(locked, inside=True)


def test_a_definition_without_one_is_the_document_that_it_was() -> None:
    named = Definition(name="order", steps=read(document({"id": "a", "saga": {"name": "parcel"}})).steps)
    assert named.document() == b'{"name":"order","steps":[{"id":"a","saga":{"name":"parcel"}}]}'
