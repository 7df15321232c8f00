"""Values that a saga works out: what an expression may give, and that no text and no data make it too large."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor import DefinitionError, Saga
from goconductor.errors import ConditionError
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Binding, Definition, Step
from goconductor.saga.expressions.value import BYTES_MAX, compile_value
from goconductor.saga.plan import plan

DATA = {"input": {"n": 3, "price": 2.5, "who": "ann", "lines": [{"cents": 100}, {"cents": 250}]}, "steps": {}}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("input.n + 4", 7),
        ("input.price * 2.0", 5.0),
        ("'for ' + input.who", "for ann"),
        ("input.n > 2 ? 'many' : 'few'", "many"),
        ("null", None),
        ("[input.n, [true, null]]", [3, [True, None]]),
        ("{'who': input.who, 'deep': {'n': input.n}}", {"deep": {"n": 3}, "who": "ann"}),
        ("input.lines.map(line, line.cents)", [100, 250]),
        ("input", DATA["input"]),
        ("string(timestamp('2026-03-29T09:00:00Z') + duration('1h'))", "2026-03-29T10:00:00Z"),
    ],
)
def test_it_gives_any_value_of_json(source: str, value: Any) -> None:
    made = compile_value(source).of(DATA)
    assert made == value
    assert type(made) is type(value)


def test_the_keys_of_a_map_are_sorted_so_that_every_process_makes_the_same_bytes() -> None:
    made = compile_value("{'b': {'z': 1, 'a': 2}, 'a': 3}").of(DATA)
    assert json.dumps(made) == '{"a": 3, "b": {"a": 2, "z": 1}}'


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("b'x'", "gives bytes"),
        ("timestamp('2026-03-29T09:00:00Z')", r"gives a time, which JSON does not have; make a text of it, by string\(…\)"),
        ("input.n +", r"^condition 'input.n \+': line 1, column "),
        ("[duration('1s')]", "cannot be kept"),
        ("{1: 2}", "keys are strings"),
        ("0.0 / 0.0", "is nan"),
        ("input.absent", "input.absent is not there"),
        ("input.n / 0", "divides by zero"),
    ],
)
def test_what_is_no_value_of_json_is_refused(source: str, problem: str) -> None:
    with pytest.raises(ConditionError, match=problem):
        compile_value(source).of(DATA)


def test_an_answer_that_is_too_long_is_refused() -> None:
    long = {"input": {"text": "x" * (BYTES_MAX // 2)}, "steps": {}}
    with pytest.raises(ConditionError, match="at most 262,144 are allowed"):
        compile_value("[input.text, input.text, input.text]").of(long)


def test_an_answer_that_would_be_far_too_large_is_not_even_made() -> None:
    long = {"input": {"text": "x" * (BYTES_MAX // 2)}, "steps": {}}
    with pytest.raises(ConditionError, match="bytes of work"):
        compile_value(f"[{', '.join(['input.text'] * 100)}]").of(long)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.text(max_size=5),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
        max_leaves=8,
    )
)
def test_what_stands_in_the_data_comes_out_as_it_is(value: Any) -> None:
    data = {"input": {"value": value}, "steps": {}}
    try:
        made = compile_value("input.value").of(data)
    except ConditionError:
        assert "\\u0000" in json.dumps(value)  # a NUL, which cannot be kept
    else:
        assert made == value


def saga(*steps: Step) -> Definition:
    return Definition(name="order", steps=steps)


def test_a_value_with_inputs_and_an_optional_reference_are_features_of_their_own() -> None:
    step = Step(id="a", value="inputs.x", inputs={"x": Binding(ref="$.input.x", optional=True)})
    assert plan(saga(step)).features == ("optional_reference", "value", "value_inputs")


def test_what_an_optional_reference_does_not_find_is_null() -> None:
    definition = saga(
        Step(id="a", run="shop.a", allow_fail=True),
        Step(
            id="b",
            run="shop.b",
            inputs={
                "there": Binding(ref="$.input.x", optional=True),
                "gone": Binding(ref="$.input.y.z", optional=True),
                "other": Binding(ref="$.input.x.y[0]", optional=True),
                "tolerated": Binding(ref="$.steps.a.output.k", optional=True),
            },
        ),
    )
    assert problems(definition) == []
    assert plan(definition).inputs("b", {"x": 5}, {"a": {"k": 7}}) == {"there": 5, "gone": None, "other": None, "tolerated": 7}
    assert plan(definition).inputs("b", {}, {"a": {}}) == {"there": None, "gone": None, "other": None, "tolerated": None}


def test_the_output_of_a_saga_is_never_optional() -> None:
    found = problems(
        Definition(name="order", steps=(Step(id="a", run="shop.a"),), output=Binding(ref="$.input.x", optional=True))
    )
    assert found == ["the saga's output cannot be optional; refer to a value, which has an optional input."]


def test_a_schema_that_lacks_the_place_of_an_optional_reference_refuses_nothing() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    step = Step(id="a", run="shop.a", inputs={"x": Binding(ref="$.input.x", optional=True)})
    assert problems(Definition(name="order", steps=(step,), input_schema=schema)) == []


def test_a_definition_with_a_value_names_its_feature() -> None:
    assert plan(saga(Step(id="a", value="1 + 1"))).features == ("value",)


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            Step(id="b", value="steps.a.output"),
            "the value of step 'b' asks for step 'a', which does not come before it; add it to",
        ),
        (Step(id="b", value="input.(", after=("a",)), "the value of step 'b' does not compile"),
        (Step(id="b", value="1", pivot=True), "step 'b' is a value, which cannot be the pivot"),
        (Step(id="b", value="inputs.x + 1", inputs={"x": Binding(ref="$.steps.a.output")}), ""),
        (
            Step(id="b", value="inputs.x", inputs={"x": Binding(ref="$.steps.c.output")}),
            "input 'x' of step 'b' refers to the output of 'c'",
        ),
        (
            Step(id="b", value="inputs.x", inputs={"x": Binding(value=1, optional=True)}),
            "input 'x' of step 'b' is optional and has no ref",
        ),
        (Step(id="b", value="1", run="shop.b"), "step 'b' is a value, which nobody runs, but has run"),
        (
            Step(id="b", value="steps.a.failed", after=("a",)),
            "the value of step 'b' asks for steps.a.failed, but the saga turns back",
        ),
        (Step(id="b", value="steps.a.output.map(k, k)", after=("a",)), ""),
        (Step(id="b", value="steps.map(k, k)"), "the value of step 'b' walks over steps"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_with_the_remedy(step: Step, problem: str) -> None:
    found = problems(saga(Step(id="a", run="shop.a"), step))
    assert any(each.startswith(problem) for each in found) if problem else not found


def test_a_place_that_a_value_names_must_be_one_that_the_input_can_have() -> None:
    order: Saga[Any] = Saga("order", input_schema={"type": "object", "properties": {"n": {}}, "additionalProperties": False})
    order.value("input.m + 1")
    with pytest.raises(DefinitionError, match=r"the value of step 'value' refers to input\.m"):
        _ = order.definition


def test_python_gives_a_value_a_type() -> None:
    order: Saga[Any] = Saga("order")
    total = order.value("inputs.n * 2", id="total", output=int, inputs={"n": order.input.n})
    order.returns(total.output)
    assert order.result_type is int
    assert order.definition.steps == (Step(id="total", value="inputs.n * 2", inputs={"n": Binding(ref="$.input.n")}),)
