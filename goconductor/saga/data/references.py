"""References: where a step's input comes from, as data.

A reference is a *singular query* of RFC 9535 (§2.3.5.1): names and indexes only, so it denotes one place and costs nothing
to evaluate. There are two roots, and three more for steps in a map or a repeat::

    $.input.sku                         a field of the saga's input
    $.steps.charge.output.items[0].id   a part of an earlier step's output
    $.steps['a-b'].output['x y']        any name can be written in quotes
    $.item.sku                          a field of the item that the step is for
    $.index                             that item's place in its list, or the number of the turn, from 0
    $.previous.cursor                   a field of what the turn before has given; null in the first turn

No wildcards, filters, slices or ``$..``: these denote many places, and belong into a condition or a step.

In Python nobody writes them: a `Place` stands for a value that will exist once the saga runs, and records how it is reached
(``order.input.sku``, ``paid.output.items[0]``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.data.values import decode, place

Root = Literal["input", "steps", "item", "index", "previous"]

_INDEX_MAX = 2**53 - 1
LENGTH_MAX = 2_000
"""Greatest length of a reference, in characters."""
_SEGMENT = re.compile(
    r"""[ \t\n\r]*(?:
        \.(?P<shorthand>[A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff][0-9A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff]*)
      | \[(?P<index>0|-?[1-9][0-9]{0,15})\]
      | \["(?P<double>(?:[^"\\\x00-\x1f\ud800-\udfff]|\\["/\\bfnrtu])*)"\]
      | \['(?P<single>(?:[^'\\\x00-\x1f\ud800-\udfff]|\\['/\\bfnrtu])*)'\]
    )""",
    re.VERBOSE,
)
_QUOTES = re.compile(r"""\\.|\"""")
_REMEDY = "write names and indexes only, such as $.input.sku or $.steps['a-b'].output[0]"


class Reference(msgspec.Struct, frozen=True):
    """A place in the saga's data. Made by `Reference.parse` or `Reference.to`; ``str()`` gives its normalised text.

    Attributes:
        path: the normalised text: shorthand names where they can be, else single quotes.
        root: which of the roots.
        step: the step's id, if the root is ``steps``.
        keys: what to follow from the root (of a step: from its output).
    """

    path: str
    root: Root
    step: str | None
    keys: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference.

        Raises:
            PayloadError: it is not a singular query with one of our roots; names the place and the remedy.
        """
        shown = text if len(text) <= LENGTH_MAX and text.isprintable() else f"{text[:100]!a}…"
        if len(text) > LENGTH_MAX:
            raise PayloadError(shown, f"is not a reference: it is longer than {LENGTH_MAX:,} characters; {_REMEDY}")
        if not text.startswith("$"):
            raise PayloadError(shown, f"is not a reference: it does not begin with $; {_REMEDY}")
        keys: list[str | int] = []
        position = 1
        while position < len(text):
            match = _SEGMENT.match(text, position)
            if match is None:
                what = ascii(text[position : position + 20])
                raise PayloadError(shown, f"is not a reference: cannot read {what} at {position}; {_REMEDY}")
            keys.append(_key(shown, match))
            position = match.end()
        match keys:
            case ["input" | "item" | "previous" as root, *rest]:
                return cls.to(root, None, *rest)
            case ["index"]:
                return cls.to("index", None)
            case ["steps", str(step), "output", *rest]:
                return cls.to("steps", step, *rest)
            case ["steps", *_]:
                raise PayloadError(shown, "does not name a step's output; write $.steps.<step>.output, then names and indexes")
            case _:
                raise PayloadError(
                    shown,
                    "begins at no root; write $.input… or $.steps.<step>.output…, in a map also $.item… or $.index, "
                    "in a repeat $.previous… or $.index",
                )

    @classmethod
    def to(cls, root: Root, step: str | None, *keys: str | int) -> Reference:
        """Return the reference to a place: `Reference.to("steps", "charge", "items", 0)`."""
        path = f"$.{root}" if step is None else place(place("$.steps", step), "output")
        for key in keys:
            path = place(path, key)
        return cls(path, root, step, keys)

    def resolve(self, input: Any, outputs: Mapping[str, Any]) -> Any:
        """Return the value at the place.

        A skipped step's output reads as None, and so does everything below a None: a step that takes an optional step's output
        gets None whether that step was skipped or returned nothing.

        Args:
            input: the saga's input, as JSON values.
            outputs: by step id, the outputs of the steps that have ended; None for a skipped one.

        Raises:
            PayloadError: there is no such place; names the part that is missing, and what is there instead.
        """
        if self.step is None:
            value = input
        elif self.step in outputs:
            value = outputs[self.step]
        else:
            problem = "is not there: the step has not ended; let the step that reads it come after it"
            raise PayloadError(place("$.steps", self.step), problem)
        for depth, key in enumerate(self.keys):
            if value is None:
                return None
            if isinstance(key, str):
                if not isinstance(value, dict) or key not in value:
                    raise self._missing(depth, value)
            elif not isinstance(value, list | tuple) or not -len(value) <= key < len(value):
                raise self._missing(depth, value)
            value = value[key]
        return value

    def _missing(self, depth: int, value: Any) -> PayloadError:
        """Return the error for a place without such a part: the path to it, and what is there instead."""
        path = f"$.{self.root}" if self.step is None else place(place("$.steps", self.step), "output")
        for key in self.keys[:depth]:
            path = place(path, key)
        if isinstance(self.keys[depth], str) and isinstance(value, dict):
            there = f"{path} has {_names(value)}"
        elif isinstance(self.keys[depth], int) and isinstance(value, list | tuple):
            there = f"{path} has {len(value)} items"
        else:
            there = f"{path} is of type {type(value).__name__}"
        return PayloadError(place(path, self.keys[depth]), f"is not there; {there}")

    def __str__(self) -> str:
        return self.path


def _key(shown: str, match: re.Match[str]) -> str | int:
    if match["shorthand"] is not None:
        return match["shorthand"]
    if match["index"] is not None:
        index = int(match["index"])
        if abs(index) > _INDEX_MAX:
            raise PayloadError(shown, f"is not a reference: the index {index} is beyond ±(2^53 - 1)")
        return index
    quoted = match["double"] if match["double"] is not None else _QUOTES.sub(_as_json, match["single"])
    name: str = decode(f'"{quoted}"', path=shown)
    return name


def _as_json(match: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(match[0], match[0])


def _names(value: Mapping[str, Any]) -> str:
    names = [repr(name[:40]) for name in list(value)[:10]]
    return ", ".join(names) + (f" and {len(value) - 10} more" if len(value) > 10 else "") if names else "nothing in it"


def _refuse(place: Place, *_: object) -> NoReturn:
    raise TypeError(
        f"{place!r} has no value before the saga runs: to decide by it, give the step a condition (when=…); "
        "to compute with it, pass it to a step as an input"
    )


class Place:
    """A value that will exist once the saga runs: ``order.input.sku``, ``paid.output["x"].y[0]``.

    Attribute and item access return the place below. `reference_of` returns the reference of a place; it is a function, so that
    no field's name is taken. Names that begin with two underscores are reached by item only. A place has no value yet: use as a
    value (``if place``, ``place == 3``, iteration, formatting) raises TypeError.

    Args:
        reference: the place it stands for, or its text.
    """

    __slots__ = ("__goconductor_reference__",)

    __goconductor_reference__: Reference

    def __init__(self, reference: Reference | str) -> None:
        self.__goconductor_reference__ = Reference.parse(reference) if isinstance(reference, str) else reference

    def __getattr__(self, name: str) -> Place:
        if name.startswith("__"):
            raise AttributeError(f"a place has no attribute {name!r}; a field of that name is reached as [{name!r}]")
        return self[name]

    def __getitem__(self, key: str | int) -> Place:
        if type(key) is not str and type(key) is not int:
            raise TypeError(f"{self!r}[…] takes a name or an index, not {type(key).__name__}; pick several in the step itself")
        above = self.__goconductor_reference__
        return Place(Reference.to(above.root, above.step, *above.keys, key))

    def __repr__(self) -> str:
        return f"Place({self.__goconductor_reference__.path})"

    __bool__ = __iter__ = __len__ = __contains__ = __format__ = __int__ = __float__ = __index__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = object.__hash__


def reference_of(place: Place) -> Reference:
    """Return the reference that a place has recorded."""
    return place.__goconductor_reference__
