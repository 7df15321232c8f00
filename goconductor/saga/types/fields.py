"""The fields of users' types, by whatever library they are written, and under which names they stand in JSON."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, get_origin, get_type_hints

import msgspec

from goconductor.saga.types.annotations import is_pydantic_model, parts

_CONSTANT = frozenset({list, dict, set, frozenset, tuple, str, int, float, bool, bytes})
"""Factories whose calls all return equal values."""


class Field(NamedTuple):
    """One field of a type.

    Attributes:
        name: its name in Python.
        key: its name in JSON.
        kind: its type; Any where that cannot be read.
        factory: what makes its default, if something does.
        aliases: other names under which it may be given in JSON.
        pieces: names under which a whole is given of which the field takes a part.
    """

    name: str
    key: str
    kind: Any = Any
    factory: Callable[..., Any] | None = None
    aliases: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()

    @property
    def made_anew(self) -> bool:
        """Whether its default may be another one each time: an id, or the present moment."""
        if self.factory is None or self.factory in _CONSTANT:
            return False
        return not inspect.isclass(self.factory) or fields_of(self.factory) is None or any(map(_made_anew, parts(self.factory)))


def _made_anew(kind: Any) -> bool:
    return any(field.made_anew for field in (fields_of(kind) or {}).values() if field.factory is not kind)


def fields_of(kind: Any) -> Mapping[str, Field] | None:
    """Return the fields of a type by their names in JSON, in order; None if it has none, or if they cannot be read."""
    kind = get_origin(kind) or kind
    if not inspect.isclass(kind):
        return None
    record: Any = kind
    return _fields(record)


@functools.lru_cache(maxsize=4096)
def _fields(kind: Any) -> Mapping[str, Field] | None:
    try:
        found = _read(kind)
    except Exception:  # noqa: BLE001  (annotations are expressions, which may raise anything; the reader of the type reports it)
        return None
    return None if found is None else {field.key: field for field in found}


def _read(kind: Any) -> list[Field] | None:
    if is_pydantic_model(kind):
        return list(_of_pydantic(kind))
    if issubclass(kind, msgspec.Struct):
        return [
            Field(
                each.name,
                each.encode_name,
                each.type,
                None if each.default_factory is msgspec.NODEFAULT else each.default_factory,
            )
            for each in msgspec.structs.fields(kind)
        ]
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return [
            Field(
                each.name,
                each.name,
                hints.get(each.name, Any),
                None if each.default_factory is dataclasses.MISSING else each.default_factory,
            )
            for each in dataclasses.fields(kind)
        ]
    if hasattr(kind, "__attrs_attrs__"):
        hints = get_type_hints(kind)
        return [
            Field(each.name, each.name, hints.get(each.name, Any), getattr(each.default, "factory", None))
            for each in kind.__attrs_attrs__
        ]
    if (issubclass(kind, tuple) and hasattr(kind, "_fields")) or typing.is_typeddict(kind):
        hints = get_type_hints(kind)
        return [Field(name, name, hints.get(name, Any)) for name in getattr(kind, "_fields", hints)]
    return None


def _of_pydantic(kind: Any) -> Iterator[Field]:
    for name, field in (getattr(kind, "model_fields", None) or getattr(kind, "__pydantic_fields__", {})).items():
        aliases: list[str] = []
        pieces: list[str] = []
        given = [field.alias, field.validation_alias]
        while given:
            each = given.pop()
            if isinstance(each, str):
                aliases.append(each)
            elif each is not None and hasattr(each, "choices"):
                given += each.choices
            elif each is not None and each.path:
                (aliases if len(each.path) == 1 else pieces).append(str(each.path[0]))
        yield Field(name, name, field.annotation, field.default_factory, tuple(aliases), tuple(pieces))
    for name in getattr(getattr(kind, "__pydantic_decorators__", None), "computed_fields", {}):
        yield Field(name, name)
