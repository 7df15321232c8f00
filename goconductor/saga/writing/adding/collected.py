"""Steps that are being written, whatever call has added them."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from goconductor.errors import unfit
from goconductor.saga.checking.code import unfit_inputs
from goconductor.saga.checking.known import Known
from goconductor.saga.data.references import Place, reference_of
from goconductor.saga.definition import Binding, Child, Definition
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.definition import Undo as UndoDefinition
from goconductor.saga.types.references import by_position
from goconductor.saga.writing.code import Code
from goconductor.saga.writing.fields import joinable
from goconductor.saga.writing.groups.forms import below
from goconductor.saga.writing.optional import Optional
from goconductor.saga.writing.steps import Step
from goconductor.saga.writing.undo import Undo


class Named(abc.ABC):
    """A whole saga that is being written, which a step of another one can start."""

    name: str

    @property
    @abc.abstractmethod
    def definition(self) -> Definition:
        """The document, checked."""

    @property
    @abc.abstractmethod
    def sagas(self) -> tuple[Named, ...]:
        """The sagas, written in Python, that its steps start and that are registered by themselves."""

    @property
    @abc.abstractmethod
    def result_type(self) -> Any:
        """The type of what it answers."""


class Collected:
    """Steps that are being written side by side, and what is known of their code."""

    def __init__(self, path: str = "") -> None:
        self._path = path
        """The full name of the group or case that holds them; empty where none does."""
        self._steps: list[StepDefinition | Nested] = []
        self._known: dict[int, Code] = {}
        self._undone_by: dict[str, Code] = {}
        self._declared: dict[str, Any] = {}
        self._sagas: list[Named] = []
        self._inside: list[Named] = []

    def _changed(self) -> None:
        """Forget what was made of the steps so far."""

    def _add(
        self,
        step: StepDefinition,
        *,
        code: Code | None = None,
        undo: Undo | str | None = None,
        output: Any = None,
    ) -> Step[Any]:
        """Add a step.

        Args:
            step: as it stands in the document.
            code: that of its action, where it is at hand.
            undo: what undoes it, as it was given.
            output: the type of its output, where only a name is given.
        """
        self._changed()
        name = below(self._path, step.id)
        if output is not None:
            self._declared[name] = output
        if code is not None:
            self._known[len(self._steps)] = code
        if isinstance(undo, Undo) and undo.code is not None:
            self._undone_by[name] = undo.code
        if isinstance(undo, Undo) and isinstance(undo.started, Named):
            self._sagas.append(undo.started)
        self._steps.append(step)
        return Step(name)

    def _written(self, types: Mapping[str | None, Any]) -> tuple[StepDefinition, ...]:
        """Return the steps as they stand in the document; the types are by step, that of the saga's input is under None."""
        return tuple(each._filled(types) if isinstance(each, Nested) else by_position(each, types) for each in self._steps)  # noqa: SLF001

    def _unfit(self, known: Known) -> Iterator[str]:
        """Yield what is given to code that is at hand and does not take it.

        Args:
            known: what is known of the data that the steps see.
        """
        for number, action in self._known.items():
            step = self._steps[number]
            if isinstance(step, StepDefinition):  # pragma: no branch
                yield from unfit_inputs(step, action, known)
        for each in self._steps:
            if isinstance(each, Nested):
                yield from each._unfit(known)  # noqa: SLF001

    def _outputs(self) -> dict[str | None, Any]:
        """Return the types of the steps' outputs, by their ids, where they are known."""
        types: dict[str | None, Any] = dict(self._declared.items())
        for number, action in self._known.items():
            step = self._steps[number]
            if isinstance(step, StepDefinition):  # pragma: no branch
                types[below(self._path, step.id)] = action.returns
        for each in self._steps:
            if isinstance(each, Nested):
                types |= each._shown()  # noqa: SLF001
        for each in self._steps:  # what stands in for an output has a type of its own
            name = below(self._path, each.id)
            if isinstance(each, StepDefinition) and each.fallback is not None and name in types:
                types[name] = types[name] | types[each.fallback] if joinable(types, name, each.fallback) else Any
        return types

    def _undone(self) -> dict[str, Code]:
        """Return the code of declared undos that is at hand, by the full names of the steps."""
        found = dict(self._undone_by)
        for each in self._steps:
            if isinstance(each, Frame):
                found |= each._undone()  # noqa: SLF001
        return found

    def _has_frames(self) -> bool:
        """Return whether a group or a switch is among the steps, or stands in one of them."""
        return any(isinstance(each, Frame) or (isinstance(each, Nested) and each._has_frames()) for each in self._steps)  # noqa: SLF001

    def _started(self) -> Iterator[Named]:
        """Yield the sagas, written in Python, that steps start, and that are registered by themselves."""
        yield from self._sagas
        yield from (each for saga in self._inside for each in saga.sagas)
        yield from (saga for each in self._steps if isinstance(each, Nested) for saga in each._started())  # noqa: SLF001


class Nested(Collected, abc.ABC):
    """A step that holds steps, being written."""

    id: str

    @abc.abstractmethod
    def _filled(self, types: Mapping[str | None, Any]) -> StepDefinition:
        """Return it as it stands in the document; the types are by step, that of the saga's input is under None."""

    def _shown(self) -> dict[str | None, Any]:
        """Return the types of outputs of its steps that others can refer to, by their full names."""
        return {}


class Frame(Nested, abc.ABC):
    """A step that is compiled to those that it holds: a group, or a switch."""


def binding_of(what: str, value: object) -> Binding:
    """Return where a value comes from: a place, or a constant."""
    if isinstance(value, Step):
        raise unfit(what, value, "the step's output: reserved.output")
    if isinstance(value, Collected):
        raise unfit(what, value, "the saga's input: order.input")
    if isinstance(value, Optional):
        return Binding(ref=str(reference_of(value.place)), optional=True)
    return Binding(ref=str(reference_of(value))) if isinstance(value, Place) else Binding(value=value)


def bindings_of(what: str, values: Mapping[str, object]) -> dict[str, Binding]:
    """Return where each value comes from, by its name."""
    return {name: binding_of(f"{what}[{name!r}]", value) for name, value in values.items()}


def undo_of(undo: Undo | Literal["none"] | None) -> UndoDefinition | Literal["none"] | None:
    """Return an undo as it stands in the document."""
    if not isinstance(undo, Undo):
        return undo
    started = undo.started.name if isinstance(undo.started, Named) else undo.started
    saga = None if started is None else Child(name=started)
    return UndoDefinition(run=undo.target, wait=undo.wait, saga=saga, inputs=bindings_of("the undo's inputs", undo.inputs))
