"""The settings in the schema of the chart's values, made of the settings' own types: Helm refuses what a process would."""

from __future__ import annotations

import json
from typing import Any

from goconductor import Settings
from tests.deploy.helm import CHART

SCHEMA = CHART / "values.schema.json"
OF_THE_CHART = ("database", "rest", "health", "metrics")
"""Sections that are values of the chart: a template refuses them, and names the value."""
_KEPT = {
    "type",
    "properties",
    "additionalProperties",
    "patternProperties",
    "items",
    "anyOf",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
}


def settings_schema() -> dict[str, Any]:
    """The schema of ``settings``: names, types and bounds. What is missing may come from a variable, or another file."""
    own = Settings.model_json_schema()
    sections = {
        name: {} if name in OF_THE_CHART else {"anyOf": [_plain(each, own["$defs"]), {"type": "null"}]}
        for name, each in own["properties"].items()
    }
    return {"type": "object", "additionalProperties": False, "properties": sections}


def _plain(schema: Any, known: dict[str, Any]) -> Any:
    """Leave out what checks nothing, and write out what is referred to."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(known[schema["$ref"].rpartition("/")[2]], known)
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            made[key] = {name: _plain(each, known) for name, each in value.items()}
        elif key in _KEPT:
            made[key] = [_plain(each, known) for each in value] if isinstance(value, list) else _plain(value, known)
    return made


def with_settings(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the values, with the settings as they are now."""
    definitions = {**schema["definitions"], "settings": settings_schema()}
    return {**schema, "definitions": definitions}


def text(schema: dict[str, Any]) -> str:
    """A schema as it stands in the file."""
    return json.dumps(schema, indent=1) + "\n"
