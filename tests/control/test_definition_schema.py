"""The JSON Schema of definitions accepts what can run, and finds each fault that a schema can express."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from goconductor import DefinitionError, load_definition
from goconductor.control.definitions.json_schema import DIALECT, definition_schema
from goconductor.control.definitions.loading import read
from goconductor.control.yaml_reader import DEFINITION_BYTES_MAX, read_yaml
from goconductor.saga.definition import KINDS
from tests.docs.page import DOCS, blocks
from tests.doors.conftest import ORDER
from tests.simulation.simulated.definitions import random_definition

STEP: dict[str, Any] = {"id": "a", "run": "shop.a"}
LINKED: dict[str, Any] = {"$schema": "definition.schema.json"}
DELAY: dict[str, Any] = {"id": "a", "delay": {"seconds": 5}}
WAIT: dict[str, Any] = {"id": "a", "wait": {"event": "paid"}}
GROUP: dict[str, Any] = {"id": "a", "steps": [STEP]}
SWITCH: dict[str, Any] = {
    "id": "a",
    "switch": [{"case": "b", "when": "input.yes", "steps": [STEP, GROUP | {"id": "g"}]}, {"case": "c", "steps": [STEP]}],
}
VALUE: dict[str, Any] = {"id": "a", "value": "input.n + 1"}


def pages() -> list[Any]:
    """The definitions of the documentation."""
    written = [
        pytest.param(block.text, id=f"{page.relative_to(DOCS)}:{block.title}")
        for page in sorted(DOCS.rglob("*.md"))
        for block in blocks(page)
        if block.language in ("yaml", "json") and re.search(r'^ *"?steps"?:', block.text, re.MULTILINE)
    ]
    assert len(written) >= 5
    return written


def test_each_number_has_a_bound() -> None:
    for name, kind in definition_schema()["$defs"].items():
        for field, schema in kind.get("properties", {}).items():
            for each in (schema, *schema.get("anyOf", ())):
                if each.get("type") in ("number", "integer"):
                    missing = f"{name}.{field} has no bound: name it in _LIMITS of goconductor/control/definitions/json_schema.py"
                    assert {*schema, *each} & {"minimum", "exclusiveMinimum"}, missing


def test_it_has_each_kind_of_step() -> None:
    kinds = {each["required"][0] for each in definition_schema()["$defs"]["Step"]["oneOf"]}
    assert kinds == {*KINDS, "steps", "switch"}, "name each kind in the oneOf of goconductor/control/definitions/json_schema.py"


def test_it_accepts_the_order_of_the_tests() -> None:
    assert faults(ORDER) == []


def faults(document: object) -> list[str]:
    return [f"{error.json_path} {error.validator}" for error in Draft202012Validator(definition_schema()).iter_errors(document)]


def saga(step: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"name": "order", "steps": [{**STEP, **(step or {})}], **fields}


def test_it_is_a_schema_of_the_named_dialect() -> None:
    Draft202012Validator.check_schema(definition_schema())
    assert definition_schema()["$schema"] == DIALECT == Draft202012Validator.META_SCHEMA["$id"]


def test_every_field_is_described() -> None:
    for name, place in definition_schema()["$defs"].items():
        for field, described in place["properties"].items():
            words = described.get("description") or place["description"]  # the fields of a Binding are told in its own words
            assert "description" in described or f"`{field}`" in words, (name, field)
            assert not re.search(r"``|:\w+:`|\bNone\b", words), (name, field)


@pytest.mark.parametrize("text", pages())
def test_it_accepts_the_definitions_of_the_documentation(text: str) -> None:
    document = read_yaml(text.encode(), bytes_max=DEFINITION_BYTES_MAX)
    assert faults(document) == []


@given(st.integers(0, 2**32))
def test_it_accepts_random_definitions_that_can_run(seed: int) -> None:
    definition = random_definition("random", random.Random(seed))
    assert faults(json.loads(definition.document())) == []


SOUND = [
    saga({"delay": None, "wait": None, "retry": None, "timeout_seconds": None, "when": None}),
    saga({"inputs": {"x": {}, "y": {"value": None}, "z": {"ref": "$.input", "value": None}}}),
    saga({"inputs": {"x": {"ref": "$['input']"}}}, output={"value": [1]}),
    {"name": "order", "steps": [{**DELAY, "run": "", "inputs": {}, "pivot": False, "compensation": False, "retry": None}]},
    {"name": "order", "steps": [{"id": "a", "delay": {"until": "$.input.at", "seconds": None}}]},
    {"name": "order", "steps": [GROUP, SWITCH | {"id": "s", "after": ["a"], "when": "input.no"}]},
    saga({"id": "a.b", "steps": None, "switch": None}),
    {"name": "order", "steps": [{**VALUE, "run": "", "inputs": {"x": {"ref": "$.input.x", "optional": True}}, "wait": None}]},
    {"name": "order", "steps": [{"id": "a", "wait": {"approval": "Go?", "where": "payload.by != ''", "timeout_seconds": 5}}]},
    saga({"retry": {"on": ["OSError"], "not_on": ["ConnectionError"]}}),
    saga(**LINKED),
]


@pytest.mark.parametrize("document", SOUND)
def test_it_accepts_what_can_run(document: dict[str, Any]) -> None:
    read(document)
    assert faults(document) == []


OF_CODE: list[dict[str, Any]] = [
    {"inputs": {"x": {"value": 1}}},
    {"pivot": True},
    {"compensation": True},
    {"retry": {}},
    {"compensation_retry": {}},
    {"timeout_seconds": 5},
    {"total_timeout_seconds": 5},
    {"unknowns_max": 2},
]
"""What a step that nobody runs does not have."""

FAULTS = [
    (saga(name="my order"), "$.name pattern"),
    (saga(name="order-"), "$.name pattern"),
    (saga(name="o" * 101), "$.name pattern"),
    (saga(steps=[]), "$.steps minItems"),
    (saga(timeout_seconds=0), "$.timeout_seconds exclusiveMinimum"),
    (saga(input_schema=[]), "$.input_schema type"),
    (saga(colour="red"), "$ additionalProperties"),
    (saga(output={"ref": "input"}), "$.output.ref pattern"),
    ({"name": "order"}, "$ required"),
    ({"steps": [STEP]}, "$ required"),
    ([], "$ type"),
    (saga({"id": "a b"}), "$.steps[0].id pattern"),
    (saga({"run": "charge"}), "$.steps[0].run pattern"),
    (saga({"run": ""}), "$.steps[0] oneOf"),
    (saga({"after": ["a b"]}), "$.steps[0].after[0] pattern"),
    (saga({"pivot": "yes"}), "$.steps[0].pivot type"),
    (saga({"timeout_seconds": -1}), "$.steps[0].timeout_seconds exclusiveMinimum"),
    (saga({"total_timeout_seconds": 0}), "$.steps[0].total_timeout_seconds exclusiveMinimum"),
    (saga({"unknowns_max": 0}), "$.steps[0].unknowns_max minimum"),
    (saga({"retry": {"attempts_max": 0}}), "$.steps[0].retry.attempts_max minimum"),
    (saga({"retry": {"initial_seconds": -1}}), "$.steps[0].retry.initial_seconds minimum"),
    (saga({"retry": {"factor": 0.5}}), "$.steps[0].retry.factor minimum"),
    (saga({"retry": {"factor": 101}}), "$.steps[0].retry.factor maximum"),
    (saga({"retry": {"jitter": 2}}), "$.steps[0].retry.jitter maximum"),
    (saga({"retry": {"on": ["requests.Timeout"]}}), "$.steps[0].retry.on[0] pattern"),
    (saga({"retry": {"not_on": [f"E{n}" for n in range(51)]}}), "$.steps[0].retry.not_on maxItems"),
    (saga({"retry": {"max_seconds": -1}}), "$.steps[0].retry.max_seconds minimum"),
    (saga({"inputs": {"x": {"ref": "$.input", "value": 1}}}), "$.steps[0].inputs.x not"),
    (saga({"inputs": {"x": {"ref": "$.input" + ".x" * 1000}}}), "$.steps[0].inputs.x.ref maxLength"),
    (saga({"delay": {"seconds": 5}}), "$.steps[0] oneOf"),
    *(
        ({"name": "order", "steps": [kind | field]}, "$.steps[0] oneOf")
        for kind in (DELAY, WAIT, GROUP, SWITCH)
        for field in OF_CODE
    ),
    *(({"name": "order", "steps": [VALUE | field]}, "$.steps[0] oneOf") for field in OF_CODE[1:]),
    (saga({"inputs": {"x": {"value": 1, "optional": True}}}), "$.steps[0].inputs.x required"),
    ({"name": "order", "steps": [{**DELAY, **WAIT}]}, "$.steps[0] oneOf"),
    ({"name": "order", "steps": [{**DELAY, **VALUE}]}, "$.steps[0] oneOf"),
    ({"name": "order", "steps": [{**GROUP, **SWITCH}]}, "$.steps[0] oneOf"),
    ({"name": "order", "steps": [{"id": "a", "steps": []}]}, "$.steps[0].steps minItems"),
    ({"name": "order", "steps": [{"id": "a", "switch": []}]}, "$.steps[0].switch minItems"),
    (
        {"name": "order", "steps": [{"id": "a", "switch": [{"case": "b c", "steps": [STEP]}]}]},
        "$.steps[0].switch[0].case pattern",
    ),
    ({"name": "order", "steps": [{"id": "a", "steps": [{"id": "b"}]}]}, "$.steps[0].steps[0] oneOf"),
    (saga({"id": "a..b"}), "$.steps[0].id pattern"),
    ({"name": "order", "steps": [{"id": "a", "value": " "}]}, "$.steps[0].value pattern"),
    ({"name": "order", "steps": [{"id": "a", "value": "1" * 4097}]}, "$.steps[0].value maxLength"),
    ({"name": "order", "steps": [{"id": "a", "map": {"over": "$.input", "do": [STEP], "join": 0}}]}, "$.steps[0].map anyOf"),
    ({"name": "order", "steps": [{"id": "a", "delay": {}}]}, "$.steps[0].delay oneOf"),
    ({"name": "order", "steps": [{"id": "a", "delay": {"seconds": 5, "until": "$.input"}}]}, "$.steps[0].delay oneOf"),
    ({"name": "order", "steps": [{"id": "a", "delay": {"seconds": 1e10}}]}, "$.steps[0].delay.seconds maximum"),
    ({"name": "order", "steps": [{"id": "a", "delay": {"until": "noon"}}]}, "$.steps[0].delay.until pattern"),
    ({"name": "order", "steps": [{"id": "a", "wait": {}}]}, "$.steps[0].wait oneOf"),
    ({"name": "order", "steps": [{"id": "a", "wait": {"event": "a b"}}]}, "$.steps[0].wait.event pattern"),
    ({"name": "order", "steps": [{"id": "a", "wait": {"approval": " "}}]}, "$.steps[0].wait.approval pattern"),
    ({"name": "order", "steps": [{"id": "a", "wait": {"event": "a", "approval": "b"}}]}, "$.steps[0].wait oneOf"),
    (
        {"name": "order", "steps": [{"id": "a", "wait": {"event": "a", "timeout_seconds": 0}}]},
        "$.steps[0].wait.timeout_seconds exclusiveMinimum",
    ),
]


@pytest.mark.parametrize(("document", "fault"), FAULTS)
def test_it_finds_each_fault_that_it_can_express(document: Any, fault: str) -> None:
    with pytest.raises(DefinitionError):
        read(document)
    assert _found(document, fault)


def _found(document: Any, fault: str) -> bool:
    """Return whether a fault is found, also inside of the choice between a value and null."""
    waiting = [*Draft202012Validator(definition_schema()).iter_errors(document)]
    while waiting:
        error = waiting.pop()
        if f"{error.json_path} {error.validator}" == fault:
            return True
        waiting += error.context or ()
    return False


def test_a_link_to_the_schema_is_no_part_of_the_definition() -> None:
    linked = load_definition(json.dumps(saga(**LINKED)).encode())
    assert linked.version == load_definition(json.dumps(saga()).encode()).version
    with pytest.raises(DefinitionError, match="schema"):
        read(saga() | {"$schema": 5})
