"""Reads a JSON Schema: which part describes a place in a value, and whether there can be such a place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
        places = _below(schema, places, key, known)
        if not places:
            return f"the input's schema has no {key!r} there; {nearest(str(key), known)}"
    return None


def below(root: Mapping[str, Any], places: Iterable[Any], key: str | int) -> list[Any]:
    """Return the schemas of the value at a key; True where any value may be there, and nothing where there can be no such place.

    Args:
        root: the whole schema.
        places: parts of it, of which each may describe the value that has the key.
        key: the name or index.
    """
    return _below(root, places, key, set())


def _below(root: Mapping[str, Any], places: Iterable[Any], key: str | int, known: set[str]) -> list[Any]:
    search = _Search(root, key, known)
    return _each_once(part for place in places for part in search.below(place, 0))


class _Search:
    """Looks for a key. Each part is looked at once, as choices may share parts, and a part may hold itself."""

    def __init__(self, root: Mapping[str, Any], key: str | int, known: set[str]) -> None:
        self._root = root
        self._key = key
        self._known = known
        self._found: dict[int, list[Any]] = {}
        """By the identity of a part; of those that are being looked at, and so hold themselves, that anything may be there."""

    def below(self, place: Any, depth: int) -> list[Any]:
        if place is False:
            return []
        described = followed(self._root, place)
        if described is None or depth > _NESTED_MAX:
            return [True]
        if (found := self._found.get(id(described))) is None:
            self._found[id(described)] = [True]
            found = self._found[id(described)] = self._inside(described, depth + 1)
        return found

    def _inside(self, described: Mapping[str, Any], depth: int) -> list[Any]:
        key, kinds = self._key, described.get("type")
        kind = "object" if isinstance(key, str) else "array"
        if kinds is not None and kind not in ([kinds] if isinstance(kinds, str) else listed(kinds)):
            return []
        parts: list[Any] = []
        for choice in ("anyOf", "oneOf"):
            if options := listed(described.get(choice)):
                possible = [part for option in options for part in self.below(option, depth)]
                if not possible:
                    return []
                parts += possible
        for each in listed(described.get("allOf")):
            if not (possible := self.below(each, depth)):
                return []
            parts += possible
        own = _member(described, key, self._known) if isinstance(key, str) else _item(described, key)
        if own is False:
            return []
        return _each_once(parts) if own is True and parts else [own]


def _each_once(parts: Iterable[Any]) -> list[Any]:
    return [*{id(part): part for part in parts}.values()]


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
