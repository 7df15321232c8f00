"""The JSON Schemas of users' types, as far as they say what a value is in JSON; of types of pydantic's they say little."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from goconductor.saga.types.annotations import is_pydantic, is_pydantic_model, parts
from goconductor.saga.types.fields import fields_of

_OPEN: dict[str, Any] = {}
_VALUES = ("default", "const", "enum")
"""Keys below which a schema has values, and no parts of itself."""


@functools.lru_cache(maxsize=4096)
def read_as(kind: Any) -> dict[str, Any]:
    """Return the schema of JSON values that become values of a type; what it says nothing of may become one, or not."""
    read: dict[str, Any] = _numbers_are_decimals(_schema(kind))
    tags = frozenset(tag for tag in map(_tag_of, parts(kind)) if tag is not None)
    return _untagged(read, tags) if tags else read


def written_as(kind: Any) -> dict[str, Any]:
    """Return the schema of the JSON values that values of a type are kept as: records have their fields and no more, unless
    there are other records that derive from one of them.
    """
    is_open = any(map(_is_open, parts(kind)))  # asked each time: a record may be derived from it later
    return _described(kind) if is_open else _closed_of(kind)


@functools.lru_cache(maxsize=4096)
def written_by_pydantic(kind: Any) -> tuple[dict[str, Any], ...]:
    """Return the schema of the JSON values that pydantic writes values of a type as; nothing where it does not write them."""
    if not any(map(is_pydantic_model, parts(kind))):
        return ()
    from pydantic import TypeAdapter  # noqa: PLC0415  (only users of pydantic pay for its import)

    try:
        return (TypeAdapter(kind).json_schema(by_alias=False, mode="serialization"),)
    except Exception:  # noqa: BLE001  (a serializer may have no schema; then it may write anything)
        return (_OPEN,)


@functools.lru_cache(maxsize=4096)
def _described(kind: Any) -> dict[str, Any]:
    return _schema(kind)


@functools.lru_cache(maxsize=4096)
def _closed_of(kind: Any) -> dict[str, Any]:
    return _closed(_described(kind))


def _tag_of(kind: Any) -> str | None:
    """Return the name of the field in which a struct says which one it is; None where it says so nowhere."""
    record: Any = typing.get_origin(kind) or kind
    is_struct = inspect.isclass(record) and issubclass(record, msgspec.Struct)
    return record.__struct_config__.tag_field if is_struct else None


def _is_open(kind: Any) -> bool:
    record: Any = typing.get_origin(kind) or kind
    return typing.is_typeddict(record) or (fields_of(record) is not None and bool(record.__subclasses__()))


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    parts = {key: _closed(each) if isinstance(each, dict) and key not in _VALUES else each for key, each in schema.items()}
    return {"additionalProperties": False, **parts} if isinstance(parts.get("properties"), dict) else parts


def _schema(kind: Any) -> dict[str, Any]:
    if kind in (Any, inspect.Parameter.empty, object) or is_pydantic(kind):
        return _OPEN
    if any(is_pydantic_model(part) for part in parts(kind)):
        return _OPEN  # pydantic decides about all of it
    try:
        (schema,), components = msgspec.json.schema_components((kind,), schema_hook=lambda _: _OPEN)
    except Exception:  # noqa: BLE001  (annotations are expressions, which may raise anything; the reader of the type reports it)
        return _OPEN
    return {**schema, "$defs": components}


def _untagged(schema: Any, tags: AbstractSet[str]) -> Any:
    """Return a schema that asks for no tag: msgspec reads the only struct that there can be without one."""
    if isinstance(schema, dict):
        parts = {key: each if key in _VALUES else _untagged(each, tags) for key, each in schema.items()}
        if isinstance(needed := parts.get("required"), list):
            parts["required"] = [name for name in needed if name not in tags]
        return parts
    return [_untagged(each, tags) for each in schema] if isinstance(schema, list) else schema


def _numbers_are_decimals(schema: Any) -> Any:
    """Return a schema in which a decimal may also come as a number; written it is a text."""
    if isinstance(schema, dict):
        if schema.get("format") == "decimal":
            return {"type": ["string", "number"]}
        return {key: _numbers_are_decimals(each) for key, each in schema.items()}
    return [_numbers_are_decimals(each) for each in schema] if isinstance(schema, list) else schema
