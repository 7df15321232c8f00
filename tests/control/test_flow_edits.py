"""Edits of a flow: what becomes of the order of its steps. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor import DefinitionError, StepExistsError, StepNotFoundError
from goconductor.control.flows import edits
from goconductor.saga.checking.validate import problems
from goconductor.saga.definition import Definition
from goconductor.saga.graph import reachable
from goconductor.saga.plan import Plan


def added(definition: Definition | None, id: str, **fields: Any) -> Definition:
    return edits.created("order", definition, edits.read_step("order", {"id": id, "run": f"shop.{id}", **fields}))


def chain(*names: str) -> Definition:
    definition: Definition | None = None
    for number, name in enumerate(names):
        definition = added(definition, name, after=[*names[max(number - 1, 0) : number]])
    assert definition is not None
    return definition


def before(definition: Definition) -> dict[str, list[str]]:
    return {name: sorted(steps) for name, steps in Plan(definition).predecessors.items()}


def order_of(definition: Definition) -> set[tuple[str, str]]:
    """Which step comes before which, over any number of others."""
    edges = Plan(definition).predecessors
    return {(earlier, later) for later in edges for earlier in reachable(edges, later)}


def test_the_first_step_makes_the_flow() -> None:
    assert before(added(None, "reserve")) == {"reserve": []}


def test_a_step_is_put_between_two_others() -> None:
    between = added(chain("reserve", "ship"), "charge", after=["reserve"], before=["ship"])
    assert before(between) == {"reserve": [], "charge": ["reserve"], "ship": ["charge", "reserve"]}


def test_the_same_step_again_changes_nothing() -> None:
    between = added(chain("reserve", "ship"), "charge", after=["reserve"], before=["ship"])
    assert added(between, "charge", after=["reserve"], before=["ship"]) == between
    others = added(between, "check", before=["charge"])
    assert added(others, "charge", after=["reserve"], before=["ship"]) == others


@pytest.mark.parametrize("other", [{"run": "shop.other"}, {"after": ["ship"]}, {"before": ["reserve"]}, {"pivot": True}])
def test_another_step_of_the_same_id_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(StepExistsError, match="another step 'charge'; replace that one"):
        added(chain("reserve", "charge", "ship"), "charge", **other)


def test_who_came_after_a_deleted_step_comes_after_those_before_it() -> None:
    left = edits.deleted("order", chain("reserve", "charge", "ship"), "charge")
    assert before(left) == {"reserve": [], "ship": ["reserve"]}


def test_a_deleted_step_leaves_no_order_of_its_references() -> None:
    read = added(added(None, "reserve"), "charge", inputs={"goods": {"ref": "$.steps.reserve.output"}})
    left = edits.deleted("order", added(read, "ship", after=["charge"]), "charge")
    assert before(left) == {"reserve": [], "ship": ["reserve"]}


def test_a_step_that_replaces_another_keeps_its_place_unless_it_names_one() -> None:
    whole = chain("reserve", "charge", "ship")

    def replaced(**fields: Any) -> Definition:
        return edits.replaced("order", whole, edits.read_step("order", {"id": "charge", "run": "bank.debit", **fields}))

    assert before(replaced()) == before(whole)
    assert Plan(replaced()).steps["charge"].run == "bank.debit"
    assert before(replaced(after=[])) == {"reserve": [], "charge": [], "ship": ["charge"]}
    assert before(replaced(after=[], before=["reserve"])) == {"reserve": ["charge"], "charge": [], "ship": ["charge"]}


def test_a_step_that_is_not_there_is_named_with_the_nearest() -> None:
    whole = chain("reserve", "charge")
    with pytest.raises(StepNotFoundError, match="flow 'order' has no step 'chargee'; did you mean charge"):
        edits.deleted("order", whole, "chargee")
    with pytest.raises(StepNotFoundError, match="has no step 'ship'"):
        edits.replaced("order", whole, edits.read_step("order", {"id": "ship", "run": "shop.ship"}))
    with pytest.raises(DefinitionError, match="no step 'chargee' before which one could be put; did you mean charge"):
        added(whole, "check", before=["chargee"])


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"id": "a", "flow": "billing"}, r"\$\.flow: a step that executes a flow has its name as"),
        ({"id": "a", "run": "shop.a", "from_step": "b"}, r"\$\.from_step: only a step that executes a flow has it"),
        ({"id": "a", "runs": "shop.a"}, "unknown key 'runs'; did you mean run"),
        ({"run": "shop.a"}, "id"),
        ({"id": "a", "run": "shop.a", "before": "b"}, "before"),
        (["a"], r"\$"),
        ({"id": "a", "run": "shop.a", "inputs": {"n": {"value": float("nan")}}}, "inputs.n.value"),
    ],
)
def test_a_step_of_another_shape_is_refused_with_the_place(document: Any, told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        edits.read_step("order", document)


NAMES = [f"s{number}" for number in range(8)]


@st.composite
def flows(draw: st.DrawFn) -> Definition:
    """Flows of some steps, each after some of those before it."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    definition: Definition | None = None
    for number, name in enumerate(names):
        after: list[str] = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        reads = bool(after) and draw(st.booleans())
        inputs = {"inputs": {"x": {"ref": f"$.steps.{after[0]}.output"}}} if reads else {}
        definition = added(definition, name, after=after, **inputs)
    assert definition is not None
    return definition


@given(flows(), st.data())
def test_a_deleted_step_takes_no_order_from_the_others(definition: Definition, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from([step.id for step in definition.steps]))
    left = edits.deleted("order", definition, gone)
    if problems(left):  # somebody reads its output: the check refuses the edit
        assert any(f"steps.{gone}" in (binding.ref or "") for step in left.steps for binding in step.inputs.values())
        return
    assert order_of(left) == {(one, other) for one, other in order_of(definition) if gone not in (one, other)}


@given(flows(), st.data())
def test_a_created_step_comes_where_it_was_put_and_is_taken_out_again(definition: Definition, data: st.DataObject) -> None:
    names = [step.id for step in definition.steps]
    after, ahead = (data.draw(st.lists(st.sampled_from(names), unique=True)) for _ in range(2))
    grown = added(definition, "new", after=after, before=ahead)
    if problems(grown):  # in a cycle
        return
    order = order_of(grown)
    assert {(name, "new") for name in after} | {("new", name) for name in ahead} | order_of(definition) <= order
    assert added(grown, "new", after=after, before=ahead) == grown
    left = order_of(edits.deleted("order", grown, "new"))
    assert order_of(definition) <= left == {pair for pair in order if "new" not in pair}
