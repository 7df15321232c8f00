"""The defaults that a JSON Schema states, filled into a value that it describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from goconductor.saga.data.schemas import followed, listed
from goconductor.saga.data.values import copied


def completed(schema: Mapping[str, Any], value: Any, place: Mapping[str, Any] | None = None) -> Any:
    """Complete a value by the defaults of its schema.

    Where a value may be one of several (``anyOf``, ``oneOf``), it is completed by the only one that it can be. Defaults that
    contain themselves without end are left out.

    Args:
        schema: that the value fits.
        value: JSON values; it is not changed.
        place: the part of the schema that describes the value; None where it is the whole.
    """
    try:
        return _completed(schema, schema if place is None else place, value)
    except RecursionError:
        return value


def _completed(root: Mapping[str, Any], place: Any, value: Any) -> Any:
    if not isinstance(value, dict | list):
        return value
    for each in _described(root, place, value):
        value = _members(root, each, value) if isinstance(value, dict) else _items(root, each, value)
    return value


def _members(root: Mapping[str, Any], place: Mapping[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    properties = place.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    others = place.get("additionalProperties")
    whole = {name: _completed(root, properties.get(name, others), member) for name, member in value.items()}
    for name, described in properties.items():
        if name not in whole and (stated := _default(root, described)):
            whole[name] = _completed(root, described, copied(stated[0]))
    return whole


def _items(root: Mapping[str, Any], place: Mapping[str, Any], value: list[Any]) -> list[Any]:
    first = place.get("prefixItems")
    first = first if isinstance(first, list) else []
    rest = place.get("items")
    whole = [_completed(root, first[index] if index < len(first) else rest, item) for index, item in enumerate(value)]
    for described in first[len(whole) :]:
        if not (stated := _default(root, described)):
            break
        whole.append(_completed(root, described, copied(stated[0])))
    return whole


def _default(root: Mapping[str, Any], place: Any) -> list[Any]:
    """Return the default of a place, alone in a list; empty if it has none."""
    if isinstance(place, Mapping) and "default" in place:
        return [place["default"]]
    target = followed(root, place)
    return [target["default"]] if target is not None and "default" in target else []


def _described(root: Mapping[str, Any], place: Any, value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a schema that describe this value."""
    place = followed(root, place)
    if place is None:
        return
    yield place
    for part in listed(place.get("allOf")):
        yield from _described(root, part, value)
    for name in ("anyOf", "oneOf"):
        possible = [part for part in listed(place.get(name)) if _can_be(root, part, value)]
        if len(possible) == 1:
            yield from _described(root, possible[0], value)


def _can_be(root: Mapping[str, Any], place: Any, value: dict[str, Any] | list[Any]) -> bool:
    place = followed(root, place)
    if place is None:
        return False
    kinds = place.get("type")
    if kinds is not None and ("object" if isinstance(value, dict) else "array") not in (
        [kinds] if isinstance(kinds, str) else kinds
    ):
        return False
    if isinstance(value, dict):
        if any(name not in value for name in listed(place.get("required"))):
            return False
        properties = place.get("properties")
        for name, described in properties.items() if isinstance(properties, Mapping) else ():
            if name in value and isinstance(described, Mapping):
                if "const" in described and described["const"] != value[name]:
                    return False
                if "enum" in described and value[name] not in listed(described["enum"]):
                    return False
    return True
