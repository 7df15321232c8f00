"""Whether what a definition gives fits who takes it: a step's code, a saga that a step starts, and what the saga itself reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from goconductor.errors import nearest
from goconductor.saga.checking.constructs import locks, undo
from goconductor.saga.checking.known import NOTHING, Known
from goconductor.saga.data.fitting import Described, misfit, of_kinds
from goconductor.saga.definition import Binding, Definition, Step, Undo


class Code(Protocol):
    """A step's code, as far as its inputs go."""

    @property
    def parameters(self) -> Mapping[str, bool]:
        """The names of its inputs, and of each whether it must have a value."""

    def refusal_of(self, name: str, value: Any) -> str | None:
        """Return why a value does not fit an input; None if it does."""

    def taken(self, name: str) -> Mapping[str, Any]:
        """Return the JSON Schema of what becomes one of its inputs; an empty one where that is not known."""


def unfit_inputs(step: Step, code: Code, known: Known = NOTHING) -> list[str]:
    """Find what a step is given that its code does not take, and what it needs and is not given.

    Args:
        step: of a definition.
        code: what runs it.
        known: what is known of the data that the step sees.
    """
    return _unfit(f"step {step.id!r}", step.run, step.inputs, code, known)


def unfit_undo(definition: Definition, step: Step, code: Code, known: Known = NOTHING) -> list[str]:
    """Find the same of a step's declared undo, and what it needs and could be null.

    Args:
        definition: that can run otherwise.
        step: of it.
        code: what runs its undo.
        known: what is known of the data that the step sees.
    """
    if not isinstance(step.undo, Undo) or not step.undo.run:
        return []
    found = _unfit(f"the undo of step {step.id!r}", step.undo.run, step.undo.inputs, code, known)
    return found or [*undo.unfit_nulls(definition, step, step.undo, code)]


def unfit_reads(steps: Iterable[Step], known: Known) -> Iterator[str]:
    """Find what the saga itself reads and cannot use: a list of a map that is none, a time, a part of a lock's key.

    Args:
        steps: of a definition; those in the maps and repeats among them are looked at as well.
        known: what is known of the data that they see.
    """
    for step in steps:
        if step.delay is not None and step.delay.until is not None:
            what, binding = f"the delay of step {step.id!r}", Binding(ref=step.delay.until)
            yield from _misfit(f"{what} refers to {step.delay.until}", binding, _TIME, known)
        inside = known
        if step.map is not None:
            what, binding = f"the list of map {step.id!r}", Binding(ref=step.map.over)
            yield from _misfit(f"{what} refers to {step.map.over}", binding, _LIST, known)
        if step.body:
            inside = known.inside(step, [each.id for each in step.body])
            yield from unfit_reads(step.body, inside)
        for what, binding in locks.places(step.locks, f"step {step.id!r}"):
            yield from _misfit(f"{what} refers to {binding.ref}", binding, _KEY, inside)


def unfit_child(who: str, inputs: Mapping[str, Binding], schema: Mapping[str, Any], known: Known) -> Iterator[str]:
    """Find what the saga that a step starts does not take, and what it needs and is not given.

    Args:
        who: what starts that saga, in words.
        inputs: what it is given.
        schema: the JSON Schema of its input.
        known: what is known of the data that the step sees.
    """
    taken = Described(schema, schema)
    for name, binding in inputs.items():
        if not (wanted := taken.at(name)):
            names = taken.names
            yield f"{who} gives the saga that it starts an input {name!r} that it does not take; {nearest(name, names)}"
        elif len(wanted) == 1:
            yield from _misfit(f"{who} gives the saga that it starts {binding.ref} for its {name!r}", binding, wanted[0], known)
    for name in taken.required:
        if name not in inputs:
            yield f"{who} gives the saga that it starts no {name!r}, which its input must have; add it to the inputs."


def unfit_written(definition: Definition) -> Iterator[str]:
    """Find the same of the sagas that are written inside a definition."""
    for step, known in Known(schema=definition.input_schema).each(definition.steps):
        if step.saga is not None and step.saga.steps and step.saga.input_schema is not None:
            yield from unfit_child(f"step {step.id!r}", step.inputs, step.saga.input_schema, known)


class InputOf:
    """The input of a saga, as what takes the inputs of an undo.

    Args:
        schema: the JSON Schema of its input.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._taken = Described(schema, schema)

    def refusal_of(self, name: str, value: Any) -> str | None:
        """Return why null does not fit a field; None if it does, or if that is not known."""
        wanted = self._taken.at(name)
        return misfit([of_kinds("null")], wanted[0]) if value is None and len(wanted) == 1 else None


_LIST, _TIME, _KEY = of_kinds("array"), of_kinds("string", "number"), of_kinds("string", "number")


def _misfit(what: str, binding: Binding, taken: Described, known: Known) -> Iterator[str]:
    if (given := known.of(binding)) and (why := misfit(given, taken)) is not None:
        yield f"{what}, which {why}; refer to another place, or correct one of the types."


def _unfit(who: str, run: str, inputs: Mapping[str, Binding], code: Code, known: Known) -> list[str]:
    parameters = code.parameters
    found = [
        f"{who} gives {run!r} an input {name!r} that it does not take; {nearest(name, parameters)}"
        for name in inputs
        if name not in parameters
    ]
    for name, binding in inputs.items():
        if binding.ref is None and name in parameters and (why := code.refusal_of(name, binding.value)) is not None:
            found.append(f"{who} gives {run!r} a constant for its input {name!r} that does not fit: {why}; correct it.")
        elif name in parameters:
            schema = code.taken(name)
            given = f"{who} gives {run!r} {binding.ref} for its input {name!r}"
            found += _misfit(given, binding, Described(schema, schema), known)
    missing = [name for name, needed in parameters.items() if needed and name not in inputs]
    found += [f"{who} gives {run!r} no value for its input {name!r}; add it to the inputs." for name in missing]
    return found
