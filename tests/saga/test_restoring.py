"""Switches and groups are read off the compiled form again, and what is shown is the same version."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from goconductor.control.definitions.loading import load_definition, read
from goconductor.saga.definition import Definition
from goconductor.saga.writing.as_python import as_python
from goconductor.saga.writing.groups.restoring import written
from tests.saga.test_grouped_growth import ORDER
from tests.saga.test_groups import LOAN, STEP
from tests.simulation.simulated.definitions import random_definition


def shown(definition: Definition) -> Any:
    return msgspec.json.decode(msgspec.json.encode(written(definition)))


def test_a_document_comes_back_as_it_was_written() -> None:
    cases = [
        {"case": "good", "when": "steps.score.output.points >= 700", "steps": [STEP, {"id": "b", "run": "shop.b", "inputs": {}}]},
        {"case": "poor", "steps": [{"id": "c", "run": "shop.c", "after": ["score"], "when": "input.x"}]},
    ]
    inner = {"id": "ship", "steps": [STEP, {"id": "b", "run": "shop.b", "inputs": {"x": {"ref": "$.steps.a.output"}}}]}
    document = {
        "name": "order",
        "steps": [
            {"id": "score", "run": "shop.score"},
            {"id": "decide", "after": ["score"], "switch": cases},
            {"id": "extra", "after": ["decide"], "when": "input.y", "steps": [inner, {"id": "last", "delay": {"seconds": 1.0}}]},
            {"id": "tell", "run": "shop.tell", "after": ["extra"], "inputs": {"way": {"ref": "$.steps.decide.output"}}},
        ],
        "output": {"ref": "$.steps.tell.output"},
    }
    del cases[0]["steps"][1]["inputs"]  # type: ignore[index]
    assert shown(read(document)) == document


@pytest.mark.parametrize("document", [LOAN, ORDER], ids=["loan", "order"])
def test_what_is_shown_is_the_same_version(document: bytes) -> None:
    made = load_definition(document)
    assert any("switch" in str(step) for step in shown(made)["steps"])
    assert read(shown(made)).version == made.version
    there: dict[str, Any] = {}
    text = as_python(made)
    exec(text, there)
    assert there[made.name].definition.version == made.version
    assert ".case(" in text
    assert ".case(" not in as_python(made, as_compiled=True)


@pytest.mark.parametrize("seeds", [range(100), range(100, 200)])
def test_random_definitions_are_the_same_version_in_every_form(seeds: range) -> None:
    found = 0
    for seed in seeds:
        made = random_definition("order", random.Random(seed))
        document = shown(made)
        assert read(document).version == made.version
        found += any("steps" in step or "switch" in step for step in document["steps"])
        there: dict[str, Any] = {}
        exec(as_python(made), there)
        assert there["order"].definition.version == made.version
    assert found > 10


@pytest.mark.parametrize(
    "steps",
    [
        [{"id": "g.a", "run": "shop.a"}, {"id": "g.b", "run": "shop.b"}],
        [{"id": "g.a", "run": "shop.a"}, {"id": "x", "run": "shop.x"}, {"id": "g.b", "run": "shop.b", "after": ["g.a"]}],
        [{"id": "w", "value": '(input.n > 1\n) ? dyn("c") : null'}, {"id": "w.d.a", "run": "shop.a", "after": ["w"]}],
        [{"id": "w", "value": '(input.n > 1\n) ? dyn("c") : dyn("d")'}, {"id": "w.d.a", "run": "shop.a", "after": ["w"]}],
        [{"id": "g.when", "value": "(true\n) ? true : false"}, {"id": "g.a", "run": "shop.a", "after": ["g.when"]}],
        [{"id": "lines", "map": {"over": "$.input", "do": [STEP]}}, {"id": "lines.x", "run": "shop.x"}],
    ],
)
def test_what_only_looks_like_a_group_is_shown_as_it_is(steps: list[Any]) -> None:
    made = read({"name": "order", "steps": steps})
    assert shown(made) == msgspec.json.decode(made.document())
    there: dict[str, Any] = {}
    exec(as_python(made), there)
    assert there["order"].definition.version == made.version


def test_a_step_that_only_the_compiled_form_has_is_named_in_the_compiled_form() -> None:
    made = read(
        {
            "name": "order",
            "steps": [
                {"id": "g", "when": "input.n > 1", "steps": [STEP]},
                {"id": "tell", "run": "shop.tell", "inputs": {"asked": {"ref": "$.steps['g.when'].output"}}},
            ],
        }
    )
    assert shown(made)["steps"][0]["steps"] == [STEP]
    assert read(shown(made)).version == made.version
    there: dict[str, Any] = {}
    exec(as_python(made), there)
    assert there["order"].definition.version == made.version


def test_a_saga_that_is_written_inside_a_step_comes_back_as_well() -> None:
    group = {"id": "g", "steps": [STEP, {"id": "b", "run": "shop.b", "inputs": {"x": {"ref": "$.steps.a.output"}}}]}
    document = {"name": "order", "steps": [{"id": "part", "saga": {"steps": [group]}}, group]}
    made = read(document)
    assert shown(made) == document
    text = as_python(made)
    assert text.count(".group(") == 2
    there: dict[str, Any] = {}
    exec(text, there)
    assert there["order"].definition.version == made.version


def test_a_saga_that_is_written_inside_another_one_is_not_taken_for_a_step_after_it() -> None:
    inner: dict[str, Any] = {"steps": [{"id": "deep", "saga": {"steps": [STEP]}}]}
    values = [{"id": f"v{number}", "value": "1"} for number in range(5)]
    steps = [{"id": f"s{number}", "saga": inner if number % 2 else {"steps": values}} for number in range(30)]
    made = read({"name": "order", "steps": steps})
    there: dict[str, Any] = {}
    exec(as_python(made), there)
    assert there["order"].definition.version == made.version


def test_a_step_of_a_group_may_be_called_when() -> None:
    switch = [{"case": "c", "when": "input.n > 1", "steps": [STEP]}, {"case": "d", "steps": [STEP]}]
    document = {"name": "order", "steps": [{"id": "g", "steps": [{"id": "when", "switch": switch}, STEP]}]}
    assert shown(read(document)) == document
