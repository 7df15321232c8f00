"""Resolves a reference by the types of inputs and outputs: the type at its place, and the place in JSON.

A NamedTuple is an array in JSON: its fields have names in Python and positions in JSON. Where a step returns one, the code has
``paid.output.number``, and the saga's data has it at ``$.steps.pay.output[0]``. Where the declared types do not describe a
reference, it stays as it was written, and its type is Any.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec

from goconductor.errors import PayloadError
from goconductor.saga.data.references import Reference
from goconductor.saga.definition import Binding, Step, Undo


def by_position(step: Step, types: Mapping[str | None, Any]) -> Step:
    """Return a step whose references into NamedTuples are by position.

    Args:
        step: the step as it was written.
        types: the type of each step's output by its id, and of the saga's input under None.
    """
    inputs = {name: binding_by_position(binding, types) for name, binding in step.inputs.items()}
    delay = step.delay
    if delay is not None and delay.until is not None:
        delay = msgspec.structs.replace(delay, until=binding_by_position(Binding(ref=delay.until), types).ref)
    undo = step.undo
    if isinstance(undo, Undo):
        undo = msgspec.structs.replace(
            undo, inputs={name: binding_by_position(binding, types) for name, binding in undo.inputs.items()}
        )
    map = step.map
    if map is not None:
        over = binding_by_position(Binding(ref=map.over), types).ref or ""
        map = msgspec.structs.replace(map, over=over)
    changed = (inputs, delay, undo, map) != (step.inputs, step.delay, step.undo, step.map)
    return msgspec.structs.replace(step, inputs=inputs, delay=delay, undo=undo, map=map) if changed else step


def binding_by_position(binding: Binding, types: Mapping[str | None, Any]) -> Binding:
    """Return a binding whose reference into NamedTuples is by position."""
    if binding.ref is None:
        return binding
    try:
        reference = Reference.parse(binding.ref)
    except PayloadError:
        return binding  # the check of the definition reports it
    keys = _positions(reference.keys, _root(reference, types))
    return (
        binding
        if keys == reference.keys
        else msgspec.structs.replace(binding, ref=str(Reference.to(reference.root, reference.step, *keys)))
    )


def type_of(binding: Binding, types: Mapping[str | None, Any]) -> Any:
    """Return the type of a binding's value; Any where that is not known.

    Args:
        binding: a binding as :func:`binding_by_position` returns it.
        types: as for :func:`by_position`.
    """
    if binding.ref is None:
        return Any
    reference = Reference.parse(binding.ref)
    kind = _root(reference, types)
    for key in reference.keys:
        kind = _one(kind)
        fields = _fields(kind)
        kind = _inside(kind, fields[key] if isinstance(key, int) and -len(fields) <= key < len(fields) else key)
    return Any if kind is inspect.Parameter.empty else kind


def _root(reference: Reference, types: Mapping[str | None, Any]) -> Any:
    """Return the type of what a reference begins at; Any where that is not known, as it is of an item of a map."""
    return Any if reference.root in ("item", "index", "previous") else types.get(reference.step, Any)


def _positions(keys: tuple[str | int, ...], kind: Any) -> tuple[str | int, ...]:
    found: list[str | int] = []
    for key in keys:
        kind = _one(kind)
        fields = _fields(kind)
        found.append(fields.index(key) if isinstance(key, str) and key in fields else key)
        kind = _inside(kind, fields[key] if fields and isinstance(key, int) and -len(fields) <= key < len(fields) else key)
    return tuple(found)


def _fields(kind: Any) -> tuple[str, ...]:
    """Return the names of a NamedTuple's fields."""
    return getattr(kind, "_fields", ()) if inspect.isclass(kind) and issubclass(kind, tuple) else ()


def _one(kind: Any) -> Any:
    """Return a type without its annotations, and without None beside it."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    members = [each for each in get_args(kind) if each is not NoneType]
    return members[0] if NoneType in get_args(kind) and len(members) == 1 else kind


def _inside(kind: Any, key: str | int) -> Any:
    """Return the type of a field or item; Any where that is not known."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and arguments and isinstance(key, int):
        if arguments[-1] is Ellipsis:
            return arguments[0]
        return arguments[key] if -len(arguments) <= key < len(arguments) else Any
    if inspect.isclass(origin) and arguments and issubclass(origin, Sequence | Mapping):
        return arguments[-1]
    if inspect.isclass(kind) and isinstance(key, str):
        try:
            return get_type_hints(kind).get(key, Any)
        except Exception:  # noqa: BLE001  (annotations are expressions, which may raise anything)
            return Any
    return Any
