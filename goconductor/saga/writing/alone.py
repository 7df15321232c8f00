"""A step that is written for itself, to become a part of a saga that stands elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

from goconductor.errors import DefinitionError, PayloadError
from goconductor.saga.checking.code import unfit_undo
from goconductor.saga.checking.constructs.undo import inputs_of
from goconductor.saga.checking.known import NOTHING
from goconductor.saga.data.values import check_value
from goconductor.saga.definition import Definition, Step
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.steps import StepOptions


def step_alone(saga: str, action: Any, /, **options: Unpack[StepOptions]) -> Step:
    """Return a step as it stands in a document.

    Args:
        saga: the name of the saga that it is for.
        action: the action, or ``"participant.step"``.
        options: what :class:`StepOptions` lists; the steps that it names are others of that saga.

    Raises:
        ArgumentError: there is no such option, or something is of a wrong type.
        ValueError: a timeout is no duration.
        DefinitionError: a constant cannot be kept, or the code that is at hand does not take what it is given.
    """
    written = Saga[Any](saga)
    written.step(action, **options)
    [step] = written._written(written._types())  # noqa: SLF001  (of the same room)
    if found := [*_unkept(step)]:
        raise DefinitionError(saga, found)
    found = [*written._unfit(NOTHING)]  # noqa: SLF001
    for undo in written._undone_by.values():  # noqa: SLF001
        found += unfit_undo(Definition(name=saga, steps=(step,)), step, undo)
    if found:
        raise DefinitionError(saga, found)
    return step


def _unkept(step: Step) -> Iterator[str]:
    """Yield what no document can hold."""
    own = [(f"input {name!r} of step {step.id!r}", binding) for name, binding in step.inputs.items()]
    for what, binding in (*own, *inputs_of(step)):
        try:
            check_value(binding.value)
        except PayloadError as error:
            yield f"{what} has a constant that cannot be kept: {error}"
