"""Adding steps that run code, and steps that start a saga of their own."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar, Unpack, overload

from goconductor.errors import check_type, unfit
from goconductor.saga.data.references import Place
from goconductor.saga.definition import Child, child_of
from goconductor.saga.definition import Step as StepDefinition
from goconductor.saga.retry import seconds as duration
from goconductor.saga.writing.adding.collected import Collected, Named, bindings_of, undo_of
from goconductor.saga.writing.code import OwnCode, OwnPlainCode
from goconductor.saga.writing.fields import compensation_of, placed
from goconductor.saga.writing.options import check_options
from goconductor.saga.writing.steps import SagaOptions, Step, StepOptions

P = ParamSpec("P")
T = TypeVar("T")


class Calls(Collected):
    """The calls that add such steps."""

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
        undo = options.get("undo")
        return self._add(
            StepDefinition(
                id=step_id,
                run=target,
                inputs=bindings_of("inputs", options.get("inputs", {})),
                pivot=options.get("pivot", False),
                compensation=compensation_of(known, options),
                undo=undo_of(undo),
                retry=options.get("retry") or own.get("retry"),
                compensation_retry=options.get("compensation_retry") or own.get("compensation_retry"),
                timeout_seconds=own.get("timeout_seconds") if timeout is None else duration(timeout),
                total_timeout_seconds=None if total is None else duration(total),
                unknowns_max=options.get("unknowns_max"),
                **placed(options),
            ),
            code=known,
            undo=undo,
            output=output,
        )

    def saga(
        self, saga: str | Named, /, *, inside: bool = False, output: Any = None, **options: Unpack[SagaOptions]
    ) -> Step[Any]:
        """Add a step that starts a saga of its own, and ends with it.

        Args:
            saga: that saga, written in Python, or the name of a registered one.
            inside: whether it is written inside this one, as it is now: then it is a part of this definition, and its name gives
                the step's id only. Otherwise it is registered by itself, under its name.
            output: the type of what it answers, where only a name is given.
            options: what :class:`SagaOptions` lists; the id is the saga's name by default.

        Raises:
            ArgumentError, DefinitionError: there is no such option, something is of a wrong type, or that saga cannot run.
        """
        check_type("saga", saga, (str, Named), "a saga written in Python, or the name of a registered one")
        check_type("inside", inside, bool, "True or False")
        if inside and isinstance(saga, str):
            raise unfit("inside", inside, "False: only the name of the saga is given, so there is nothing to take in")
        undo, name = options.get("undo"), saga if isinstance(saga, str) else saga.name
        step_id = options.get("id") or name
        check_options(dict(options) | {"id": step_id}, lambda each: isinstance(each, Step))
        child = Child(name=name)
        if not isinstance(saga, str):
            output = output or saga.result_type
            if inside:
                child = child_of(saga.definition)
                self._inside.append(saga)
            else:
                self._sagas.append(saga)
            if inside and saga.definition.locks:
                raise unfit("saga", saga.name, "one without locks of its own: give them to this saga, or to the step")
        return self._add(
            StepDefinition(
                id=step_id,
                saga=child,
                inputs=bindings_of("inputs", options.get("inputs", {})),
                undo=undo_of(undo),
                compensation_retry=options.get("compensation_retry"),
                **placed(options),
            ),
            undo=undo,
            output=output,
        )
