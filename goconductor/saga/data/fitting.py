"""Whether a value that one JSON Schema describes can ever be a value that another one accepts.

The answer is no only where no value fits both: where they have no kind of JSON value in common, or where an object lacks a
required member. A value that may be null is compared by its other kinds. Where a schema leaves something open, it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from goconductor.saga.data.schemas import below, followed, listed

_NESTED_MAX = 8
"""Greatest depth to which objects in objects are looked at."""
_PARTS_MAX = 500
"""Number of choices in one part that are looked at; with more it may be anything. They may stand in one another."""
_WORDS = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}
_ALL, _NONE = frozenset(_WORDS), frozenset[str]()


class Described(NamedTuple):
    """A part of a JSON Schema.

    Attributes:
        root: the whole schema, in which references are followed.
        place: the part; True where it says nothing.
    """

    root: Mapping[str, Any]
    place: Any

    def kinds(self) -> frozenset[str]:
        """Return which kinds of JSON values it may be; a whole number is a ``number``."""
        return _kinds(self.root, self.place, {})

    @property
    def required(self) -> list[str]:
        """The names that an object must have, and that are not filled in."""
        described = followed(self.root, self.place) or {}
        needed = [name for name in listed(described.get("required")) if isinstance(name, str)]
        return [name for name in needed if not any(self._is_filled(each) for each in self.at(name))]

    def _is_filled(self, below: Described) -> bool:
        return "default" in (followed(self.root, below.place) or {})

    @property
    def names(self) -> list[str]:
        """The names that are described of an object."""
        fields = (followed(self.root, self.place) or {}).get("properties")
        return [*fields] if isinstance(fields, Mapping) else []

    @property
    def items(self) -> list[Described]:
        """All that an item may be, whichever it is; nothing where there can be none."""
        first = listed((followed(self.root, self.place) or {}).get("prefixItems"))
        return [each for index in range(len(first) + 1) for each in self.at(index)]

    def at(self, *keys: str | int) -> list[Described]:
        """Return all that may be at a place below; nothing where there can be no such place."""
        places = [self.place]
        for key in keys:
            places = below(self.root, places, key)
        return [Described(self.root, each) for each in places]


def of_kinds(*kinds: str) -> Described:
    """Describe values of some kinds."""
    return Described({"type": [*kinds]}, {"type": [*kinds]})


def misfit(given: Sequence[Described], taken: Described, depth: int = 0) -> str | None:
    """Return why no value that is given can be taken, with the place in it; None where one may be.

    Args:
        given: what the value may be, each by itself.
        taken: what is asked for.
        depth: how deep in the value this is.
    """
    there, asked = _together(each.kinds() for each in given), taken.kinds()
    common = (there & asked) - {"null"}
    if not common:
        only_null = "null" in there & asked and {"null"} in (there, asked)
        return None if only_null or not there or not asked else f"is {_spelt(there)}, but {_spelt(asked)} is needed"
    if common != {"object"} or depth > _NESTED_MAX:
        return None
    for name in taken.required:
        inside = [each for part in given if "object" in part.kinds() for each in part.at(name)]
        if not inside:
            return f"has no {name!r}, which is required"
        wanted = taken.at(name)
        if len(wanted) == 1 and (why := misfit(inside, wanted[0], depth + 1)) is not None:
            return f"has a {name!r} that {why}"
    return None


def _kinds(root: Mapping[str, Any], place: Any, known: dict[int, frozenset[str]]) -> frozenset[str]:
    """Return the kinds of a part; each part is looked at once, and one that holds itself there may be anything."""
    described = followed(root, place)
    if described is None or len(known) > _PARTS_MAX:
        return _NONE if place is False else _ALL
    if (found := known.get(id(described))) is not None:
        return found
    found = known[id(described)] = _ALL
    if isinstance(kinds := described.get("type"), str | list):
        named = [kinds] if isinstance(kinds, str) else kinds
        found &= frozenset("number" if kind == "integer" else str(kind) for kind in named)
    for values in ([described["const"]] if "const" in described else None, described.get("enum")):
        if isinstance(values, list):
            found &= frozenset(map(_kind_of, values))
    for choice in ("anyOf", "oneOf"):
        if options := listed(described.get(choice)):
            found &= _together(_kinds(root, each, known) for each in options)
    for part in listed(described.get("allOf")):
        found &= _kinds(root, part, known)
    known[id(described)] = found
    return found


def _together(kinds: Iterable[frozenset[str]]) -> frozenset[str]:
    return _NONE.union(*kinds)


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"


def _spelt(kinds: frozenset[str]) -> str:
    words: Iterator[str] = (words for kind, words in _WORDS.items() if kind in kinds and kind != "null")
    return " or ".join(words) or "null"
