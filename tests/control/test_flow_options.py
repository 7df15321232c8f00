"""Options of one execution are a version of the flow. Pure."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goconductor import DefinitionError, Retry
from goconductor.control.definitions.loading import read
from goconductor.control.flows.options import Options, with_options
from goconductor.saga.checking import validate
from goconductor.saga.definition import Definition
from goconductor.saga.graph import reachable
from goconductor.saga.plan import Plan


def flow(*steps: dict[str, Any], **fields: Any) -> Plan:
    return Plan(read({"name": "order", "steps": [{"run": "shop.work", **step} for step in steps], **fields}))


CHAIN = flow({"id": "a"}, {"id": "b", "after": ["a"]}, {"id": "c", "after": ["b"]})


def when(definition: Definition) -> dict[str, str | None]:
    return {step.id: step.when for step in definition.steps}


def test_without_options_it_is_the_flow_itself() -> None:
    assert with_options(CHAIN, Options()) == CHAIN.definition


def test_a_timeout_and_a_policy_of_its_own() -> None:
    plan = flow({"id": "a"}, {"id": "b", "retry": {"attempts_max": 2}}, {"id": "c", "run": "", "delay": {"seconds": 1}})
    made = with_options(plan, Options(timeout_seconds=7, retry=Retry(attempts_max=9)))
    assert made.timeout_seconds == 7
    assert [step.retry and step.retry.attempts_max for step in made.steps] == [9, 2, None]


def test_a_policy_reaches_the_steps_in_a_map() -> None:
    plan = flow({"id": "m", "run": "", "map": {"over": "$.input", "do": [{"id": "a", "run": "shop.work"}]}})
    [made] = with_options(plan, Options(retry=Retry(attempts_max=9))).steps
    assert made.map is not None
    assert made.map.do[0].retry == Retry(attempts_max=9)


def test_starting_at_a_step_skips_those_before_it() -> None:
    assert when(with_options(CHAIN, Options(from_step="c"))) == {"a": "false", "b": "false", "c": None}
    beside = flow({"id": "a"}, {"id": "b", "after": ["a"]}, {"id": "c", "after": ["a"]}, {"id": "d", "after": ["b", "c"]})
    assert when(with_options(beside, Options(from_step="b"))) == {"a": "false", "b": None, "c": None, "d": None}


def test_a_skipped_step_takes_its_fallback_with_it() -> None:
    plan = flow({"id": "a", "fallback": "f"}, {"id": "f"}, {"id": "b", "after": ["a"]})
    assert when(with_options(plan, Options(from_step="b"))) == {"a": "false", "f": "false", "b": None}


READS = {"inputs": {"x": {"ref": "$.steps.a.output"}}}


@pytest.mark.parametrize(
    ("steps", "fields", "told"),
    [
        ([{"id": "b", **READS}], {}, "input 'x' of step 'b' refers to $.steps.a.output, and step 'a' is skipped"),
        ([{"id": "b", "when": "steps.a.output.n > 1"}], {}, "refers to steps.a.output.n, and step 'a' is skipped"),
        (
            [{"id": "b", "run": "", "wait": {"event": "paid", "where": "payload.n == steps.a.output.n"}}],
            {},
            "names steps.a, and step 'a' is skipped",
        ),
        ([{"id": "b", "after": ["a"]}], {"output": {"ref": "$.steps.a.output.n"}}, "the saga's output refers to"),
        (
            [{"id": "b", "after": ["a"]}, {"id": "c", "after": ["b"], **READS}],
            {},
            "input 'x' of step 'c' refers to $.steps.a.output",
        ),
        (
            [
                {
                    "id": "b",
                    "run": "",
                    "after": ["a"],
                    "map": {"over": "$.input", "do": [{"id": "i", "run": "shop.work", **READS}]},
                }
            ],
            {},
            "map 'b' refers to the output of step 'a'",
        ),
    ],
)
def test_what_needs_the_output_of_a_skipped_step_is_refused(
    steps: list[dict[str, Any]], fields: dict[str, Any], told: str
) -> None:
    plan = flow({"id": "a"}, *({"after": ["a"], **step} for step in steps), **fields)
    with pytest.raises(DefinitionError) as refused:
        with_options(plan, Options(from_step="b"))
    assert told in str(refused.value)
    assert "cannot be executed so" in str(refused.value)


def test_an_optional_reference_is_null() -> None:
    plan = flow({"id": "a"}, {"id": "b", "inputs": {"x": {"ref": "$.steps.a.output", "optional": True}}})
    assert when(with_options(plan, Options(from_step="b"))) == {"a": "false", "b": None}


@pytest.mark.parametrize(
    ("plan", "options", "told"),
    [
        (CHAIN, Options(from_step="bb"), "no step 'bb' to start at; did you mean b"),
        (flow({"id": "a", "fallback": "f"}, {"id": "f"}), Options(from_step="f"), "only where step 'a' has failed"),
        (flow({"id": "a", "pivot": True}, {"id": "b", "after": ["a"]}), Options(from_step="b"), "after the pivot 'a'"),
        (CHAIN, Options(concurrency=0), "would run nothing"),
        (
            flow({"id": "m", "run": "", "map": {"over": "$.input", "do": [{"id": "a", "run": "shop.work"}]}}),
            Options(concurrency=2),
            "it has a map",
        ),
    ],
)
def test_what_cannot_be_is_refused(plan: Plan, options: Options, told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        with_options(plan, options)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Sound flows of up to eight steps, some with a fallback."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 8)))]
    steps: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        after: list[str] = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        steps.append({"id": name, "run": "shop.work", "after": after})
        if draw(st.integers(0, 3)) == 0:
            other: list[str] = draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
            steps[-1]["fallback"] = f"{name}-instead"
            steps.append({"id": f"{name}-instead", "run": "shop.work", "after": other})
    draw(st.randoms(use_true_random=False)).shuffle(steps)
    return flow(*steps)


@settings(max_examples=40)
@given(plans(), st.integers(1, 4))
def test_no_more_steps_are_out_at_once_than_the_concurrency(plan: Plan, concurrency: int) -> None:
    definition = with_options(plan, Options(concurrency=concurrency))
    validate.check(definition)
    edges = Plan(definition).predecessors
    before = {name: reachable(edges, name) for name in edges}
    for name, steps in plan.predecessors.items():
        assert {*steps} <= before[name]  # nothing of the flow's own order is lost
    for together in combinations(sorted(before), concurrency + 1):
        assert any(one in before[other] or other in before[one] for one, other in combinations(together, 2))


@given(plans(), st.data())
def test_who_starts_at_a_step_can_do_so_or_is_told_why(plan: Plan, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(plan.order))
    if start in plan.stands_for:
        return
    definition = with_options(plan, Options(from_step=start))
    validate.check(definition)
    skipped = {name for name, condition in when(definition).items() if condition is not None}
    assert skipped == reachable(plan.predecessors, start)
