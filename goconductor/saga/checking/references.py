"""Checks a reference against the types of a saga's input and of its steps' outputs: whether there can be such a place.

A reference is refused only where no value of the type has the place. Where a type leaves it open (Any, a dict, a model that
allows extra fields), or is not known, the place may exist.
"""

from __future__ import annotations

import decimal
import enum
import functools
import inspect
import re
import types
import typing
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from goconductor.errors import ConditionError, PayloadError, nearest
from goconductor.saga.checking.constructs import locks, undo
from goconductor.saga.checking.constructs.waits import asked_of
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Definition, Step, every_step
from goconductor.saga.types.annotations import is_pydantic, is_pydantic_model, spelt
from goconductor.saga.types.fields import fields_of

_SCALARS = (
    str,
    int,
    float,
    bytes,
    decimal.Decimal,
    uuid.UUID,
    enum.Enum,
)
_HAS = re.compile(r"\bhas\s*\(")
_WRAPPERS = ("Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar")


class _Lack(str):
    """What a type lacks, in words."""

    __slots__ = ()


class Asked(NamedTuple):
    """A place that a definition names.

    Attributes:
        what: what names it, in words.
        place: how it is written there.
        step: whose output it is in; None for the saga's input.
        keys: what leads to it from there.
    """

    what: str
    place: str
    step: str | None
    keys: tuple[str | int, ...]


def asked(definition: Definition) -> Iterator[Asked]:
    """Find all places that a definition names in bindings and expressions; none that an expression first asks for by ``has``."""
    named = [*_named(definition.steps), *locks.places(definition.locks, "the saga")]
    if definition.output is not None:
        named.append(("the saga's output", definition.output))
    for what, binding in named:
        with suppress(PayloadError):  # is reported with the binding
            if binding.ref is not None and not binding.optional:
                reference = Reference.parse(binding.ref)
                yield Asked(what, str(reference), reference.step, reference.keys)
    for what, binding in _named([each for step in definition.steps for each in every_step(step.body)]):
        with suppress(PayloadError):  # a step in a map may mean another one of its map: only what the input has is sure
            if binding.ref is not None and (reference := Reference.parse(binding.ref)).root == "input":
                yield Asked(what, str(reference), None, reference.keys)
    for step in definition.steps:
        for what, compiled, of_signal in asked_of(step):
            with suppress(ConditionError):  # is reported with the expression
                expression = compiled()
                for path in expression.named if not of_signal and not _HAS.search(expression.source) else ():
                    place = ".".join(path)
                    if path[0] == "input":
                        yield Asked(what, place, None, path[1:])
                    elif path[2:3] == ("output",):
                        yield Asked(what, place, path[1], path[3:])


def _named(steps: Iterable[Step]) -> Iterator[tuple[str, Binding]]:
    """Yield what steps refer to outside of conditions: what it is in words, and the binding."""
    for step in steps:
        for parameter, binding in step.inputs.items():
            yield f"input {parameter!r} of step {step.id!r}", binding
        yield from undo.inputs_of(step)
        yield from locks.places(step.locks, f"step {step.id!r}")
        if step.delay is not None and step.delay.until is not None:
            yield f"the delay of step {step.id!r}", Binding(ref=step.delay.until)
        if step.map is not None:
            yield f"the list of map {step.id!r}", Binding(ref=step.map.over)


def misplaced(definition: Definition, kinds: Mapping[str | None, Any]) -> list[str]:
    """Find what a definition names and a type lacks, each with the nearest name.

    Args:
        definition: whose references to NamedTuples are by position.
        kinds: what each step returns, by its id; under None what the saga's input is. What is left out is not known.
    """
    found = []
    for what, place, step, keys in asked(definition):
        kind = kinds.get(step)
        if kind is not None and (lacks := _lack(kind, keys)):
            found.append(f"{what} refers to {place}, but {lacks}.")
    return found


def _lack(kind: Any, keys: Sequence[str | int]) -> str | None:
    possible = [kind]
    for key in keys:
        below = [each for one in possible for member in _members(one) for each in _below(member, key)]
        possible = [each for each in below if not isinstance(each, _Lack)]
        if below and not possible:
            return str(below[0])
    return None


def _members(kind: Any) -> list[Any]:
    """Return the types of a value of this type beside None, without their annotations; Any where one is not known."""
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return [each for member in get_args(kind) if member is not types.NoneType for each in _members(member)]
    if getattr(origin, "_name", None) in _WRAPPERS or origin is typing.Annotated:
        return _members(get_args(kind)[0])
    if hasattr(kind, "__supertype__"):
        return _members(kind.__supertype__)
    if type(kind).__name__ == "TypeAliasType":
        return _members(kind.__value__)
    return [kind]


def _below(kind: Any, key: str | int) -> Sequence[Any]:
    """Return the types of the value at a key in one type, or what that type lacks."""
    if kind in (Any, object, None, types.NoneType, inspect.Parameter.empty) or isinstance(kind, TypeVar | str):
        return [Any]
    origin, arguments = get_origin(kind), get_args(kind)
    record = origin or kind
    if origin is typing.Literal:
        return [_Lack(f"{spelt(kind)} has nothing inside")]
    if not inspect.isclass(record):
        return [Any]
    if (fields := fields_of(record)) is not None:
        return _of_record(record, fields, key)
    if is_pydantic(record):
        return [Any]
    if issubclass(record, _SCALARS) or record.__module__ == "datetime":  # whose clock is not for this band
        return [_Lack(f"{spelt(kind)} has nothing inside")]
    if issubclass(record, Mapping):
        return (
            [arguments[-1] if arguments else Any] if isinstance(key, str) else [_Lack(f"{spelt(kind)} has names, and no [{key}]")]
        )
    if issubclass(record, Sequence | AbstractSet):
        return _of_list(record, arguments, key)
    return [Any]


def _of_list(record: Any, arguments: tuple[Any, ...], key: str | int) -> Sequence[Any]:
    if isinstance(key, str):
        return [_Lack(f"a {record.__name__} has no {key!r}; name one of its items by its position, such as [0]")]
    if issubclass(record, tuple) and arguments and arguments[-1] is not Ellipsis:
        if not -len(arguments) <= key < len(arguments):
            return [_Lack(f"the tuple has {len(arguments)} items")]
        return [arguments[key]]
    return [arguments[0] if arguments else Any]


def _of_record(record: Any, fields: Mapping[str, Any], key: str | int) -> Sequence[Any]:
    in_order = [field.kind for field in fields.values()]
    if _is_list(record):
        if isinstance(key, str):
            near = nearest(key, [field.name for field in fields.values()])
            known = next((place for place, field in enumerate(fields.values()) if field.name == key), None)
            return [
                _Lack(
                    f"{record.__name__} has no {key!r}; {near}" if known is None else f"{key!r} is kept as [{known}]; write that"
                )
            ]
        return (
            [in_order[key]] if -len(in_order) <= key < len(in_order) else [_Lack(f"{record.__name__} has {len(in_order)} items")]
        )
    if isinstance(key, int):
        return [Any] if _is_open(record) else [_Lack(f"{record.__name__} has fields, and no [{key}]")]
    if key in fields:
        return [fields[key].kind]
    if _is_open(record) or any(key in (fields_of(each) or {}) or _is_open(each) for each in _derived(record)):
        return [Any]
    if isinstance(getattr(record, key, None), functools.cached_property) or key == _tag(record):
        return [Any]
    kept = next((field.key for field in fields.values() if field.name == key), None)
    return [
        _Lack(
            f"{record.__name__} has no {key!r}; {nearest(key, fields)}"
            if kept is None
            else f"{key!r} is kept as {kept!r}; write [{kept!r}]"
        )
    ]


def _is_list(record: Any) -> bool:
    """Return whether a type with fields is written as a list."""
    return issubclass(record, tuple) or (issubclass(record, msgspec.Struct) and record.__struct_config__.array_like)


def _is_open(record: Any) -> bool:
    """Return whether a written value may have more than the fields."""
    if not is_pydantic_model(record):
        return False
    settings: Any = getattr(record, "model_config", None) or getattr(record, "__pydantic_config__", None) or {}
    written_otherwise = getattr(getattr(record, "__pydantic_decorators__", None), "model_serializers", None)
    return settings.get("extra") == "allow" or bool(written_otherwise) or bool(getattr(record, "__pydantic_root_model__", False))


def _tag(record: Any) -> str | None:
    return record.__struct_config__.tag_field if issubclass(record, msgspec.Struct) else None


def _derived(record: Any) -> Collection[Any]:
    found, waiting = [], [record] if not typing.is_typeddict(record) else []
    while waiting:
        below = waiting.pop().__subclasses__()
        found += below
        waiting += below
    return found
