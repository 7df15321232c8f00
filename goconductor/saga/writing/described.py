"""What a saga written in Python says of its input and its result: their types, as a JSON Schema where one is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec

from goconductor.errors import DefinitionError
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Definition
from goconductor.saga.types.annotations import parts
from goconductor.saga.types.fields import fields_of
from goconductor.saga.types.references import type_of


def result_type(definition: Definition, types: Mapping[str | None, Any]) -> Any:
    """Return the type of what a completed saga answers.

    Args:
        definition: the saga's.
        types: the type of each step's output by its id, and of the input under None.
    """
    if definition.output is not None:
        return type_of(definition.output, types)
    outputs = {step.id: type_of(Binding(ref=str(Reference.to("steps", step.id))), types) for step in definition.steps}
    if all(kind is Any for kind in outputs.values()):
        return Any
    made: Any = TypedDict  # by type checkers it is only to be made by a class
    return made("Outputs", {name: _or_none(kind) for name, kind in outputs.items()})


def _or_none(kind: Any) -> Any:
    """Return the type of an output that is null where its step was skipped."""
    return kind if kind is Any or kind is None else kind | None


def misshapen(definition: Definition) -> list[str]:
    """Find values of another type than their field. Python accepts them; they could be written and not be read again."""
    try:
        msgspec.convert(msgspec.to_builtins(definition), Definition)
    except msgspec.ValidationError as error:
        return [f"it holds a value of the wrong type: {error}"]
    except (TypeError, ValueError, RecursionError):
        pass  # a constant that is no JSON: the check names the step and the input
    return []


def schema_of(name: str, kind: Any) -> dict[str, Any] | None:
    """Return the JSON Schema of an input type, with its defaults; None where the type describes nothing."""
    if kind is None or kind is Any or kind is dict:
        return None
    try:
        made: dict[str, Any] = msgspec.json.schema(kind)
    except TypeError:  # a model of pydantic's, or one inside a dataclass
        from pydantic import TypeAdapter  # noqa: PLC0415  (only users of pydantic pay for its import)
        from pydantic.errors import PydanticUserError  # noqa: PLC0415

        try:
            made = TypeAdapter(kind).json_schema(by_alias=False)
        except PydanticUserError as error:
            reason = str(error).partition("\n")[0]
            raise DefinitionError(name, [f"its input type {kind!r} has no JSON Schema: {reason}"]) from None
    for part in parts(kind):
        _state_factories(made, part)
    return made


def _state_factories(schema: dict[str, Any], kind: Any) -> None:
    """Write what ``default_factory`` makes into the schema of a type, where it is empty: both libraries leave that out."""
    fields = fields_of(kind)
    called = getattr(kind, "__name__", None)
    place = schema.get("$defs", {}).get(called, schema if schema.get("title") == called else {})
    properties = place.get("properties", {})
    if fields is None or not properties.keys() <= fields.keys():
        return
    for key, described in properties.items():
        factory = fields[key].factory
        if factory is list or factory is dict:
            described.setdefault("default", factory())
