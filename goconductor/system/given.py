"""What a step is given when it runs: inputs with a meaning of their own, and the values of placeholders.

A definition was checked when it was registered. What a saga's data gives shows only now, so all of it is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from goconductor.engine.steps.context import StepContext
from goconductor.errors import RefusedError
from goconductor.system.templates import ACTION_KEY, OUTPUT, Template, Values

I = TypeVar("I", bound=msgspec.Struct)  # noqa: E741


@lru_cache
def own_names(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names of the inputs that are no values of placeholders.

    Args:
        kind: the struct of a step's own inputs.
    """
    return frozenset(field.name for field in msgspec.structs.fields(kind))


def read_inputs(kind: type[I], inputs: Mapping[str, Any], faults: Callable[[I], Iterator[str]]) -> tuple[I, dict[str, Any]]:
    """Return a step's own inputs, and the values of placeholders.

    Args:
        kind: the struct of the step's own inputs.
        inputs: all, by name.
        faults: yields what is wrong with the struct.

    Raises:
        RefusedError: they do not fit; nothing was called yet.
    """
    names = own_names(kind)
    try:
        own = msgspec.convert({name: value for name, value in inputs.items() if name in names}, kind)
    except msgspec.ValidationError as error:
        raise RefusedError(f"its inputs do not fit: {error}; correct the definition") from None
    if problem := next(faults(own), None):
        raise RefusedError(problem)
    return own, {name: value for name, value in inputs.items() if name not in names}


def action_values(given: Mapping[str, Any], context: StepContext) -> Values:
    """Return what the placeholders of an action stand for."""
    return Values({**given, ACTION_KEY: context.action_key})


def undo_values(given: Mapping[str, Any], context: StepContext, output: Any, templates: Iterable[Template]) -> Values | None:
    """Return what the placeholders of an undo stand for; None where the action was refused, so that there is nothing to undo.

    Args:
        given: the values of placeholders, by name.
        context: of the compensation.
        output: of the action; None where it is not known.
        templates: of the undo.

    Raises:
        RefusedError: the undo needs the action's output, which nobody knows; nothing was called yet.
    """
    if output is None and any(each.name == OUTPUT for template in templates for each in template.placeholders):
        if context.refused:
            context.logger.info("the action of step %r was refused, so there is nothing to undo", context.step)
            return None
        raise RefusedError(
            "the undo needs the action's output, which is not known: its answer was lost, or could not be kept. "
            "See what the other side has, then skip this compensation or give it other inputs; "
            "an undo that names {action_key} in place of {output…} finds the effect by itself"
        )
    known = {**given, ACTION_KEY: context.action_key}
    return Values(known if output is None else {**known, OUTPUT: output})
