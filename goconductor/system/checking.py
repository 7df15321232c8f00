"""What is wrong with the steps of a definition that call :mod:`goconductor.system`, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from goconductor.errors import DefinitionError, nearest
from goconductor.saga.definition import Definition, Step
from goconductor.system.http_inputs import CONSTANT, RESERVED, HttpInputs, faults, templates_of
from goconductor.system.templates import ACTION_KEY, OUTPUT

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
    found = []
    for step in definition.steps:
        participant, _, name = step.run.partition(".")
        if participant != SYSTEM:
            continue
        if name not in _CHECKS:
            found.append(f"step {step.id!r} runs {step.run!r}, which there is not; {nearest(step.run, _TARGETS)}.")
            continue
        found += [f"step {step.id!r} runs {step.run!r}, but {problem}." for problem in _CHECKS[name](step)]
    return found


def _of_http(step: Step) -> Iterator[str]:
    yield from _not_constant(step, CONSTANT)
    constants = {name: each.value for name, each in step.inputs.items() if name in RESERVED and each.ref is None}
    if "url" not in step.inputs:
        near = nearest("url", [name for name in step.inputs if name not in RESERVED]) if step.inputs else ""
        yield f"has no input 'url'; add it{f' ({near})' if near.startswith('did') else ''}"
        return
    if step.inputs["url"].ref is not None:
        return  # that is said already
    try:
        inputs = msgspec.convert(constants, HttpInputs)
    except msgspec.ValidationError as error:
        yield f"its inputs do not fit: {error}"
        return
    wrong = [*faults(inputs)]
    yield from wrong
    if not wrong:
        yield from _placeholders(step, inputs)


def _not_constant(step: Step, constant: frozenset[str]) -> Iterator[str]:
    for name in sorted(constant & step.inputs.keys()):
        if step.inputs[name].ref is not None:
            yield (
                f"its input {name!r} is a reference; it must be a constant, since a saga's data may not decide whom a step "
                "calls: write it as {value: …}, with placeholders for what changes"
            )


def _placeholders(step: Step, inputs: HttpInputs) -> Iterator[str]:
    """Compare the placeholders with the inputs that give them values."""
    given = step.inputs.keys() - RESERVED
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
        yield f"its input {name!r} is neither one of its own nor named by a placeholder; {nearest(name, RESERVED)}"


_CHECKS: dict[str, Callable[[Step], Iterator[str]]] = {"http": _of_http}
_TARGETS = [f"{SYSTEM}.{name}" for name in _CHECKS]
