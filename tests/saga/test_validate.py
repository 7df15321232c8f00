"""A definition that cannot run is refused with every fault at once, each with its remedy."""

from __future__ import annotations

from itertools import pairwise

import pytest

from goconductor.errors import DefinitionError
from goconductor.saga.checking import validate
from goconductor.saga.checking.validate import check, problems
from goconductor.saga.definition import Binding, Definition, Step
from goconductor.saga.retry import Retry


def step(id: str, *after: str, **more: object) -> Step:
    return Step(**{"id": id, "run": f"shop.{id}", "after": after, **more})  # type: ignore[arg-type]


def saga(*steps: Step, **more: object) -> Definition:
    return Definition(**{"name": "order", "steps": steps, **more})  # type: ignore[arg-type]


def ref(path: str) -> dict[str, Binding]:
    return {"x": Binding(ref=path)}


SOUND = saga(
    step("a", inputs=ref("$.input.x"), compensation=True, timeout_seconds=5.0, unknowns_max=1),
    step("b", when="input.x > 1", compensation=True),
    step("pivot", "a", "b", pivot=True, compensation=False),
    step("z", "pivot", inputs=ref("$.steps.a.output"), when="steps.b.skipped"),
    output=Binding(ref="$.steps.z.output"),
    timeout_seconds=60.0,
)


def test_a_sound_definition_has_no_problem() -> None:
    assert problems(SOUND) == []
    check(SOUND)


def test_what_was_stored_with_longer_times_is_still_read() -> None:
    long = step("a", timeout_seconds=1e12, total_timeout_seconds=1e12, retry=Retry(max_seconds=1e12), compensation=True)
    assert problems(saga(long, timeout_seconds=1e12), stored=True) == []


@pytest.mark.parametrize(
    ("definition", "fault", "remedy"),
    [
        (saga(step("a"), name="my order"), "the saga's name 'my order'", "must be 1 to 100 letters"),
        (saga(), "it has no step", "add at least one"),
        (saga(step("a"), timeout_seconds=0.0), "its timeout must be above zero", "leave it out for none"),
        (saga(step("a"), timeout_seconds=float("inf")), "its timeout must be above zero", "leave it out for none"),
        (saga(step("a"), step("a"), step("a")), "step 'a' is defined 3 times", "give each step an id of its own"),
        (saga(step("a b", run="shop.a")), "step id 'a b'", "must be 1 to 100 letters"),
        (saga(step("a", run="charge")), "step 'a' runs 'charge'", "name its code as 'participant.step'"),
        (saga(step("a", timeout_seconds=0.0)), "step 'a' has a timeout of 0 seconds", "must be above zero"),
        (saga(step("a", timeout_seconds=float("nan"))), "step 'a' has a timeout of nan seconds", "must be above zero"),
        (saga(step("a"), timeout_seconds=1e12), "its timeout must be at most 3155760000 seconds", "leave it out for none"),
        (saga(step("a", timeout_seconds=1e12)), "step 'a' has a timeout of 1e+12 seconds", "must be at most 3155760000"),
        (saga(step("a", total_timeout_seconds=1e12)), "step 'a' has a total timeout of 1e+12", "must be at most 3155760000"),
        (saga(step("a", retry=Retry(max_seconds=1e12))), "step 'a' has retry.max_seconds 1e+12", "at most 3155760000"),
        (saga(step("a", unknowns_max=0)), "step 'a' has unknowns_max 0", "must be at least 1"),
        (saga(step("a", "b")), "step 'a' comes after 'b', which is not a step", "add that step or correct the name"),
        (
            saga(step("a", inputs=ref("$.steps.b.output"))),
            "input 'x' of step 'a' refers to the output of 'b', which is not a step",
            "add that step or correct the name",
        ),
        (saga(step("a", inputs=ref("$.input[*]"))), "input 'x' of step 'a' refers to '$.input[*]'", "names and indexes only"),
        (saga(step("a", inputs=ref("sku"))), "input 'x' of step 'a' refers to 'sku'", "$.input"),
        (
            saga(step("a", inputs={"x": Binding(ref="$.input.x", value=1)})),
            "input 'x' of step 'a' has both a ref and a value",
            "keep one of them",
        ),
        (
            saga(step("a", inputs={"x": Binding(value=float("nan"))})),
            "input 'x' of step 'a' has a constant that cannot be kept",
            "send None or a string",
        ),
        (
            saga(step("a"), output=Binding(ref="$.steps.b.output")),
            "the saga's output refers to the output of 'b'",
            "correct the name",
        ),
        (saga(step("a", "b"), step("b", "a")), "steps wait for one another in a cycle: ", "remove one of these dependencies"),
        (saga(step("a", "a")), "steps wait for one another in a cycle: a → a", "remove one of these dependencies"),
        (
            saga(step("a", inputs=ref("$.steps.b.output")), step("b", "a")),
            "steps wait for one another in a cycle: ",
            "remove one of these dependencies",
        ),
        (saga(step("p", pivot=True, when="input.x")), "pivot 'p' has a condition", "put the condition on the steps around it"),
        (saga(step("a", when="input.x >")), "the condition of step 'a' does not compile", "input.x >"),
        (
            saga(step("a", when="steps.b.skipped")),
            "the condition of step 'a' asks for step 'b', which is not a step of this saga",
            "correct the name",
        ),
        (
            saga(step("a", when="steps.b.skipped"), step("b")),
            "the condition of step 'a' asks for step 'b', which does not come before it",
            "add it to 'after'",
        ),
        (saga(step("p", pivot=True), step("q", "p", pivot=True)), "it has 2 pivots (p, q)", "keep one"),
        (saga(step("p", pivot=True), step("q", pivot=True)), "it has 2 pivots (p, q)", "keep one"),
        (
            saga(step("p", pivot=True, compensation=True)),
            "pivot 'p' has a compensation that can never run",
            "remove it, or make a later step the pivot",
        ),
        (
            saga(step("p", pivot=True), step("z", "p", compensation=True)),
            "step 'z' comes after the pivot 'p' but has a compensation that can never run",
            "move it before the pivot or remove the compensation",
        ),
        (
            saga(step("p", pivot=True), step("a")),
            "step 'a' runs beside the pivot 'p'",
            "put it before the pivot (add 'a' to the pivot's 'after') or after it",
        ),
    ],
)
def test_a_fault_is_named_with_its_remedy(definition: Definition, fault: str, remedy: str) -> None:
    found = problems(definition)
    assert len(found) == 1, found
    assert fault in found[0]
    assert remedy in found[0]
    with pytest.raises(DefinitionError):
        check(definition)


def test_too_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "STEPS_MAX", 2)
    (found,) = problems(saga(step("a"), step("b"), step("c")))
    assert found == "it has 3 steps, at most 2 are allowed; split it into several sagas."


def test_a_cycle_names_the_steps_in_the_order_in_which_they_wait() -> None:
    (found,) = problems(saga(step("a", "c"), step("b", "a"), step("c", "b")))
    way = found.removeprefix("steps wait for one another in a cycle: ").split(";")[0].split(" → ")
    assert way[0] == way[-1]
    assert {*pairwise(way)} in ({("a", "b"), ("b", "c"), ("c", "a")}, {("b", "a"), ("c", "b"), ("a", "c")})


def test_all_faults_are_told_at_once() -> None:
    definition = saga(
        step("a", "b", inputs=ref("$.steps.nowhere.output")),
        step("b", "a", "gone"),
        step("pivot", "b", pivot=True),
        step("late", "pivot", compensation=True),
        step("beside", when="steps.pivot.skipped"),
        timeout_seconds=-1.0,
    )
    with pytest.raises(DefinitionError) as caught:
        check(definition)
    told = caught.value.problems
    for fault in (
        "its timeout must be above zero",
        "refers to the output of 'nowhere'",
        "comes after 'gone'",
        "in a cycle: ",
        "asks for step 'pivot', which does not come before it",
        "'late' comes after the pivot 'pivot' but has a compensation",
        "'beside' runs beside the pivot",
    ):
        assert sum(fault in problem for problem in told) == 1, fault
    assert len(told) == 7
    assert str(caught.value).startswith("Saga 'order' cannot run:\n  1. its timeout must be above zero")
    assert f"\n  7. {told[-1]}" in str(caught.value)
