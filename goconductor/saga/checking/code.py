"""Whether the inputs of a definition's steps fit the code that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from goconductor.errors import nearest
from goconductor.saga.checking.constructs import undo
from goconductor.saga.definition import Binding, Definition, Step, Undo


class Code(Protocol):
    """A step's code, as far as its inputs go."""

    @property
    def parameters(self) -> Mapping[str, bool]:
        """The names of its inputs, and of each whether it must have a value."""

    def refusal_of(self, name: str, value: Any) -> str | None:
        """Return why a value does not fit an input; None if it does."""


def unfit_inputs(step: Step, code: Code) -> list[str]:
    """Find what a step is given that its code does not take, and what it needs and is not given.

    Args:
        step: of a definition.
        code: what runs it.
    """
    return _unfit(f"step {step.id!r}", step.run, step.inputs, code)


def unfit_undo(definition: Definition, step: Step, code: Code) -> list[str]:
    """Find the same of a step's declared undo, and what it needs and could be null.

    Args:
        definition: that can run otherwise.
        step: of it.
        code: what runs its undo.
    """
    if not isinstance(step.undo, Undo):
        return []
    found = _unfit(f"the undo of step {step.id!r}", step.undo.run, step.undo.inputs, code)
    return found or [*undo.unfit_nulls(definition, step, step.undo, code)]


def _unfit(who: str, run: str, inputs: Mapping[str, Binding], code: Code) -> list[str]:
    parameters = code.parameters
    found = [
        f"{who} gives {run!r} an input {name!r} that it does not take; {nearest(name, parameters)}"
        for name in inputs
        if name not in parameters
    ]
    for name, binding in inputs.items():
        if binding.ref is None and name in parameters and (why := code.refusal_of(name, binding.value)) is not None:
            found.append(f"{who} gives {run!r} a constant for its input {name!r} that does not fit: {why}; correct it.")
    missing = [name for name, needed in parameters.items() if needed and name not in inputs]
    found += [f"{who} gives {run!r} no value for its input {name!r}; add it to the inputs." for name in missing]
    return found
