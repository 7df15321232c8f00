"""Documents of Orchy at random: whatever can be imported walks as the document itself says."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from goconductor import DefinitionError
from goconductor.control.importers.orchy.importing import imported
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from tests.control.test_orchy import Walk

CASES = ("a", "b", "c")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A few actions that lead anywhere. A switch decides by the answer of a worker directly before it."""
    count = draw(st.integers(2, 7))
    numbers = st.integers(1, count)
    actions: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        kind = draw(st.sampled_from(["user", "switch", "switch", "delay", "end"]))
        follower = {} if kind == "end" else {"default": draw(numbers)}
        if kind == "switch":
            following = draw(st.dictionaries(st.sampled_from([*CASES, "default"]), numbers, min_size=1))
            actions.append({"id": number, "type": "user", "name": f"w{number}", "next": {"default": 100 + number}})
            decides = {"type": "system", "name": "switch", "expression": f"$.{number}.output"}
            actions.append({"id": 100 + number, **decides, "next": following})
        elif kind == "delay":
            actions.append({"id": number, "type": "system", "name": "delay", "delaySeconds": 1, "next": follower})
        else:
            actions.append({"id": number, "type": "user", "name": f"w{number}", "next": follower})
    return {"name": "random", "rootAction": 1, "actions": actions}


def walked(document: dict[str, Any], answers: list[str]) -> list[tuple[int, str]] | None:
    """The workers that the document itself comes to, with their answers; None where it goes round too often."""
    actions = {each["id"]: each for each in document["actions"]}
    at, ran, given_ = document["rootAction"], [], iter(answers)
    last = ""
    while at is not None:
        action = actions[at]
        if action["type"] == "user":
            if (last := next(given_, "")) == "":
                return None
            ran.append((at, last))
        value = last if action["name"] == "switch" else "default"
        at = action["next"].get(value, action["next"].get("default"))
    return ran


def refused(document: dict[str, Any]) -> tuple[str, ...]:
    try:
        imported(document)
    except DefinitionError as error:
        return tuple(error.problems)
    return ()


@settings(max_examples=150)
@given(documents(), st.lists(st.sampled_from([*CASES, "d"]), min_size=12, max_size=12))
def test_what_can_be_imported_walks_as_the_document_says(document: dict[str, Any], answers: list[str]) -> None:
    if problems := refused(document):
        assert [each for each in problems if "circle" not in each] == []
        return
    expected = walked(document, answers)
    assume(expected is not None)
    assert expected is not None
    turns: dict[str, list[str]] = {}
    for number, answer in expected:
        turns.setdefault(f"w{number}", []).append(answer)
    walk = Walk(document, {"turns": turns})
    assert walk.state.status is SagaStatus.COMPLETED
    assert [name.rpartition(".")[2] for name in walk.ran] == [str(number) for number, _ in expected]
    ended = {step.action.status for step in walk.state.steps.values()}
    assert ended <= {ActionStatus.SUCCEEDED, ActionStatus.SKIPPED}
