"""What is wrong with the steps of a definition that call :mod:`goconductor.system`, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from goconductor.errors import DefinitionError, meant, nearest
from goconductor.saga.definition import Definition, Step, Undo, each_saga, every_step
from goconductor.system import publish
from goconductor.system.given import own_names
from goconductor.system.grpc import inputs as grpc_inputs
from goconductor.system.grpc.inputs import GrpcInputs
from goconductor.system.http import inputs as http_inputs
from goconductor.system.http.inputs import HttpInputs
from goconductor.system.javascript import steps as javascript
from goconductor.system.javascript.steps import JavascriptInputs
from goconductor.system.publish import PublishInputs
from goconductor.system.templates import ACTION_KEY, OUTPUT, Template

SYSTEM = "system"
"""The name of the participant."""


def check(definition: Definition) -> None:
    """Refuse a definition whose steps call what there is not, or with what does not fit.

    Raises:
        DefinitionError: has all problems.
    """
    if found := problems(definition):
        raise DefinitionError(definition.name, found)


def problems(definition: Definition) -> list[str]:
    """Return the problems of all steps of the participant ``system``, each with its remedy."""
    return [f"{where}{problem}" for where, saga in each_saga(definition) for problem in _of_saga(saga)]


def _of_saga(definition: Definition) -> list[str]:
    found = []
    for step in [each for written in every_step(definition.steps) for each in (written, *_undo_of(written))]:
        participant, _, name = step.run.partition(".")
        if participant != SYSTEM:
            continue
        if name not in _CHECKS:
            found.append(f"step {step.id!r} runs {step.run!r}, which there is not; {nearest(step.run, _TARGETS)}.")
            continue
        found += [f"step {step.id!r} runs {step.run!r}, but {problem}." for problem in _problems_of(step, _CHECKS[name])]
    return found


def _undo_of(step: Step) -> Iterator[Step]:
    """Yield what a declared undo runs, as a step: it is checked like one."""
    if isinstance(step.undo, Undo) and step.undo.run:
        yield Step(id=step.id, run=step.undo.run, inputs=step.undo.inputs)


class _Takes(NamedTuple):
    """What a step takes: its own inputs, as a struct, and what is asked of them."""

    inputs: type[msgspec.Struct]
    constant: frozenset[str]
    faults: Callable[[Any], Iterator[str]]
    templates_of: Callable[..., Iterator[Template]] | None = None
    """None where other inputs are no values of placeholders, and can have any name."""

    @property
    def own(self) -> frozenset[str]:
        """Names that are not values of placeholders."""
        return own_names(self.inputs)


def _problems_of(step: Step, takes: _Takes) -> Iterator[str]:
    yield from _not_constant(step, takes.constant)
    needed = [field.name for field in msgspec.structs.fields(takes.inputs) if field.required]
    missing = [name for name in needed if name not in step.inputs]
    for name in missing:
        near = meant(name, step.inputs.keys() - takes.own)
        yield f"has no input {name!r}; add it{f' (did you mean {near}?)' if near else ''}"
    if missing or any(step.inputs[name].ref is not None for name in needed):
        return  # that is said already
    constants = {name: each.value for name, each in step.inputs.items() if name in takes.own and each.ref is None}
    try:
        inputs = msgspec.convert(constants, takes.inputs)
    except msgspec.ValidationError as error:
        yield f"its inputs do not fit: {error}"
        return
    wrong = [*takes.faults(inputs)]
    yield from wrong
    if not wrong and takes.templates_of is not None:
        yield from _placeholders(step, takes.own, takes.templates_of, inputs)


def _not_constant(step: Step, constant: frozenset[str]) -> Iterator[str]:
    for name in sorted(constant & step.inputs.keys()):
        if step.inputs[name].ref is not None:
            yield (
                f"its input {name!r} is a reference; it must be a constant, since a saga's data may not decide whom a step "
                "calls: write it as {value: …}, with placeholders for what changes"
            )


def _placeholders(step: Step, own: frozenset[str], templates_of: Callable[..., Iterator[Template]], inputs: Any) -> Iterator[str]:
    """Compare the placeholders with the inputs that give them values."""
    given = step.inputs.keys() - own
    here = {each.name for template in templates_of(inputs, constant_data=False) for each in template.placeholders}
    undo: set[str] = set()
    if inputs.undo is not None:
        undo = {each.name for template in templates_of(inputs.undo, constant_data=True) for each in template.placeholders}
    if OUTPUT in here:
        yield "it has a placeholder {output…} outside of its undo, where there is no output yet; put it into the undo"
    for name in sorted((here | undo) - given - {OUTPUT, ACTION_KEY}):
        yield f"its placeholder {{{name}}} has no value; add {name!r} to the inputs"
    for name in sorted(given & {OUTPUT, ACTION_KEY}):
        yield f"its input {name!r} has a name with a meaning of its own in placeholders; give it another"
    for name in sorted(given - here - undo - {OUTPUT, ACTION_KEY}):
        yield f"its input {name!r} is neither one of its own nor named by a placeholder; {nearest(name, own)}"


_CHECKS = {
    "grpc": _Takes(GrpcInputs, grpc_inputs.CONSTANT, grpc_inputs.faults, grpc_inputs.templates_of),
    "http": _Takes(HttpInputs, http_inputs.CONSTANT, http_inputs.faults, http_inputs.templates_of),
    "javascript": _Takes(JavascriptInputs, javascript.CONSTANT, javascript.faults),
    "publish": _Takes(PublishInputs, publish.CONSTANT, publish.faults, publish.templates_of),
}
_TARGETS = [f"{SYSTEM}.{name}" for name in _CHECKS]
