"""The JSON Schema (2020-12) of definitions, by which editors complete and check them.

It is made of the structs, so it has every field, with what the docstrings say of it. The limits below it are those that a schema
can express; :mod:`goconductor.saga.checking.validate` knows the others as well. So what this schema refuses is refused there
too, and what it accepts may still be refused.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from goconductor.control.docstrings import docstring_of
from goconductor.saga.checking.constructs.locks import LOCKS_MAX
from goconductor.saga.checking.constructs.savepoints import WAYS_MAX
from goconductor.saga.data.keys import TEMPLATE_CHARACTERS_MAX
from goconductor.saga.data.references import LENGTH_MAX
from goconductor.saga.definition import (
    PRIORITY_MAX,
    Binding,
    Child,
    Definition,
    Delay,
    Lock,
    Map,
    Repeat,
    Savepoint,
    Step,
    Undo,
    Wait,
)
from goconductor.saga.expressions.conditions import SOURCE_MAX
from goconductor.saga.growth import STEPS_MAX, TURNS_MAX
from goconductor.saga.ids import NAME, STEP_CHARACTERS_MAX
from goconductor.saga.retry import ERROR_NAME, ERROR_NAMES_MAX, SECONDS_MAX, Retry
from goconductor.saga.writing.groups.compiling import CASES_MAX
from goconductor.saga.writing.groups.forms import Case, WrittenChild, WrittenDefinition, WrittenMap, WrittenRepeat, WrittenStep

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LINK = "$schema"
"""The key of a document in JSON that links this schema; it is no part of the definition."""

_NAME = {"pattern": f"^{NAME.pattern}$"}
_PLACE = rf"{NAME.pattern}(\.{NAME.pattern})*"
_STEP_ID = {"pattern": f"^{_PLACE}$", "maxLength": STEP_CHARACTERS_MAX}
_REFERENCE = {"pattern": r"^\$", "maxLength": LENGTH_MAX}
_ERROR_NAMES = {"maxItems": ERROR_NAMES_MAX, "items": {"type": "string", "pattern": f"^{ERROR_NAME.pattern}$"}}
_WHILE = {"exclusiveMinimum": 0, "maximum": SECONDS_MAX}

_LIMITS: dict[type[msgspec.Struct], dict[str, dict[str, Any]]] = {
    Definition: {
        "name": _NAME,
        "steps": {"minItems": 1, "maxItems": STEPS_MAX},
        "timeout_seconds": _WHILE,
        "locks": {"maxItems": LOCKS_MAX},
        "priority": {"minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX},
    },
    Step: {
        "id": _STEP_ID,
        "after": {"items": {"type": "string", **_STEP_ID}},
        "steps": {"minItems": 1},
        "switch": {"minItems": 1, "maxItems": CASES_MAX},
        "run": {"pattern": rf"^({NAME.pattern}\.{NAME.pattern})?$"},
        "timeout_seconds": _WHILE,
        "total_timeout_seconds": _WHILE,
        "unknowns_max": {"minimum": 1},
        "value": {"pattern": r"\S", "maxLength": SOURCE_MAX},
        "locks": {"maxItems": LOCKS_MAX},
    },
    Undo: {"run": {"pattern": rf"^({NAME.pattern}\.{NAME.pattern})?$"}},
    Case: {"case": _NAME, "steps": {"minItems": 1}, "when": {"maxLength": SOURCE_MAX}},
    Delay: {"seconds": _WHILE, "until": _REFERENCE},
    Map: {
        "over": _REFERENCE,
        "do": {"minItems": 1, "maxItems": STEPS_MAX},
        "join": {"minimum": 1, "maximum": STEPS_MAX},
        "concurrency": {"minimum": 1, "maximum": STEPS_MAX},
    },
    Repeat: {
        "do": {"minItems": 1, "maxItems": STEPS_MAX},
        "until": {"pattern": r"\S", "maxLength": SOURCE_MAX},
        "max": {"minimum": 1, "maximum": TURNS_MAX},
        "delay_seconds": _WHILE,
    },
    Lock: {"key": {"pattern": r"\S", "maxLength": TEMPLATE_CHARACTERS_MAX}},
    Child: {
        "name": {"pattern": f"^{NAME.pattern}(:{_PLACE})*$"},
        "version": {"pattern": "^[A-Za-z0-9]+$"},
        "steps": {"maxItems": STEPS_MAX},
        "timeout_seconds": _WHILE,
        "priority": {"minimum": -PRIORITY_MAX, "maximum": PRIORITY_MAX},
    },
    Savepoint: {"first": _NAME, "otherwise": {"minItems": 1, "maxItems": WAYS_MAX - 1, "items": {"type": "string", **_NAME}}},
    Wait: {"event": _NAME, "approval": {"pattern": r"\S"}, "timeout_seconds": _WHILE},
    Binding: {"ref": _REFERENCE},
    Retry: {
        "attempts_max": {"minimum": 1},
        "initial_seconds": {"minimum": 0},
        "factor": {"minimum": 1, "maximum": 100},
        "max_seconds": {"minimum": 0, "maximum": SECONDS_MAX},
        "jitter": {"minimum": 0, "maximum": 1},
        "on": _ERROR_NAMES,
        "not_on": _ERROR_NAMES,
    },
}
"""What a value of a field must be, beside its type; null is always allowed where the field may be left out."""


def _given(field: str, **others: Any) -> dict[str, Any]:
    """Describe an object in which a field says something, and others are as given."""
    return {
        "required": [field],
        "properties": {field: {"type": ["object", "string", "number", "array"], "minLength": 1}, **others},
    }


_OF_CODE = ("retry", "compensation_retry", "timeout_seconds", "total_timeout_seconds", "unknowns_max")
_NO_CODE: dict[str, Any] = {
    "inputs": {"maxProperties": 0},
    "pivot": {"const": False},
    "compensation": {"enum": [False, None]},
    "undo": {"type": "null"},
    **{field: {"type": "null"} for field in _OF_CODE},
}
"""Fields of a step that nobody runs."""
_OF_CHILDREN = ("inputs", "undo", "compensation_retry")
"""Those of them that a step which starts a saga has all the same."""

_TOGETHER: dict[type[msgspec.Struct], dict[str, Any]] = {
    Step: {
        "oneOf": [
            _given("run"),
            *(_given(kind, **_NO_CODE) for kind in ("delay", "wait", "map", "repeat", "savepoint")),
            _given("value", **{field: says for field, says in _NO_CODE.items() if field != "inputs"}),
            _given("saga", **{field: says for field, says in _NO_CODE.items() if field not in _OF_CHILDREN}),
            _given("steps", **_NO_CODE),
            _given("switch", **_NO_CODE),
        ]
    },
    Child: {"anyOf": [{"required": ["name"]}, {"required": ["steps"], "properties": {"steps": {"minItems": 1}}}]},
    Delay: {"oneOf": [_given("seconds"), _given("until")]},
    Wait: {"oneOf": [_given("event"), _given("approval")]},
    Binding: {
        "not": _given("ref", value={"not": {"type": "null"}}) | {"required": ["ref", "value"]},
        "if": {"required": ["optional"], "properties": {"optional": {"const": True}}},
        "then": {"required": ["ref"]},
    },
}
"""Which fields go together."""


@functools.cache
def definition_schema() -> dict[str, Any]:
    """Return the schema. It is the same object each time: do not change it."""
    both = msgspec.json.schema(WrittenDefinition)
    for plain in ("Step", "Child"):  # a saga that undoes a step has the form that is not only written
        both["$defs"].pop(plain, None)
    written = msgspec.json.encode(both).decode()
    # of the two forms people see the one that they write
    for form in (WrittenDefinition, WrittenStep, WrittenMap, WrittenRepeat, WrittenChild):
        written = written.replace(form.__name__, form.__name__.removeprefix("Written"))
    made: dict[str, Any] = msgspec.json.decode(written)  # a tuple is a list there
    described = made["$defs"]
    for kind, limits in _LIMITS.items():
        summary, fields = docstring_of(kind)
        if kind is Step:
            fields |= docstring_of(WrittenStep)[1]
        place = described[kind.__name__]
        place["description"] = summary
        place |= _TOGETHER.get(kind, {})
        for name, field in place["properties"].items():
            if name in fields:
                field["description"] = fields[name]
            _value_of(field).update(limits.get(name, {}))
    described["Definition"]["properties"][LINK] = {"type": "string", "description": "where this schema lies, for editors"}
    return {"$schema": DIALECT, "title": "A saga's definition", **made}


def without_link(document: Any) -> Any:
    """Return a document without its link to this schema."""
    if isinstance(document, dict) and isinstance(document.get(LINK), str):
        return {key: value for key, value in document.items() if key != LINK}
    return document


def _value_of(field: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a field's schema that describes a value, where null is allowed beside it; of several kinds the whole."""
    values = [each for each in field.get("anyOf", ()) if each.get("type") != "null"]
    return values[0] if len(values) == 1 else field
