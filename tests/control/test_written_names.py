"""Groups and switches in what is shown of a saga: decisions are told, and names are those that were written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from goconductor.control.definitions.loading import read
from goconductor.control.models import StepDetail
from goconductor.control.sagas.steps import Surroundings, describe
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts.events import ActionSucceeded, SagaStarted
from goconductor.lifecycle.grown import in_order
from goconductor.saga.plan import Plan

SAGA = UUID("01920000-0000-7000-8000-000000000001")


def step(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "run": f"shop.{name}", **fields}


WAY = {
    "id": "pay",
    "switch": [
        {
            "case": "card",
            "when": "input.card",
            "steps": [{"id": "hold", "run": "bank.hold"}, {"id": "charge", "run": "bank.charge"}],
        },
        {"case": "bill", "when": "input.bill", "steps": [{"id": "write", "run": "bank.write"}]},
    ],
}
ORDER = {
    "name": "order",
    "steps": [
        WAY,
        {
            "id": "ship",
            "when": "input.to_ship",
            "steps": [step("pack"), step("send")],
        },
        {"id": "lines", "map": {"over": "$.input.lines", "do": [WAY, step("note", after=["pay"])]}},
        step("tell", after=["pay", "ship"]),
    ],
}


def shown(*done: str, **input: object) -> dict[str, StepDetail]:
    plan = Plan(read(ORDER))
    state = begin(plan, SAGA, SagaStarted(input={"card": True, "bill": False, "to_ship": True, "lines": ["a"], **input})).state
    for name in done:
        state = decide(plan, state, ActionSucceeded(step=name)).state
    return {name: describe(plan, state, name, Surroundings(now=0.0)) for name in in_order(plan, state.steps)}


def test_what_a_switch_and_a_condition_of_a_group_decided_is_told() -> None:
    steps = shown()
    assert steps["pay"].reason == "took case card"
    assert steps["ship.when"].reason == "the condition of group ship holds"
    assert steps["pay.bill.write"].reason == "switch pay took case card"
    assert steps["lines[0].pay"].reason == "took case card"
    assert steps["lines[0].pay.bill.write"].reason == "switch pay took case card"


def test_what_was_not_taken_says_which_switch_or_group_decided_it() -> None:
    steps = shown(card=False, to_ship=False)
    assert steps["pay"].reason == "took none of its cases"
    assert steps["pay.card.charge"].reason == "switch pay took none of its cases"
    assert steps["ship.send"].reason == "the condition of group ship does not hold"


def test_what_comes_after_a_switch_is_said_to_wait_for_the_switch() -> None:
    steps = shown()
    assert steps["tell"].after == ["pay", "pay.card.charge", "pay.bill.write", "ship.send"]
    assert steps["tell"].follows == ["pay", "ship"]
    assert steps["tell"].reason == "waits for pay.card, ship"
    assert steps["lines[0].note"].follows == ["lines[0].pay"]
    assert steps["pay.card.charge"].follows == ["pay.card.hold"]


def test_a_definition_without_groups_is_shown_as_ever() -> None:
    plan = Plan(read({"name": "order", "steps": [step("a", when="false"), step("b", after=["a"])]}))
    state = begin(plan, SAGA, SagaStarted(input={})).state
    assert describe(plan, state, "a", Surroundings(now=0.0)).reason is None
    assert describe(plan, state, "b", Surroundings(now=0.0)).follows == ["a"]
