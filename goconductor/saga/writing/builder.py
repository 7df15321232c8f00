"""Sagas written in Python: a way to write the same document.

::

    order = Saga("order-processing", input=Order)
    stock = order.step("inventory.reserve", inputs={"sku": order.input.sku})
    paid = order.step(charge, inputs={"order_id": order.input.id})
    order.step("shipping.ship", inputs={"receipt": paid.output}, after=[stock, paid], pivot=True)

Where the code of a step is at hand, the action itself is given, and its policies go into the definition; someone else's step is
given by name. ``saga.input`` and ``step.output`` are places: what is read from them is a reference, not a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Generic, Literal, ParamSpec, TypeVar, Unpack, cast, overload

import msgspec
from typing_extensions import TypeVar as DefaultedTypeVar

from goconductor.errors import DefinitionError, check_type, unfit
from goconductor.saga.checking.places import misplaced
from goconductor.saga.checking.validate import problems, unfit_inputs, unfit_undo
from goconductor.saga.data.references import Place, Reference, reference_of
from goconductor.saga.definition import Binding, Definition, Delay, Wait
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.definition import Undo as UndoDefinition
from goconductor.saga.retry import seconds as duration
from goconductor.saga.types.annotations import cannot_come
from goconductor.saga.types.positions import binding_by_position, by_position
from goconductor.saga.writing.code import Code, OwnCode, OwnPlainCode
from goconductor.saga.writing.described import misshapen, result_type, schema_of
from goconductor.saga.writing.options import check_options
from goconductor.saga.writing.steps import Step, StepOptions, ValueOptions, WaitOptions
from goconductor.saga.writing.undo import Undo

P = ParamSpec("P")
I = DefaultedTypeVar("I", default=Any)  # noqa: E741  (a saga that names no type of its input takes any)
O = DefaultedTypeVar("O", default=Any)  # noqa: E741  (the type of a saga's result is not known until `returns`)
T = TypeVar("T")


class Saga(Generic[I, O]):
    """A saga's definition, being written.

    Args:
        name: the saga's name.
        input: the type of its input; its JSON Schema goes into the definition.
        input_schema: the same as a schema, where there is no type.
        timeout: seconds, or a string such as ``"10m"``: after that the saga compensates, unless its pivot was sent.

    Raises:
        ArgumentError: something is of a wrong type.
        ValueError: the timeout is no duration.
    """

    def __init__(
        self,
        name: str,
        *,
        input: type[I] | None = None,
        input_schema: dict[str, Any] | None = None,
        timeout: float | str | None = None,
    ) -> None:
        check_type("name", name, str, "the saga's name, such as 'order'")
        check_type("input_schema", input_schema, (dict, NoneType), "a JSON Schema as a dict")
        if isinstance(input, _VALUES) or (not isinstance(input, type) and dataclasses.is_dataclass(input)):
            raise unfit("input", input, "a type, such as a dataclass")
        self.name = name
        self.input_type = input
        self._input_schema = input_schema
        self._timeout_seconds = None if timeout is None else duration(timeout)
        self._steps: list[StepDefinition] = []
        self._known: dict[int, Code] = {}
        self._undone_by: dict[int, Code] = {}
        self._declared: dict[str, Any] = {}
        self._output: Binding | None = None
        self._definition: Definition | None = None
        self._result_type: Any = Any

    @property
    def input(self) -> I:
        """The place of the saga's input."""
        return cast("I", Place(Reference.to("input", None)))

    @overload
    def step(self, action: OwnCode[P, T], /, **options: Unpack[StepOptions]) -> Step[T]: ...
    @overload
    def step(self, action: OwnPlainCode[P, T], /, **options: Unpack[StepOptions]) -> Step[T]: ...
    @overload
    def step(self, action: str, /, *, output: type[T], **options: Unpack[StepOptions]) -> Step[T]: ...
    @overload
    def step(self, action: str, /, **options: Unpack[StepOptions]) -> Step[Any]: ...
    def step(self, action: Any, /, *, output: Any = None, **options: Unpack[StepOptions]) -> Any:
        """Add a step.

        Args:
            action: the action, or ``"participant.step"``.
            output: the type of the output, where only a name is given.
            options: what :class:`StepOptions` lists.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the timeout is no duration.
        """
        check_options(options, lambda each: isinstance(each, Step))
        if not isinstance(action, str) and (isinstance(action, type | Place) or not hasattr(action, "compensation_function")):
            raise unfit("action", action, "a function that is declared by @participant.step, or 'participant.step' as a text")
        known: Any = None if isinstance(action, str) else action
        if known is not None and options.get("compensation") is not None:
            raise unfit("compensation", options["compensation"], "nothing: the code that is given says whether it has one")
        target = action if known is None else known.target
        own: dict[str, Any] = {}
        if known is not None:
            own = {name: getattr(known, name) for name in ("retry", "compensation_retry", "timeout_seconds")}
        step_id = options.get("id") or target.rpartition(".")[2]
        timeout, total = options.get("timeout"), options.get("total_timeout")
        self._definition = None
        if output is not None:
            self._declared[step_id] = output
        if known is not None:
            self._known[len(self._steps)] = known
        undo = options.get("undo")
        if isinstance(undo, Undo) and undo.code is not None:
            self._undone_by[len(self._steps)] = undo.code
        self._steps.append(
            StepDefinition(
                id=step_id,
                run=target,
                after=tuple(step.id for step in options.get("after", ())),
                inputs={name: _binding(f"inputs[{name!r}]", value) for name, value in options.get("inputs", {}).items()},
                when=options.get("when"),
                pivot=options.get("pivot", False),
                compensation=_compensation(known, options),
                undo=_undo(undo),
                retry=options.get("retry") or own.get("retry"),
                compensation_retry=options.get("compensation_retry") or own.get("compensation_retry"),
                timeout_seconds=own.get("timeout_seconds") if timeout is None else duration(timeout),
                total_timeout_seconds=None if total is None else duration(total),
                unknowns_max=options.get("unknowns_max"),
                allow_fail=options.get("allow_fail", False),
                fallback=None if (fallback := options.get("fallback")) is None else fallback.id,
            )
        )
        return Step(step_id)

    def delay(
        self,
        seconds: float | str | None = None,
        /,
        *,
        until: object = None,
        id: str | None = None,
        after: Sequence[Step[Any]] = (),
        when: str | None = None,
        allow_fail: bool = False,
        fallback: Step[Any] | None = None,
    ) -> Step[None]:
        """Add a step that lets time pass. Nobody runs it, and there is nothing to undo.

        Args:
            seconds: how long from when its turn has come: seconds, or a string such as ``"10m"``.
            until: in place of that, the place of a time in the saga's data (``order.input.ship_at``): a text as RFC 3339 writes
                it, or seconds since 1970. A time in the past ends the step at once.
            id: the step's id in the saga; by default ``"delay"``.
            after: steps that must have ended before.
            when: a CEL condition over ``input`` and ``steps``. If it is false, the step is skipped.
            allow_fail: the saga goes on where there is no time at ``until``.
            fallback: the step that runs in that case.

        Raises:
            ArgumentError: something is of a wrong type, or not one of ``seconds`` and ``until`` is given.
            ValueError: ``seconds`` is no duration.
        """
        options = {"id": id, "after": after, "when": when, "allow_fail": allow_fail, "fallback": fallback}
        check_options(options, lambda each: isinstance(each, Step))
        if (seconds is None) == (until is None) or not isinstance(until, Place | NoneType):
            raise unfit("until", until, "a place, such as order.input.ship_at; or give seconds in its stead: saga.delay('10m')")
        self._definition = None
        self._steps.append(
            StepDefinition(
                id=id or "delay",
                delay=Delay(
                    seconds=None if seconds is None else duration(seconds),
                    until=None if until is None else str(reference_of(until)),
                ),
                after=tuple(step.id for step in after),
                when=when,
                allow_fail=allow_fail,
                fallback=None if fallback is None else fallback.id,
            )
        )
        return Step(id or "delay")

    @overload
    def wait(self, event: str, /, *, output: type[T], **options: Unpack[WaitOptions]) -> Step[T]: ...
    @overload
    def wait(self, event: str, /, **options: Unpack[WaitOptions]) -> Step[Any]: ...
    def wait(self, event: str, /, *, output: Any = None, **options: Unpack[WaitOptions]) -> Step[Any]:
        """Add a step that waits for a signal. Its output is the signal's payload.

        Args:
            event: the name of the signal, as :meth:`SagaHandle.signal` gives it. By default it is the step's id.
            output: the type of the payload.
            options: what :class:`WaitOptions` lists.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the timeout is no duration.
        """
        check_type("event", event, str, "the name of a signal, such as 'payment'")
        step = self._waits(Wait(event=event), options.get("id") or event, options)
        if output is not None:
            self._declared[step.id] = output
        return step

    def approval(self, question: str, /, **options: Unpack[WaitOptions]) -> Step[dict[str, str]]:
        """Add a step that waits for a person who approves. Its output has who did (``by``), and why (``reason``).

        Args:
            question: what the person is asked. The approval names the step's id, which is ``"approval"`` by default.
            options: what :class:`WaitOptions` lists; in ``where``, ``payload.by`` and ``payload.reason`` are the approval's.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the timeout is no duration.
        """
        check_type("question", question, str, "the question that a person answers, such as 'Release the money?'")
        return self._waits(Wait(approval=question), options.get("id") or "approval", options)

    def _waits(self, wait: Wait, step_id: str, options: WaitOptions) -> Step[Any]:
        check_options(dict(options) | {"id": step_id}, lambda each: isinstance(each, Step))
        timeout = options.get("timeout")
        wait = msgspec.structs.replace(
            wait, where=options.get("where"), timeout_seconds=None if timeout is None else duration(timeout)
        )
        self._definition = None
        self._steps.append(
            StepDefinition(
                id=step_id,
                wait=wait,
                after=tuple(step.id for step in options.get("after", ())),
                when=options.get("when"),
                allow_fail=options.get("allow_fail", False),
                fallback=None if (fallback := options.get("fallback")) is None else fallback.id,
            )
        )
        return Step(step_id)

    @overload
    def value(self, expression: str, /, *, output: type[T], **options: Unpack[ValueOptions]) -> Step[T]: ...
    @overload
    def value(self, expression: str, /, **options: Unpack[ValueOptions]) -> Step[Any]: ...
    def value(self, expression: str, /, *, output: Any = None, **options: Unpack[ValueOptions]) -> Step[Any]:
        """Add a step that works something out of the saga's data. Nobody runs it, and there is nothing to undo.

        Args:
            expression: CEL over ``inputs``, and over ``input`` and ``steps``; steps that it names come before it by ``after``.
            output: the type of what it gives.
            options: what :class:`ValueOptions` lists; the id is ``"value"`` by default.

        Raises:
            ArgumentError: there is no such option, or something is of a wrong type.
        """
        check_type("expression", expression, str, "a CEL expression as a text, such as 'input.price * input.pieces'")
        step_id = options.get("id") or "value"
        check_options(dict(options) | {"id": step_id}, lambda each: isinstance(each, Step))
        self._definition = None
        self._steps.append(
            StepDefinition(
                id=step_id,
                value=expression,
                inputs={name: _binding(f"inputs[{name!r}]", each) for name, each in options.get("inputs", {}).items()},
                after=tuple(step.id for step in options.get("after", ())),
                when=options.get("when"),
                allow_fail=options.get("allow_fail", False),
                fallback=None if (fallback := options.get("fallback")) is None else fallback.id,
            )
        )
        if output is not None:
            self._declared[step_id] = output
        return Step(step_id)

    def later(self, id: str, /) -> Step[Any]:
        """Return a step that is added further down, to be named above it: ``fallback=order.later("invoice")``.

        Args:
            id: the step's id in the saga.

        Raises:
            ArgumentError: it is no text.
        """
        check_type("id", id, str, "the id of a step that is added further down, such as 'invoice'")
        return Step(id)

    def returns(self, place: T) -> Saga[I, T]:
        """Declare the result of a completed saga: a place, or a constant. Without it, the outputs of all steps by their ids.

        Args:
            place: the value that ``result()`` returns, of the type declared there: ``paid.output``.

        Returns:
            This saga; type checkers then know the type of its result.
        """
        self._definition = None
        self._output = _binding("place", place)
        return cast("Saga[I, T]", self)

    @property
    def definition(self) -> Definition:
        """The document, checked.

        Raises:
            DefinitionError: it cannot run; with all problems.
        """
        if self._definition is None:
            types = self._types()
            definition = Definition(
                name=self.name,
                steps=tuple(by_position(step, types) for step in self._steps),
                output=None if self._output is None else binding_by_position(self._output, types),
                timeout_seconds=self._timeout_seconds,
                input_schema=self._input_schema if self._input_schema is not None else schema_of(self.name, self.input_type),
            )
            found = misshapen(definition) or problems(definition)
            if (why := cannot_come(self.input_type)) is not None:
                found.append(f"its input cannot be kept: {why}")
            found += misplaced(definition, types)
            for number, action in self._known.items():
                found += unfit_inputs(self._steps[number], action)
            for number, action in self._undone_by.items():
                found += unfit_undo(definition, definition.steps[number], action)
            if found:
                raise DefinitionError(self.name, found)
            self._definition, self._result_type = definition, result_type(definition, types)
        return self._definition

    @property
    def result_type(self) -> Any:
        """The type of what a completed saga answers; Any where the code declares none. A step that was skipped answers None.

        Raises:
            DefinitionError: as :attr:`definition`.
        """
        if self._definition is None:
            _ = self.definition  # which finds the type as well
        return self._result_type

    def _types(self) -> dict[str | None, Any]:
        """Return the type of each step's output by its id, and the type of the input under None."""
        types: dict[str | None, Any] = {None: self.input_type}
        types.update(self._declared.items())
        types.update((self._steps[number].id, action.returns) for number, action in self._known.items())
        for step in self._steps:  # what stands in for an output has a type of its own
            if step.fallback is not None and step.id in types:
                types[step.id] = types[step.id] | types[step.fallback] if _joinable(types, step) else Any
        return types


def _compensation(known: Code | None, options: StepOptions) -> bool | None:
    """Return whether a step has a compensation; None where an undo stands in its place, or only the owner knows."""
    if known is None or options.get("undo") is not None:
        return options.get("compensation")
    return known.compensation_function is not None


def _undo(undo: Undo | Literal["none"] | None) -> UndoDefinition | Literal["none"] | None:
    if not isinstance(undo, Undo):
        return undo
    inputs = {name: _binding(f"the undo's inputs[{name!r}]", value) for name, value in undo.inputs.items()}
    return UndoDefinition(run=undo.target, inputs=inputs)


def _joinable(types: Mapping[str | None, Any], step: StepDefinition) -> bool:
    """Return whether the types of a step and of its fallback are known and can stand side by side."""
    return all(isinstance(types.get(each), type | UnionType | NoneType) for each in (step.id, step.fallback))


_VALUES = (str, int, float, bytes, dict, list, tuple, set, frozenset, msgspec.Struct)
"""Types of values, as opposed to annotations."""


def _binding(what: str, value: object) -> Binding:
    if isinstance(value, Step):
        raise unfit(what, value, "the step's output: reserved.output")
    if isinstance(value, Saga):
        raise unfit(what, value, "the saga's input: order.input")
    return Binding(ref=str(reference_of(value))) if isinstance(value, Place) else Binding(value=value)
