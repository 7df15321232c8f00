"""Reads a JSON Schema: which part describes a place in a value, and whether there can be such a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goconductor.errors import nearest

REFERENCES_MAX = 20
"""Greatest number of references followed from one to the next; more of them are a circle."""
_NESTED_MAX = 20
"""Greatest depth of choices (``anyOf``, ``allOf``) inside choices."""


def followed(root: Mapping[str, Any], place: Any) -> Mapping[str, Any] | None:
    """Return the part of a schema that a place refers to, over all its references; None where there is none.

    Args:
        root: the whole schema.
        place: a part of it.
    """
    for _ in range(REFERENCES_MAX):
        reference = place.get("$ref") if isinstance(place, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        place = root
        for part in filter(None, reference[1:].split("/")):
            place = place.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) else None
    return place if isinstance(place, Mapping) else None


def listed(value: Any) -> list[Any]:
    """Return a list of a schema; empty where it has none."""
    return value if isinstance(value, list) else []


def lack(schema: Mapping[str, Any], keys: Sequence[str | int]) -> str | None:
    """Return what no value that fits the schema has; None where there may be such a place.

    Args:
        schema: the schema of the whole value.
        keys: the names and indexes that lead to the place.
    """
    places: list[Any] = [schema]
    for key in keys:
        known: set[str] = set()
        places = [each for place in places for each in _below(schema, place, key, known, 0)]
        if not places:
            return f"the input's schema has no {key!r} there; {nearest(str(key), known)}"
    return None


def below(root: Mapping[str, Any], place: Any, key: str | int) -> Iterator[Any]:
    """Yield the schemas of the value at a key; True where any value may be there, and nothing where there can be no such place.

    Args:
        root: the whole schema.
        place: a part of it.
        key: the name or index.
    """
    return _below(root, place, key, set(), 0)


def _below(root: Mapping[str, Any], place: Any, key: str | int, known: set[str], depth: int) -> Iterator[Any]:
    """Yield the schemas of the value at a key; True where any value may be there, and nothing where there can be no such
    place.
    """
    if place is False or depth > _NESTED_MAX:
        return
    described = followed(root, place)
    if described is None:
        yield True
        return
    kinds = described.get("type")
    kind = "object" if isinstance(key, str) else "array"
    if kinds is not None and kind not in ([kinds] if isinstance(kinds, str) else listed(kinds)):
        return
    for choice in ("anyOf", "oneOf"):
        options = listed(described.get(choice))
        if options and not any(any(_below(root, option, key, known, depth + 1)) for option in options):
            return
    if not all(any(_below(root, part, key, known, depth + 1)) for part in listed(described.get("allOf"))):
        return
    own = _member(described, key, known) if isinstance(key, str) else _item(described, key)
    if own is False:
        return
    parts = [part for choice in ("anyOf", "oneOf", "allOf") for part in listed(described.get(choice))]
    if own is True and parts:
        for part in parts:
            yield from _below(root, part, key, known, depth + 1)
    else:
        yield own


def _member(place: Mapping[str, Any], key: str, known: set[str]) -> Any:
    properties = place.get("properties")
    if isinstance(properties, Mapping):
        known.update(properties)
        if key in properties:
            return properties[key]
    return True if "patternProperties" in place else place.get("additionalProperties", True)


def _item(place: Mapping[str, Any], key: int) -> Any:
    first, rest = listed(place.get("prefixItems")), place.get("items", True)
    if isinstance(rest, list) or key < 0:  # a list before the drafts of 2020; and an index from the end may mean any item
        return True
    return first[key] if key < len(first) else rest
