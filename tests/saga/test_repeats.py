"""Repeats in a definition: what is refused of them, and how they are written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from goconductor import Saga
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.control.diagrams.svg import svg
from goconductor.errors import ArgumentError
from goconductor.saga.checking.code import unfit_undo
from goconductor.saga.checking.doubts import doubts
from goconductor.saga.checking.validate import problems
from goconductor.saga.comparing import compare
from goconductor.saga.definition import Definition
from goconductor.saga.features import features_of
from goconductor.saga.plan import plan
from goconductor.saga.writing.as_python import as_python
from goconductor.saga.writing.groups.differences import differences


def defined(*steps: dict[str, Any], **others: Any) -> Definition:
    return msgspec.convert({"name": "order", "steps": [*steps], **others}, Definition)


ASK = {"id": "ask", "run": "bank.ask"}


def repeated(*do: dict[str, Any], of: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    repeat = {"do": [*(do or (ASK,))], "until": "steps.ask.output.ready", "max": 5} | (of or {})
    return {"id": "poll", "repeat": repeat, **others}


def given(ref: str) -> dict[str, Any]:
    return {"inputs": {"x": {"ref": ref}}}


PAY = {"id": "pay", "run": "bank.pay", "pivot": True}


def test_features_of_a_repeat_are_those_of_its_steps_and_one_of_its_own() -> None:
    assert features_of(defined(repeated({**ASK, "allow_fail": True}))) == ("repeat", "tolerated_failure")


def test_what_a_turn_uses_of_the_outside_comes_before_the_repeat() -> None:
    compiled = plan(defined(repeated({**ASK, **given("$.steps.open.output")}), {"id": "open", "run": "shop.open"}))
    assert compiled.predecessors["poll"] == ("open",)
    assert compiled.steps["poll[7].ask"].run == "bank.ask"


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([repeated(of={"do": []})], "repeat 'poll' has no steps; add at least one to its 'do'."),
        ([repeated(of={"max": 0})], "repeat 'poll' has max 0; give it a number of turns from 1 to 1,000."),
        ([repeated(of={"max": 1_001})], "repeat 'poll' has max 1,001; give it a number of turns from 1 to 1,000."),
        ([repeated(of={"delay_seconds": 0})], "repeat 'poll' has delay_seconds 0; give more than 0"),
        ([repeated(allow_fail=True)], "repeat 'poll' has allow_fail, and cannot undo its turns while the saga goes on"),
        ([repeated(pivot=True)], "step 'poll' is a repeat, which cannot be the pivot; make the step after it the pivot."),
        ([repeated(retry={"attempts_max": 3})], "step 'poll' is a repeat, which nobody runs, but has retry; leave that out."),
        ([repeated(value="1")], "step 'poll' is both a value and a repeat; make two steps of it."),
        ([repeated({**ASK, "pivot": True})], "pivot 'ask' is in repeat 'poll'; a saga has one point of no return"),
        ([repeated(of={"until": "index + 1"})], "in repeat 'poll': its 'until' does not compile: condition"),
        ([repeated(of={"until": "item == 1"})], "in repeat 'poll': its 'until' does not compile: condition 'item == 1'"),
        ([repeated(of={"until": "steps.aks.skipped"})], "its 'until' asks for step 'aks', which is not a step of this saga"),
        (
            [repeated(of={"until": "steps.late.skipped"}), {"id": "late", "run": "shop.late", "after": ["poll"]}],
            "in repeat 'poll': its 'until' asks for step 'late', which does not come before it; add it to 'after'.",
        ),
        (
            [repeated({**ASK, "after": ["pay"]}), PAY],
            "comes after 'pay', which is outside of its repeat; let the repeat come after",
        ),
        (
            [{**ASK, **given("$.previous.x")}],
            "refers to $.previous.x, which only steps in a repeat have; refer to the saga's data.",
        ),
        (
            [{**ASK, **given("$.index")}],
            "refers to $.index, which only steps in a map or a repeat have; refer to the saga's data.",
        ),
        ([repeated({**ASK, **given("$.item")})], "refers to $.item, which only steps in a map have; refer to the saga's data."),
        (
            [{"id": "m", "map": {"over": "$.input.l", "do": [{**ASK, **given("$.previous")}]}}],
            "in map 'm': input 'x' of step 'ask' refers to $.previous, which only steps in a repeat have",
        ),
        ([repeated({**ASK, "locks": [{"key": "k"}]})], "step 'ask' in repeat 'poll' has locks; give them to the repeat"),
        ([repeated({"id": "s", "savepoint": {"otherwise": ["b"]}})], "stands in repeat 'poll', whose turns cannot go back alone"),
        ([repeated(locks=[{"key": "k:{item.x}"}])], "step 'poll' has the lock 'k:{item.x}', which refers to $.item.x"),
        (
            [PAY, repeated({**ASK, "compensation": True}, after=["pay"])],
            "step 'ask' in repeat 'poll' comes after the pivot 'pay' but has a compensation that can never run; move the repeat",
        ),
        (
            [repeated({"id": "in", **repeated(of={"max": 1_000})}, of={"max": 20, "until": "true"})],
            "with all turns of its repeats it would have 20,021 steps, at most 20,000 are allowed; give them a smaller max",
        ),
        (
            [repeated(repeated(repeated(repeated(), of={"max": 1, "until": "true"}), of={"max": 1, "until": "true"}))],
            "its maps and repeats stand more than 3 deep in one another; use fewer, or several sagas.",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_a_remedy(steps: list[dict[str, Any]], problem: str) -> None:
    found = problems(defined(*steps))
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    "steps",
    [
        [repeated(of={"until": "index == 2 || previous != null && previous.ready", "at_max": "go_on", "delay_seconds": 0.5})],
        [
            repeated(of={"until": "steps.open.output.free || steps.ask.skipped"}, after=["open"]),
            {"id": "open", "run": "shop.open"},
        ],
        [{"id": "m", "map": {"over": "$.input.l", "do": [repeated({**ASK, **given("$.item")}, of={"until": "item == index"})]}}],
        [repeated({"id": "m", "map": {"over": "$.input.l", "do": [{**ASK, "when": "item == previous"}]}}, of={"until": "true"})],
        [repeated({**ASK, "run": "", "saga": {"name": "parcel"}}, of={"until": "true"})],
        [repeated({**ASK, "allow_fail": True}, of={"until": "!steps.ask.failed"})],
    ],
)
def test_what_can_run_is_taken(steps: list[dict[str, Any]]) -> None:
    definition = defined(*steps)
    assert problems(definition) == []
    plan(definition)


def test_an_undo_takes_null_where_there_was_no_turn_before() -> None:
    undo = {"run": "bank.forget", "inputs": {"x": {"ref": "$.previous.n"}}}
    definition = defined(repeated({**ASK, "undo": undo}))

    class Strict:
        @property
        def parameters(self) -> dict[str, bool]:
            return {"x": True}

        def refusal_of(self, name: str, value: object) -> str | None:
            return f"{name} is no number" if value is None else None

        def taken(self, name: str) -> dict[str, object]:
            return {}

    (step,) = definition.steps[0].body
    (problem,) = unfit_undo(definition, step, Strict())
    assert "Path: ask runs in the first turn → the saga turns back." in problem


def test_a_condition_that_never_holds_is_doubted() -> None:
    (doubt,) = doubts(defined(repeated(of={"until": "1 == 2"})))
    assert "repeat 'poll' fails whenever it runs: its 'until' '1 == 2' is false on any data" in doubt
    assert doubts(defined(repeated(of={"until": "false", "at_max": "go_on"}))) == []  # so many times
    assert doubts(defined(repeated({**ASK, "when": "index > 0 && previous == null"}))) == []


def test_what_differs_between_two_versions_is_told() -> None:
    old, new = plan(defined(repeated())), plan(defined(repeated(of={"max": 9})))
    compared = compare(old, new)
    assert compared.holding == ("poll",)
    assert differences(old, new) == ("step 'poll': the 'max' of its repeat is 9, and was 5",)


def test_the_same_definition_in_python_and_as_a_diagram() -> None:
    saga = Saga("order", input=dict)
    opened = saga.step("shop.open")
    poll = saga.repeat(
        until="steps.ask.output.ready", max=5, delay="30s", at_max="go_on", id="poll", after=[opened], when="input.wait"
    )
    ask = poll.step("bank.ask", inputs={"turn": poll.index, "since": poll.previous.at, "of": opened.output.id})
    poll.step("bank.note", inputs={"what": ask.output})
    saga.step("shop.use", inputs={"answer": poll.output.n})
    document = msgspec.to_builtins(saga.definition)["steps"][1]
    assert document["repeat"]["delay_seconds"] == 30.0
    assert document["repeat"]["do"][0]["inputs"]["since"] == {"ref": "$.previous.at"}
    names: dict[str, Any] = {}
    exec(as_python(saga.definition), names)
    assert names["order"].definition == saga.definition
    assert "until steps.ask.output.ready, at most 5 turns, 30.0 s apart" in mermaid(plan(saga.definition)).replace("#44;", ",")
    assert "each turn of poll" in mermaid(plan(saga.definition))
    assert "until steps.ask.output.ready, at most 5 turns" in svg(plan(saga.definition))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_max": "stop"}, "at_max"),
        ({"until": 3}, "until"),
        ({"max": "3"}, "max"),
        ({"fallback": None}, "a step has no option 'fallback'"),
    ],
)
def test_an_option_that_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Saga("order").repeat(**{"until": "true", "max": 3} | options)  # type: ignore[arg-type]
