"""References into a NamedTuple: written by name, kept by position, since JSON has it as an array.

``paid.output.number`` is what one writes in Python where a step returns a ``NamedTuple``. In the saga's data that is
``$.steps.pay.output[0]``. The types that the code declares say so; where they say nothing, a reference stays as it was written.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.definition import Binding, Step
from goconductor.saga.references import Reference


def by_position(step: Step, types: Mapping[str | None, Any]) -> Step:
    """A step whose references into NamedTuples are by position.

    Args:
        step: as it was written.
        types: what each step returns, by its id; under None what the saga's input is.
    """
    inputs = {name: binding_by_position(binding, types) for name, binding in step.inputs.items()}
    return step if inputs == step.inputs else msgspec.structs.replace(step, inputs=inputs)


def binding_by_position(binding: Binding, types: Mapping[str | None, Any]) -> Binding:
    """The same of one binding."""
    if binding.ref is None:
        return binding
    try:
        reference = Reference.parse(binding.ref)
    except PayloadError:
        return binding  # is told when the definition is checked
    keys = _positions(reference.keys, types.get(reference.step))
    return binding if keys == reference.keys else Binding(ref=str(Reference.to(reference.root, reference.step, *keys)))


def _positions(keys: tuple[str | int, ...], kind: Any) -> tuple[str | int, ...]:
    found: list[str | int] = []
    for key in keys:
        kind = _one(kind)
        fields: tuple[str, ...] = getattr(kind, "_fields", ()) if inspect.isclass(kind) and issubclass(kind, tuple) else ()
        found.append(fields.index(key) if isinstance(key, str) and key in fields else key)
        kind = _inside(kind, fields[key] if fields and isinstance(key, int) and -len(fields) <= key < len(fields) else key)
    return tuple(found)


def _one(kind: Any) -> Any:
    """A type without its annotations, and without None beside it."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    members = [each for each in get_args(kind) if each is not NoneType]
    return members[0] if NoneType in get_args(kind) and len(members) == 1 else kind


def _inside(kind: Any, key: str | int) -> Any:
    """The type of a field or item; Any where that is not known."""
    origin, arguments = get_origin(kind), get_args(kind)
    if inspect.isclass(origin) and arguments and issubclass(origin, list | dict):
        return arguments[-1]
    if inspect.isclass(kind) and isinstance(key, str):
        try:
            return get_type_hints(kind).get(key, Any)
        except Exception:  # noqa: BLE001  (annotations are expressions, which may raise anything)
            return Any
    return Any
