"""Groups and switches: what they are compiled to, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor import DefinitionError
from goconductor.control.definitions.loading import load_definition, read
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.saga.definition import Definition, Step, Undo
from goconductor.saga.expressions.condition_text import renamed
from goconductor.saga.plan import Plan
from tests.lifecycle.sagas import definitions, many_examples

LOAN = b"""
name: loan
steps:
  - {id: score, run: credit.score}
  - id: decide
    after: [score]
    switch:
      - case: good
        when: steps.score.output.points >= 700
        steps:
          - {id: offer, run: bank.offer}
          - {id: signed, wait: {event: signed, where: payload.offer == steps.offer.output.number}}
      - case: fair
        when: steps.score.output.points >= 500
        steps:
          - {id: review, run: people.review}
      - case: poor
        steps:
          - {id: refuse, run: bank.refuse, inputs: {points: {ref: $.steps.score.output.points}}}
  - id: shipping
    after: [decide]
    steps:
      - {id: pack, run: stock.pack}
      - {id: send, run: parcel.send, inputs: {box: {ref: $.steps.pack.output}}, when: steps.pack.output.kilos > 0.0}
  - id: tell
    run: mail.tell
    after: [shipping]
    inputs: {way: {ref: $.steps.decide.output}, parcel: {ref: $.steps.shipping.output}}
"""


def steps(definition: Definition) -> dict[str, tuple[Any, ...]]:
    return {step.id: (step.after, step.when) for step in definition.steps}


def test_a_switch_is_a_value_and_its_cases_run_by_it() -> None:
    made = steps(load_definition(LOAN))
    assert made["decide"] == (("score",), None)
    assert made["decide.good.offer"] == (("decide",), 'steps["decide"].output == "good"')
    assert made["decide.good.signed"] == (("decide.good.offer",), 'steps["decide"].output == "good"')
    assert made["decide.poor.refuse"] == (("decide",), 'steps["decide"].output == "poor"')


def test_who_comes_after_a_switch_comes_after_the_end_of_each_case_and_after_a_group_its_last_step() -> None:
    made = steps(load_definition(LOAN))
    assert made["shipping.pack"] == (("decide.good.signed", "decide.fair.review", "decide.poor.refuse"), None)
    assert made["shipping.send"][0] == ("shipping.pack",)
    assert made["tell"] == (("shipping.send",), None)


def test_names_are_looked_up_from_the_inside_out() -> None:
    by_id = {step.id: step for step in load_definition(LOAN).steps}
    assert by_id["shipping.send"].when == 'steps["shipping.pack"].output.kilos > 0.0'
    assert by_id["shipping.send"].inputs["box"].ref == "$.steps['shipping.pack'].output"
    assert by_id["tell"].inputs["parcel"].ref == "$.steps['shipping.send'].output"
    assert by_id["tell"].inputs["way"].ref == "$.steps.decide.output"
    signed = by_id["decide.good.signed"].wait
    assert signed is not None
    assert signed.where == 'payload.offer == steps["decide.good.offer"].output.number'


@pytest.mark.parametrize(
    ("points", "ran"),
    [
        (700, {"decide.good.offer", "decide.good.signed"}),
        (500, {"decide.fair.review"}),
        (499, {"decide.poor.refuse"}),
    ],
)
def test_the_first_case_that_holds_is_taken_and_the_join_goes_on(points: int, ran: set[str]) -> None:
    plan = Plan(load_definition(LOAN))
    outputs: dict[str, Any] = {"score": {"points": points}, "decide.good.offer": {"number": 7}, "shipping.pack": {"kilos": 1.5}}
    state = begin(plan, UUID(int=1), e.SagaStarted()).state
    while not state.phase.ended:
        sent = [name for name, step in state.steps.items() if step.action.status is ActionStatus.SENT]
        event: e.Event = (
            e.ActionSucceeded(sent[0], output=outputs.get(sent[0]))
            if sent
            else e.SignalReceived(name="signed", id="1", payload={"offer": 7})
        )
        state = decide(plan, state, event).state
    succeeded = {name for name, step in state.steps.items() if step.action.status is ActionStatus.SUCCEEDED}
    assert succeeded == {"score", "decide", "shipping.pack", "shipping.send", "tell", *ran}


def test_an_undo_inside_of_a_group_finds_the_step_beside_it() -> None:
    undo = {"run": "shop.give_back", "inputs": {"x": {"ref": "$.steps.a.output"}}}
    made = read({"name": "order", "steps": [{"id": "g", "steps": [STEP, {"id": "b", "run": "shop.b", "undo": undo}]}]})
    undone = made.steps[1].undo
    assert isinstance(undone, Undo)
    assert undone.inputs["x"].ref == "$.steps['g.a'].output"


def test_without_a_last_case_the_saga_goes_on_where_none_holds() -> None:
    made = read(
        {
            "name": "order",
            "steps": [
                {
                    "id": "gift",
                    "switch": [{"case": "big", "when": "input.cents > 100", "steps": [{"id": "wrap", "run": "shop.wrap"}]}],
                },
                {"id": "ship", "run": "shop.ship", "after": ["gift"]},
            ],
        }
    )
    assert steps(made)["ship"] == (("gift", "gift.big.wrap"), None)
    state = begin(Plan(made), UUID(int=1), e.SagaStarted(input={"cents": 5})).state
    assert {name: step.action.status.value for name, step in state.steps.items()} == {
        "gift": "succeeded",
        "gift.big.wrap": "skipped",
        "ship": "sent",
    }


def test_a_condition_of_a_group_is_asked_once_for_all_its_steps() -> None:
    members = [{"id": "a", "run": "shop.a"}, {"id": "b", "run": "shop.b", "when": "steps.a.output == 1"}]
    made = read({"name": "order", "steps": [{"id": "extra", "when": "input.wanted", "steps": members}]})
    assert [(step.id, step.value, step.after, step.when) for step in made.steps] == [
        ("extra.when", "(input.wanted\n) ? true : false", (), None),
        ("extra.a", None, ("extra.when",), 'steps["extra.when"].output == true'),
        ("extra.b", None, ("extra.a",), 'steps["extra.when"].output == true && (steps["extra.a"].output == 1\n)'),
    ]


GUARDED = {"id": "x", "run": "shop.x"}


@pytest.mark.parametrize(
    "step",
    [
        GUARDED | {"when": "input.ship"},
        {"id": "g", "when": "input.ship", "steps": [GUARDED]},
        {"id": "g", "steps": [GUARDED | {"when": "input.ship"}]},
        {"id": "g", "switch": [{"case": "c", "when": "input.ship", "steps": [GUARDED]}]},
        {"id": "g", "switch": [{"case": "c", "steps": [GUARDED | {"when": "input.ship"}]}]},
    ],
    ids=["step", "group", "step in a group", "case", "step in a case"],
)
@pytest.mark.parametrize("answer", ["yes", None, 1])
def test_a_condition_whose_answer_is_no_bool_skips_nothing_wherever_it_stands(step: Any, answer: Any) -> None:
    plan = Plan(read({"name": "order", "steps": [step]}))
    state = begin(plan, UUID(int=1), e.SagaStarted(input={"ship": answer})).state
    assert not any(each.action.status is ActionStatus.SKIPPED and name.endswith("x") for name, each in state.steps.items())
    assert state.reason is not None
    assert "cannot be evaluated on this data" in state.reason
    assert "<" not in state.reason


def test_what_decides_and_is_no_bool_is_told_in_plain_words() -> None:
    made = read({"name": "order", "steps": [{"id": "g", "when": "input.ship", "steps": [STEP]}]})
    state = begin(Plan(made), UUID(int=1), e.SagaStarted(input={"ship": "yes"})).state
    assert "what decides is no bool; compare it with something (here input.ship is a text)" in str(state.reason)


@pytest.mark.parametrize("when", ["true) || (true", "true)\n || (true //", "true) ? true : (false"])
@pytest.mark.parametrize(
    "step",
    [
        {"id": "g", "steps": [GUARDED], "when": "WHEN"},
        {"id": "g", "when": "input.a", "steps": [GUARDED | {"when": "WHEN"}]},
        {"id": "g", "when": "input.a", "steps": [{"id": "h", "when": "WHEN", "steps": [GUARDED]}]},
        {"id": "g", "switch": [{"case": "c", "when": "WHEN", "steps": [GUARDED]}]},
        {"id": "g", "switch": [{"case": "c", "steps": [GUARDED | {"when": "WHEN"}]}]},
    ],
    ids=["group", "step in a group", "group in a group", "case", "step in a case"],
)
def test_a_condition_that_closes_what_stands_around_it_is_refused(step: Any, when: str) -> None:
    document = json.loads(json.dumps(step).replace('"WHEN"', json.dumps(when)))
    with pytest.raises(DefinitionError) as caught:
        read({"name": "order", "steps": [document]})
    assert any(problem.startswith("the condition of ") and "does not compile" in problem for problem in caught.value.problems)


def test_switches_stand_inside_of_cases_and_of_groups() -> None:
    inner = {"id": "how", "switch": [{"case": "fast", "when": "input.fast", "steps": [{"id": "fly", "run": "air.fly"}]}]}
    case = {"case": "far", "when": "input.far", "steps": [inner, {"id": "land", "run": "air.land"}]}
    made = read(
        {"name": "trip", "steps": [{"id": "go", "switch": [case]}, {"id": "stay", "run": "home.stay", "after": ["go.far"]}]}
    )
    assert steps(made) == {
        "go": ((), None),
        "go.far.how": (("go",), 'steps["go"].output == "far"'),
        "go.far.how.fast.fly": (("go.far.how",), 'steps["go.far.how"].output == "fast"'),
        "go.far.land": (("go.far.how", "go.far.how.fast.fly"), 'steps["go"].output == "far"'),
        "stay": (("go.far.land",), None),
    }
    state = begin(Plan(made), UUID(int=1), e.SagaStarted(input={"far": False, "fast": True})).state
    assert {name for name, step in state.steps.items() if step.action.status is ActionStatus.SENT} == {"stay"}


STEP = {"id": "a", "run": "shop.a"}


def switch(*cases: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "order", "steps": [{"id": "way", "switch": [*cases], **fields}]}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (switch(), "switch 'way' has 0 cases"),
        (switch({"case": "a b", "steps": [STEP]}), "switch 'way' has a case 'a b'"),
        (switch({"case": "a", "steps": [STEP]}, {"case": "b", "steps": [STEP]}), "case 'a' of switch 'way' has no condition"),
        (switch({"case": "a", "when": "true", "steps": [STEP]}, {"case": "a", "steps": [STEP]}), "switch 'way' has 'a' twice"),
        (switch({"case": "a", "when": "input.(", "steps": [STEP]}), "the condition of case 'a' of switch 'way' does not compile"),
        (switch({"case": "a", "steps": []}), "'way.a' has no steps"),
        (switch({"case": "a", "steps": [STEP, STEP]}), "'way.a.a' is written twice"),
        (switch({"case": "a", "steps": [STEP]}, run="shop.way"), "step 'way' is a switch, which nobody runs, but has run"),
        (switch({"case": "a", "steps": [STEP]}, steps=[STEP]), "step 'way' is both a group and a switch"),
        (switch({"case": "a", "steps": [STEP | {"pivot": True}]}), "pivot 'way.a.a' has a condition"),
        (switch({"case": "a", "steps": [STEP | {"after": ["b"]}]}), "step 'way.a.a' comes after 'b', which is not a step"),
        (switch({"case": "a", "steps": [STEP | {"colour": 1}]}), "$.steps[0].switch[0].steps[0] has an unknown key 'colour'"),
        (
            {"name": "order", "steps": [{"id": "g", "steps": [STEP], "allow_fail": True}]},
            "step 'g' is a group, which nobody runs",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_place_as_it_is_written(document: Any, told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(document)
    assert any(problem.startswith(told) for problem in caught.value.problems), caught.value.problems


@many_examples
@given(definitions())
def test_a_definition_without_these_constructs_is_its_own_compiled_form(definition: Definition) -> None:
    document = msgspec.to_builtins(definition)
    assert read(document).version == definition.version
    group = {"name": "grouped", "steps": [{"id": "all", "steps": [{"id": "only", "run": "shop.only"}]}]}
    assert read(group) == read(group)


@given(st.text(max_size=30))
def test_renaming_nothing_changes_no_text(source: str) -> None:
    assert renamed(source, lambda name: name) == source


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("steps.a.output", 'steps["x.a"].output'),
        ("steps . a .output", 'steps["x.a"].output'),
        ("steps['a']['output'] + steps.b", 'steps["x.a"][\'output\'] + steps["x.b"]'),
        ("input.steps.a", "input.steps.a"),
        ("'steps.a' == steps.a", "'steps.a' == steps[\"x.a\"]"),
        ("steps[input.a].output", "steps[input.a].output"),
        ("size(steps) > 1", "size(steps) > 1"),
    ],
)
def test_steps_are_renamed_where_a_text_names_them(source: str, made: str) -> None:
    assert renamed(source, lambda name: f"x.{name}") == made


def test_a_compiled_definition_can_be_registered_as_it_is() -> None:
    made = load_definition(LOAN)
    assert read(load_document(made)).version == made.version
    assert (
        Step(id="shipping.pack", run="stock.pack", after=("decide.good.signed", "decide.fair.review", "decide.poor.refuse"))
        in made.steps
    )


def load_document(definition: Definition) -> Any:
    return json.loads(definition.document())


@pytest.mark.parametrize(
    "frame",
    [
        {"id": "g", "steps": [STEP, {"id": "b", "run": "shop.b"}]},
        {"id": "g", "when": "input.x", "steps": [STEP]},
        {"id": "g", "steps": [{"id": "inner", "steps": [STEP, {"id": "b", "run": "shop.b"}]}]},
    ],
)
def test_a_fallback_is_no_group_whose_first_steps_would_run_where_nothing_has_failed(frame: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="the fallback of step 'x' is 'g', of which only the last step"):
        read({"name": "order", "steps": [{"id": "x", "run": "shop.x", "fallback": "g"}, frame]})


def test_a_fallback_may_be_a_group_of_one_step_or_a_step_of_a_group() -> None:
    one, several = {"id": "g", "steps": [STEP]}, {"id": "h", "steps": [STEP, {"id": "b", "run": "shop.b"}]}
    steps = [{"id": "x", "run": "shop.x", "fallback": "g"}, {"id": "y", "run": "shop.y", "fallback": "h.b"}, one, several]
    assert [step.fallback for step in read({"name": "order", "steps": steps}).steps[:2]] == ["g.a", "h.b"]
