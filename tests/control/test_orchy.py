"""Orchy's documents: each of the examples takes its ways, and what cannot be imported is named with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from goconductor import DefinitionError
from goconductor.control.importers.orchy.importing import imported, load
from goconductor.control.importers.orchy.references import Place, parts_of, place_of
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts import events as e
from goconductor.lifecycle.facts.effects import RunAction, SetTimer
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.replay import replay
from goconductor.saga.plan import Plan
from goconductor.system.javascript.steps import JavascriptSteps
from goconductor.testing.world import step_context

EXAMPLES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[1] / "examples/orchy").glob("*.json"))
}
RUNS = [
    pytest.param(name, run, id=f"{name} {n}") for name, each in EXAMPLES.items() for n, run in enumerate(each.get("runs", []))
]


class Walk:
    """One saga of a document, by the lifecycle alone: workers answer at once, time passes, events come when they are awaited."""

    def __init__(self, document: Any, run: dict[str, Any]) -> None:
        self.plan = Plan(imported(document))
        self.ran: list[str] = []
        self.inputs: dict[str, Any] = {}
        workers, told = dict(run.get("workers", {})), dict(run.get("events", {}))
        self._turns = {name: list(given) for name, given in run.get("turns", {}).items()}
        decided = begin(self.plan, UUID(int=1), e.SagaStarted(input=run.get("input")))
        self.log: list[e.Event] = []
        while True:
            self.log.append(decided.event)
            state = decided.state
            event = self._next(state, decided.effects, workers, told)
            if event is None:
                break
            decided = decide(self.plan, state, event)
        self.state = state

    def _next(self, state: SagaState, effects: Any, workers: dict[str, Any], told: dict[str, Any]) -> e.Event | None:
        assert len([each for each in effects if not isinstance(each, RunAction | SetTimer)]) <= 1
        for name, step in state.steps.items():
            if step.action.status is ActionStatus.SENT:
                self.ran.append(name)
                self.inputs[name] = self.plan.inputs(name, state.input, state.referable())
                return e.ActionSucceeded(name, output=self._given(self.plan.owners[name][1], workers))
            if step.action.status is ActionStatus.WAITING:
                if step.due_at is not None:
                    return e.TimerFired(name, at=step.due_at)
                event = str(self.plan.steps[name].wait and self.plan.steps[name].wait.event)  # type: ignore[union-attr]
                if event in told or self._turns.get(event):
                    payload = told.pop(event) if event in told else self._turns[event].pop(0)
                    return e.SignalReceived(name=event, id=f"{len(self.log)}", payload=payload)
        return None

    def _given(self, worker: str, workers: dict[str, Any]) -> Any:
        """What a worker answers: the same each time, or one after the other."""
        return self._turns[worker].pop(0) if worker in self._turns else workers.get(worker)


@pytest.mark.parametrize(("name", "run"), RUNS)
def test_an_example_takes_its_way(name: str, run: dict[str, Any]) -> None:
    walk = Walk(EXAMPLES[name]["document"], run)
    succeeded = {each for each, step in walk.state.steps.items() if step.action.status is ActionStatus.SUCCEEDED}
    assert succeeded == set(run["ran"])
    assert walk.state.status == run.get("status", "completed")
    for step, inputs in run.get("inputs", {}).items():
        assert walk.inputs[step] == inputs
    for step, output in run.get("outputs", {}).items():
        assert walk.state.steps[step].output == output
    assert replay(walk.plan, UUID(int=1), walk.log) == walk.state


def test_there_are_ten_documents_beside_the_source_and_each_runs() -> None:
    assert len([name for name, each in EXAMPLES.items() if each.get("runs")]) >= 10


@pytest.mark.parametrize(("points", "output"), [(700, {"grade": "good", "twice": 1400}), (650, {"grade": "poor", "twice": 1300})])
async def test_a_program_reads_what_was_before_and_its_output_is_what_it_sets(points: int, output: Any) -> None:
    plan = Plan(imported(EXAMPLES["loan"]["document"]))
    inputs = plan.inputs("11", {"age": 30}, {"10": {"points": points}})
    scripts = JavascriptSteps(seconds=5, bytes_max=16 * 1024 * 1024, output_bytes_max=1_000)
    assert await scripts.run(inputs, step_context("11")) == output


def test_a_program_is_given_the_earlier_actions_that_it_names() -> None:
    program = "$['way'] = [$.input.x, $1.output, $['3'].output, $['9'], 'a2', 2.5]"
    action = {"id": 2, "type": "system", "name": "javascript", "expression": program, "next": {"default": 3}}
    made = imported(document(USER | {"next": {"default": 2}}, action, USER | {"id": 3}))
    assert {*made.steps[1].inputs} == {"code", "input", "1"}


def document(*actions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "flow", "rootAction": 1, "actions": list(actions), **fields}


USER: dict[str, Any] = {"id": 1, "type": "user", "name": "go"}
SWITCH: dict[str, Any] = {"id": 2, "type": "system", "name": "switch", "expression": "$1.output"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"name": "flow"}, ["$ lacks 'rootAction'; add it", "$ lacks 'actions'; add it"]),
        ([], ["$ should be an object"]),
        (document(USER, colour="red"), ["$ has an unknown key 'colour'"]),
        (document(USER | {"type": "robot"}), ["$.actions[0].type should be one of"]),
        (document(USER, rootAction=7), ["$.rootAction is 7, which is no action"]),
        (document(USER, USER), ["$.actions[1].id is 1 like another action's"]),
        (document(USER | {"id": -1}, rootAction=-1), ["$.actions[0].id is -1"]),
        (document(USER | {"next": {"default": 5}}), ["$.actions[0].next.default is 5, which is no action"]),
        (document(USER | {"next": {"yes": 1}}), ["$.actions[0].next.yes is for a value"]),
        (document(USER | {"next": {"default": 1}}), ["$.actions[0] is action 1, which begins a circle that nothing leaves"]),
        (
            document(USER | {"next": {"default": 2}}, SWITCH | {"next": {"again": 1, "default": 1}}),
            ["$.actions[0] is action 1, which begins a circle that nothing leaves"],
        ),
        (
            document(
                SWITCH | {"id": 1, "expression": "$.input", "next": {"late": 3, "default": 2}},
                USER | {"id": 2, "next": {"default": 3}},
                SWITCH | {"id": 3, "next": {"again": 2}},
            ),
            ["$.actions[0].next.default leads into the middle of the circle that begins at action 3"],
        ),
        (
            document(
                USER | {"next": {"default": 2}},
                USER | {"id": 2, "next": {"default": 3}},
                SWITCH | {"id": 3, "next": {"short": 2, "long": 1}},
            ),
            ["$.actions[2].next.short leads back to action 2 within the circle that begins at action 1"],
        ),
        (document(USER, SWITCH | {"expression": "1 + 1"}), ["$.actions[1].expression is '1 + 1', which is no reference"]),
        (document(USER, SWITCH | {"event": "x"}), ["$.actions[1].event says nothing of a switch action"]),
        (document({"id": 1, "type": "system", "name": "javascript"}), ["$.actions[0] is a javascript and lacks expression"]),
        (document({"id": 1, "type": "system", "name": "wait"}), ["$.actions[0] is a wait and lacks event"]),
        (document({"id": 1, "type": "system", "name": "delay", "delaySeconds": -1}), ["$.actions[0].delaySeconds is below zero"]),
        (
            document({"id": 1, "type": "system", "name": "loop"}),
            ["$.actions[0].name is 'loop'; the system has wait, delay, switch"],
        ),
        (document(USER | {"name": "go home"}), ["$.actions[0].name is 'go home'; use 1 to 100 letters"]),
        (
            document({"id": 1, "type": "system", "name": "wait", "event": "a b"}),
            ["$.actions[0].event is 'a b'; use 1 to 100 letters"],
        ),
        (document({"id": 1, "type": "system", "name": "wait", "event": ""}), ["$.actions[0].event is ''"]),
        (
            document({"id": 1, "type": "system", "name": "delay", "delaySeconds": 1e12}),
            ["$.actions[0].delaySeconds is 1e+12; a delay"],
        ),
        (document({"id": "1", "type": "user", "name": "go"}), ["$.actions[0].id should be a whole number"]),
        (
            document({"id": 1, "type": "system", "name": "delay", "delaySeconds": "5"}),
            ["$.actions[0].delaySeconds should be a number"],
        ),
    ],
)
def test_what_cannot_be_imported_is_refused_with_the_place(content: Any, told: list[str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        imported(content)
    found = caught.value.problems
    assert all(any(each.startswith(one) for each in found) for one in told), found
    assert len(found) == len(told), found


def test_a_fault_in_a_file_has_its_line_and_column() -> None:
    file = b"""{"name": "flow", "rootAction": 1,
 "actions": [
  {"id": 1, "type": "user", "name": "go",
   "next": {"default": 7}}]}"""
    with pytest.raises(DefinitionError) as caught:
        load(file)
    assert caught.value.problems == (
        "$.actions[0].next.default is 7, which is no action; add it or correct the number (line 4, column 24)",
    )


def test_a_file_that_is_no_json_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"the document \$: is not JSON"):
        load(b"name: flow")


@pytest.mark.parametrize(
    "text", ["$.10.output.k", "$10.output.k", "$['10'].output.k", '$["10"]["output"].k', "$10.output['k']", " $.10.output.k "]
)
def test_all_forms_of_a_reference_are_read(text: str) -> None:
    assert place_of(text) == Place(10, ("k",))


@pytest.mark.parametrize(
    "text", ["$", "$.inputs", "$.10", "$10.outputs", "$.input.", "$.input..x", "input.x", "$.steps.x", "$5", "$.input.x and more"]
)
def test_other_texts_are_no_references(text: str) -> None:
    assert place_of(text) is None


def test_a_text_is_taken_apart_at_its_references() -> None:
    assert [*parts_of("{$.input.a}-$1.output.b[0]: $5, {no}")] == [Place(None, ("a",)), "-", Place(1, ("b", 0)), ": $5, {no}"]


def test_the_version_depends_on_the_document_alone() -> None:
    source = EXAMPLES["branches-that-meet"]["document"]
    assert imported(source).version == imported(json.loads(json.dumps(source))).version
    assert imported(source, participant="shop").version != imported(source).version


def test_thousands_of_actions_are_imported() -> None:
    actions = [
        {"id": n, "type": "user", "name": "go", "parameters": {"x": "$0.output"}, "next": {"default": n + 1}}
        for n in range(3_000)
    ]
    made = imported(document(*actions, {"id": 3_000, "type": "user", "name": "end"}, rootAction=0))
    assert len(made.steps) == 3_001
