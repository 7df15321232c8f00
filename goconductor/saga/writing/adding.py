"""Adding steps to a saga that is being written in Python, and to the maps in it: both have the same calls."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, cast, overload

import msgspec

from goconductor.errors import check_type, unfit
from goconductor.saga.checking.validate import unfit_inputs
from goconductor.saga.data.references import Place, Reference, reference_of
from goconductor.saga.definition import Binding, Child, Delay, Wait
from goconductor.saga.definition import Map as MapDefinition
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.definition import Undo as UndoDefinition
from goconductor.saga.retry import seconds as duration
from goconductor.saga.types.references import by_position
from goconductor.saga.writing.code import Code, OwnCode, OwnPlainCode
from goconductor.saga.writing.fields import compensation_of, joinable, placed
from goconductor.saga.writing.options import check_options
from goconductor.saga.writing.steps import SagaOptions, Step, StepOptions, ValueOptions, WaitOptions
from goconductor.saga.writing.undo import Undo

P = ParamSpec("P")
T = TypeVar("T")


class Steps:
    """Steps that are being written: those of a saga, or those of a map."""

    def __init__(self) -> None:
        self._steps: list[StepDefinition | Map] = []
        self._known: dict[int, Code] = {}
        self._undone_by: dict[int, Code] = {}
        self._declared: dict[str, Any] = {}
        self._sagas: list[Named] = []

    def _changed(self) -> None:
        """Forget what was made of the steps so far."""

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
        self._changed()
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
                inputs={name: binding_of(f"inputs[{name!r}]", value) for name, value in options.get("inputs", {}).items()},
                pivot=options.get("pivot", False),
                compensation=compensation_of(known, options),
                undo=_undo(undo),
                retry=options.get("retry") or own.get("retry"),
                compensation_retry=options.get("compensation_retry") or own.get("compensation_retry"),
                timeout_seconds=own.get("timeout_seconds") if timeout is None else duration(timeout),
                total_timeout_seconds=None if total is None else duration(total),
                unknowns_max=options.get("unknowns_max"),
                **placed(options),
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
        self._changed()
        self._steps.append(
            StepDefinition(
                id=id or "delay",
                delay=Delay(
                    seconds=None if seconds is None else duration(seconds),
                    until=None if until is None else str(reference_of(until)),
                ),
                **placed(options),
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
        self._changed()
        self._steps.append(
            StepDefinition(
                id=step_id,
                wait=wait,
                **placed(options),
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
        self._changed()
        self._steps.append(
            StepDefinition(
                id=step_id,
                value=expression,
                inputs={name: binding_of(f"inputs[{name!r}]", each) for name, each in options.get("inputs", {}).items()},
                **placed(options),
            )
        )
        if output is not None:
            self._declared[step_id] = output
        return Step(step_id)

    def saga(self, saga: str | Named, /, *, output: Any = None, **options: Unpack[SagaOptions]) -> Step[Any]:
        """Add a step that starts a saga of its own, and ends with it.

        Args:
            saga: that saga, written in Python, or the name of a registered one.
            output: the type of what it answers, where only a name is given.
            options: what :class:`SagaOptions` lists; the id is the saga's name by default.

        Raises:
            ArgumentError, DefinitionError: there is no such option, something is of a wrong type, or that saga cannot run.
        """
        check_type("saga", saga, (str, Named), "a saga written in Python, or the name of a registered one")
        undo, name = options.get("undo"), saga if isinstance(saga, str) else saga.name
        step_id = options.get("id") or name
        check_options(dict(options) | {"id": step_id}, lambda each: isinstance(each, Step))
        self._changed()
        if not isinstance(saga, str):
            self._sagas.append(saga)
            output = output or saga.result_type
        if output is not None:
            self._declared[step_id] = output
        if undo is not None and undo.code is not None:
            self._undone_by[len(self._steps)] = undo.code
        self._steps.append(
            StepDefinition(
                id=step_id,
                saga=Child(name=name),
                inputs={key: binding_of(f"inputs[{key!r}]", each) for key, each in options.get("inputs", {}).items()},
                undo=_undo(undo),
                compensation_retry=options.get("compensation_retry"),
                **placed(options),
            )
        )
        return Step(step_id)

    def _started(self) -> Iterator[Named]:
        """Yield the sagas, written in Python, that steps start."""
        yield from self._sagas
        yield from (saga for map in self._steps if isinstance(map, Map) for saga in map._started())  # noqa: SLF001

    def later(self, id: str, /) -> Step[Any]:
        """Return a step that is added further down, to be named above it: ``fallback=order.later("invoice")``.

        Args:
            id: the step's id in the saga.

        Raises:
            ArgumentError: it is no text.
        """
        check_type("id", id, str, "the id of a step that is added further down, such as 'invoice'")
        return Step(id)

    def map(
        self,
        over: object,
        /,
        *,
        id: str | None = None,
        after: Sequence[Step[Any]] = (),
        when: str | None = None,
        join: Literal["all", "any"] | int = "all",
    ) -> Map:
        """Add steps for each item of a list: ``lines = order.map(order.input.lines)``, and then ``lines.step(…)``.

        Args:
            over: the place of the list.
            id: the step's id in the saga; by default ``"map"``.
            after: steps that must have ended before.
            when: a CEL condition over ``input`` and ``steps``. If it is false, the step is skipped.
            join: how many items must succeed: ``"all"``, ``"any"`` for one, or a number. The others are undone.

        Raises:
            ArgumentError: something is of a wrong type.
        """
        check_options({"id": id, "after": after, "when": when, "join": join}, lambda each: isinstance(each, Step))
        if not isinstance(over, Place):
            raise unfit("over", over, "the place of a list, such as order.input.lines")
        self._changed()
        made = Map(
            self,
            StepDefinition(
                id=id or "map",
                map=MapDefinition(over=str(reference_of(over)), do=(), join=join),
                **placed({"after": after, "when": when}),
            ),
        )
        self._steps.append(made)
        return made

    def _written(self, types: Mapping[str | None, Any]) -> tuple[StepDefinition, ...]:
        """Return the steps as they stand in the document; the types are by step, that of the saga's input is under None."""
        return tuple(each._filled(types) if isinstance(each, Map) else by_position(each, types) for each in self._steps)  # noqa: SLF001

    def _unfit(self) -> Iterator[str]:
        """Yield what is given to code that is at hand and does not take it."""
        for number, action in self._known.items():
            step = self._steps[number]
            if isinstance(step, StepDefinition):  # pragma: no branch
                yield from unfit_inputs(step, action)
        for each in self._steps:
            if isinstance(each, Map):
                yield from each._unfit()  # noqa: SLF001

    def _outputs(self) -> dict[str | None, Any]:
        """Return the types of the steps' outputs, by their ids, where they are known."""
        types: dict[str | None, Any] = dict(self._declared.items())
        for number, action in self._known.items():
            step = self._steps[number]
            if isinstance(step, StepDefinition):  # pragma: no branch
                types[step.id] = action.returns
        for each in self._steps:  # what stands in for an output has a type of its own
            if isinstance(each, StepDefinition) and each.fallback is not None and each.id in types:
                types[each.id] = types[each.id] | types[each.fallback] if joinable(types, each) else Any
        return types


class Named(Steps, abc.ABC):
    """A whole saga that is being written, which a step of another one can start."""

    name: str

    @property
    @abc.abstractmethod
    def result_type(self) -> Any:
        """The type of what it answers."""


class Map(Steps, Step[list[Any]]):
    """Steps that are done for each item of a list. Its output is a list: of each item what its last step gave."""

    def __init__(self, around: Steps, definition: StepDefinition) -> None:
        Steps.__init__(self)
        Step.__init__(self, definition.id)
        self._around = around
        self._own = definition

    @property
    def item(self) -> Any:
        """The place of the item that a step is for."""
        return Place(Reference.to("item", None))

    @property
    def index(self) -> int:
        """The place of the item's number in the list, from 0."""
        return cast("int", Place(Reference.to("index", None)))

    def _changed(self) -> None:
        self._around._changed()  # noqa: SLF001

    def _filled(self, types: Mapping[str | None, Any]) -> StepDefinition:
        own = by_position(self._own, types)
        assert own.map is not None  # noqa: S101  (it was made with one)
        here = {each.id for each in self._steps}
        inside = {name: kind for name, kind in types.items() if name not in here} | self._outputs()
        return msgspec.structs.replace(own, map=msgspec.structs.replace(own.map, do=self._written(inside)))


def _undo(undo: Undo | Literal["none"] | None) -> UndoDefinition | Literal["none"] | None:
    if not isinstance(undo, Undo):
        return undo
    inputs = {name: binding_of(f"the undo's inputs[{name!r}]", value) for name, value in undo.inputs.items()}
    return UndoDefinition(run=undo.target, inputs=inputs)


def binding_of(what: str, value: object) -> Binding:
    """Return where a value comes from: a place, or a constant."""
    if isinstance(value, Step):
        raise unfit(what, value, "the step's output: reserved.output")
    if isinstance(value, Steps):
        raise unfit(what, value, "the saga's input: order.input")
    return Binding(ref=str(reference_of(value))) if isinstance(value, Place) else Binding(value=value)
