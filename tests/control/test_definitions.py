"""Definitions from documents: every fault at once, each with its place and remedy."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from goconductor.control.definitions import loading
from goconductor.control.schema_faults import FAULTS_MAX, faults, schema_faults
from goconductor.errors import DefinitionError

YAML = b"""
name: order
steps:
  - id: reserve
    run: inventory.reserve
    inputs:
      sku: {ref: $.input.sku}
      note: {value: no}
  - {id: ship, run: shipping.ship, after: [reserve], pivot: true, retry: {attempts_max: 5}}
"""


def problems(document: Any) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        loading.load_definition(document if isinstance(document, bytes) else json.dumps(document).encode())
    return list(caught.value.problems)


def step(**changes: Any) -> dict[str, Any]:
    return {"name": "order", "steps": [{"id": "a", "run": "shop.a", **changes}]}


def test_yaml_and_json_say_the_same() -> None:
    definition = loading.load_definition(YAML)
    assert definition.steps[0].inputs["note"].value == "no"
    assert loading.load_definition(definition.document()).version == definition.version


def without_places(problems: list[str]) -> list[str]:
    """Faults without their lines and columns: these documents are one line."""
    return [re.sub(r" \(line 1, column \d+\)$", "", each) for each in problems]


def test_all_faults_of_shape_are_told_at_once() -> None:
    document = {
        "name": "order",
        "steps": [
            {"id": "a", "run": "x.y", "retry": {"attempts_max": "3", "factr": 1}, "inputs": {"q": {"reff": "$.input"}}},
            {"id": "b", "afer": ["a"]},
        ],
        "timeout_seconds": "x",
        "stepps": 1,
    }
    assert sorted(without_places(problems(document))) == [
        "$ has an unknown key 'stepps'; did you mean steps?",
        "$.steps[0].inputs.q has an unknown key 'reff'; did you mean ref?",
        "$.steps[0].retry has an unknown key 'factr'; did you mean factor?",
        "$.steps[0].retry.attempts_max should be a whole number",
        "$.steps[1] has an unknown key 'afer'; did you mean after?",
        "$.timeout_seconds should be a number",
    ]


def test_all_faults_of_sense_are_told_at_once() -> None:
    assert without_places(problems({"name": "order", "steps": [{"id": "b"}]})) == [
        "step 'b' has nothing to do; give it run, delay, wait, value, map, repeat, saga or savepoint."
    ]
    found = problems({**step(after=["z"], when="1 +"), "input_schema": {"type": "objekt"}})
    assert len(found) == 3
    assert "'z'" in found[0]
    assert "does not compile" in found[1]
    assert found[2].startswith("its input_schema: $.type")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"[", "the document is not YAML at line 1"),
        (b"3", "$ should be an object"),
        (b"", "$ should be an object"),
        (b"a: &x 1\nb: *x", "the document uses an alias at line 2"),
        (b"x" * (1024 * 1024 + 1), "the document is 1,048,577 bytes"),
        (step(retry={"attempts_max": 0}), "retry.attempts_max must be at least 1, or null for no limit"),
        (step(inputs={"q": {"value": 2**63}}), "64 bits"),
        (step(inputs={"q": {"value": "a\0"}}), "NUL"),
        ({**step(), "input_schema": {"properties": {"a": {"pattern": "("}}}}, "its input_schema: $.properties.a.pattern"),
        ({**step(), "input_schema": {"$schema": []}}, "its input_schema: $['$schema']"),
        ({**step(), "input_schema": {"$ref": "file:///etc/passwd"}}, "nothing is fetched"),
    ],
)
def test_a_document_that_cannot_be_a_definition_says_why(document: Any, says: str) -> None:
    assert any(says in problem for problem in problems(document)), problems(document)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "#"}, "refers to itself without end"),
        ({"$ref": "#/$defs/none"}, "which is not there"),
        ({"$ref": "http://127.0.0.1:1/x"}, "which is not there"),
        ({"pattern": "("}, "has a pattern that cannot be used"),
    ],
)
def test_a_schema_that_slipped_in_unsound_is_a_fault_and_no_crash(schema: dict[str, Any], says: str) -> None:
    (fault,) = faults(schema, "x")
    assert says in fault.problem


def test_a_schema_may_refer_to_its_own_parts_and_name_an_older_draft() -> None:
    tree = {"$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"}
    assert schema_faults(tree) == []
    assert [fault.path for fault in faults(tree, {"next": {"next": 3}})] == ["$.next.next"]
    older = {"$schema": "http://json-schema.org/draft-04/schema#", "type": "number", "maximum": 3, "exclusiveMaximum": True}
    assert schema_faults(older) == []
    assert len(faults(older, 3)) == 1


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (
            {"type": "object", "properties": {"count": {"type": "integer", "default": "many"}}},
            "$.properties.count.default should be a whole number; correct it, as it is filled in where the input lacks it",
        ),
        (
            {"properties": {"size": {"$ref": "#/$defs/size", "default": 0}}, "$defs": {"size": {"minimum": 1}}},
            "$.properties.size.default",
        ),
        ({"$defs": {"size": {"enum": ["s", "m"], "default": "xl"}}, "$ref": "#/$defs/size"}, "$.$defs.size.default"),
        ({"items": {"anyOf": [{"type": "string", "default": 3}]}}, "$.items.anyOf[0].default"),
        (
            {"properties": {"to": {"type": "object", "required": ["city", "zip"], "default": {"city": "Bonn"}}}},
            "$.properties.to.default",
        ),
    ],
)
def test_a_default_that_does_not_fit_its_own_schema_is_refused_with_the_definition(schema: dict[str, Any], says: str) -> None:
    (fault,) = schema_faults(schema)
    assert str(fault).startswith(says)
    assert any("its input_schema: $" in problem for problem in problems({**step(), "input_schema": schema}))


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"count": {"type": "integer", "default": 3}, "default": {"type": "integer"}}},
        {
            "properties": {
                "to": {
                    "type": "object",
                    "required": ["country"],
                    "properties": {"country": {"type": "string", "default": "DE"}},
                    "default": {},
                }
            }
        },
        {"properties": {"next": {"$ref": "#", "default": {}}}},
        {"properties": {"wrong": {"$ref": "#/$defs/none", "default": 3}}},
    ],
)
def test_a_default_that_fits_or_that_nobody_can_judge_is_taken(schema: dict[str, Any]) -> None:
    assert schema_faults(schema) == []


def test_a_value_with_many_faults_is_told_the_first_ones_briefly() -> None:
    found = faults({"type": "array", "items": {"const": "y"}}, ["x" * 10_000] * 1_000)
    assert len(found) == FAULTS_MAX
    assert all(len(str(fault)) < 300 for fault in found)


def test_a_pattern_is_matched_in_linear_time() -> None:
    """Python's own engine would search this for ever, and a server with it."""
    (fault,) = faults({"type": "string", "pattern": "^(a+)+$"}, "a" * 5_000 + "!")
    assert "does not fit" in fault.problem
    assert faults({"type": "string", "pattern": "^(a+)+$"}, "aaa") == []
    assert schema_faults({"patternProperties": {"(a+)+$": {}}})
