"""A flow, as a program holds it: its steps, changed at run time, and its executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, Literal, TypedDict, Unpack, overload
from uuid import UUID

import msgspec

from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.doors.arguments import checked
from goconductor.control.doors.conductor import Conductor, engine
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.flows import editing, executing
from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.control.flows.edits import OwnFields
from goconductor.control.flows.executing import FlowExecution
from goconductor.control.flows.options import Options
from goconductor.errors import ArgumentError, check_seconds, check_type, nearest
from goconductor.lifecycle.facts.events import AbortRequested, OperatorRequest, PauseRequested, ResumeRequested
from goconductor.saga.ids import saga_id_of
from goconductor.saga.retry import Retry
from goconductor.saga.retry import seconds as duration
from goconductor.saga.writing.alone import step_alone
from goconductor.saga.writing.builder import Saga
from goconductor.saga.writing.steps import PolicyOptions, Step, StepOptions
from goconductor.saga.writing.undo import Undo


class FlowStepOptions(PolicyOptions, total=False):
    """The options of a step of a flow. Other steps are named by their ids."""

    after: Sequence[str]
    """Steps that must have ended before, beside those that ``inputs`` refer to."""
    before: Sequence[str]
    """Steps that come after it from now on."""
    fallback: str | None
    """The step that runs where this one fails for good. Its output then stands for this one's."""
    undo: Undo | Literal["none"] | None
    """What undoes the step in place of its owner's compensation; ``"none"`` says that nothing needs to."""


class ExecutionOptions(TypedDict, total=False):
    """The options of one execution of a flow."""

    timeout: float | str | None
    """Seconds, or a string such as ``"10m"``: after that it compensates, unless its pivot was sent. None: the flow's."""
    retry: Retry | None
    """Attempts of the steps of which the flow says nothing else, in place of what their services say."""
    concurrency: int | None
    """How many of its steps run at once at most."""
    from_step: str | None
    """The step to start at. Those before it are skipped, and their outputs are null."""
    key: str | None
    """The same key and input again find the same execution; up to 255 printable ASCII characters."""
    labels: Mapping[str, str] | None
    """Up to 20 words to find it by."""
    version: str | None
    """Of the flow. None takes the newest."""
    priority: int
    """Of its steps where they wait for room in a process, from -100 to 100; 0 takes the flow's."""
    wait_seconds: float
    """Seconds that a synchronous execution is waited for; 60 by default."""


_EXECUTION: dict[str, tuple[tuple[type, ...], str]] = {
    "timeout": ((int, float, str, NoneType), "seconds, or a text such as '10m'"),
    "retry": ((Retry, NoneType), "Retry(attempts_max=…)"),
    "concurrency": ((int, NoneType), "a whole number"),
    "from_step": ((str, NoneType), "the id of a step"),
    "key": ((str, NoneType), "a text"),
    "labels": ((Mapping, NoneType), "a dict, such as {'customer': '17'}"),
    "version": ((str, NoneType), "a version of the flow, as lookup() shows it"),
    "priority": ((int,), "a whole number"),
    "wait_seconds": ((int, float), "seconds as a number"),
}


class Flow:
    """A saga whose steps are added, replaced and taken out at run time, by services that need not know each other.

    ::

        flow = Flow(conductor, "order")
        await flow.create_step(charge, inputs={"cents": flow.input.cents}, after=["reserve"], before=["ship"])

    Each edit is a new version of the definition, checked like any; executions that are on their way keep theirs. It is made of
    the newest version, whoever else edits the flow at the same time. With ``made_of`` it is made of that version or not at all.
    Each returns the flow as it is then, and raises:

    - ``ArgumentError``: an argument is of a wrong type.
    - ``DefinitionError``: the flow could not run so; has all problems.
    - ``FlowChangedError``: it is not at ``made_of`` any more; has what differs.
    - ``DefinitionNotFoundError``: there is no such flow, or no such version of it.
    - ``RequestRefusedError``: the flow is in the code of a living instance, or pinned; or an instance does not know what it uses.
    - ``StoreUnavailableError``: the database cannot be reached. The edit may have been accepted; it can be repeated.

    Args:
        conductor: of this process.
        name: the flow's name. There need be none of it yet: its first step makes it.

    Raises:
        ArgumentError: an argument is of a wrong type.
    """

    def __init__(self, conductor: Conductor, name: str) -> None:
        check_type("conductor", conductor, Conductor, "a conductor, such as connect() gives it")
        check_type("name", name, str, "the flow's name, such as 'order'")
        self._node = engine(conductor)
        self.name = name
        self._places = Saga[Any](name)

    @property
    def input(self) -> Any:
        """The place of the input of an execution: ``flow.input.sku``."""
        return self._places.input

    def output(self, step: str) -> Any:
        """Return the place of a step's output, whoever has added it: ``flow.output("charge").receipt``.

        Args:
            step: its id.

        Raises:
            ArgumentError: it is no text.
        """
        return self._places.later(step).output

    @checked
    async def lookup(self, version: str | None = None) -> FlowDetail:
        """Read the flow with its steps.

        Args:
            version: None takes the one that new executions take.
        """
        return await editing.lookup(ANYBODY, self._node, self.name, version)

    @checked
    async def lookup_step(self, step: str) -> FlowStepDetail:
        """Read one step of the flow.

        Args:
            step: its id.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return await editing.lookup_step(ANYBODY, self._node, self.name, step)

    async def create_step(
        self, step: Any, /, *, made_of: str | None = None, by: str = "", **options: Unpack[FlowStepOptions]
    ) -> FlowDetail:
        """Add a step. Added again the same, it changes nothing, so a service may do it whenever it starts.

        Args:
            step: the action, or ``"participant.step"``; or a step of any kind as a document, which then has all its options.
            made_of: the version that the flow must be at.
            by: the name of the actor.
            options: what :class:`FlowStepOptions` lists.

        Raises:
            StepExistsError: the flow has another step of this id.
        """
        document = self._document(step, made_of, options)
        return await editing.create_step(Actor(by), self._node, self.name, document, made_of=made_of)

    async def replace_step(
        self, step: Any, /, *, made_of: str | None = None, by: str = "", **options: Unpack[FlowStepOptions]
    ) -> FlowDetail:
        """Put a step in the place of the one of its id. Without ``after`` it has the same steps before it.

        Args:
            step: as of :meth:`create_step`.
            made_of: the version that the flow must be at.
            by: the name of the actor.
            options: what :class:`FlowStepOptions` lists.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        document = self._document(step, made_of, options)
        return await editing.replace_step(Actor(by), self._node, self.name, document, made_of=made_of)

    @checked
    async def delete_step(self, step: str, *, made_of: str | None = None, by: str = "") -> FlowDetail:
        """Remove a step. Those that came after it come after the steps before it.

        Args:
            step: its id.
            made_of: the version that the flow must be at.
            by: the name of the actor.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return await editing.delete_step(Actor(by), self._node, self.name, step, made_of=made_of)

    @checked
    async def change(
        self,
        *,
        priority: int | None = None,
        timeout: float | str | None = None,  # noqa: ASYNC109  (an execution's)
        made_of: str | None = None,
        by: str = "",
    ) -> FlowDetail:
        """Change what the flow itself has, for its next executions.

        Args:
            priority: of their steps where they wait for room in a process, from -100 to 100, greater ones first. None leaves it.
            timeout: seconds, or a string such as ``"10m"``: after that an execution compensates, unless its pivot was sent.
                0 removes the limit; None leaves it.
            made_of: the version that the flow must be at.
            by: the name of the actor.

        Raises:
            ValueError: the timeout is no duration.
        """
        fields = OwnFields(
            priority=msgspec.UNSET if priority is None else priority,
            timeout_seconds=msgspec.UNSET if timeout is None else duration(timeout) if timeout else None,
        )
        return await editing.change_flow(Actor(by), self._node, self.name, fields, made_of=made_of)

    @overload
    async def execute(
        self, input: Any = None, *, sync: Literal[True], by: str = "", **options: Unpack[ExecutionOptions]
    ) -> Any: ...
    @overload
    async def execute(
        self, input: Any = None, *, sync: Literal[False] = False, by: str = "", **options: Unpack[ExecutionOptions]
    ) -> UUID: ...
    @overload
    async def execute(self, input: Any = None, *, sync: bool, by: str = "", **options: Unpack[ExecutionOptions]) -> Any: ...
    async def execute(self, input: Any = None, *, sync: bool = False, by: str = "", **options: Unpack[ExecutionOptions]) -> Any:
        """Execute the flow as it is now. What is edited later changes other executions.

        Args:
            input: JSON values.
            sync: True waits for the end and returns the result; False returns the id at once.
            by: the name of the actor.
            options: what :class:`ExecutionOptions` lists.

        Raises:
            DefinitionNotFoundError: there is no such flow, or no such version.
            DefinitionError: it cannot be executed so; has all reasons.
            ArgumentError: there is no such option, or something is of a wrong type.
            ValueError: the timeout is no duration.
            PayloadError, SagaAlreadyStartedError, RequestInvalidError, StoreUnavailableError: as of :meth:`Conductor.start`.
            CompensatedError, StuckError, TerminatedError, TimeoutError: with ``sync``, as of :meth:`result`.
        """
        check_type("sync", sync, bool, "True or False")
        for name, value in options.items():
            if name not in _EXECUTION:
                raise ArgumentError(f"an execution has no option {name!r}; {nearest(name, _EXECUTION)}")
            check_type(name, value, *_EXECUTION[name])
        check_seconds("wait_seconds", options.get("wait_seconds", 60.0))
        timeout = options.get("timeout")
        started = await executing.execute(
            Actor(by),
            self._node,
            self.name,
            input,
            Options(
                timeout_seconds=None if timeout is None else duration(timeout),
                retry=options.get("retry"),
                concurrency=options.get("concurrency"),
                from_step=options.get("from_step"),
            ),
            key=options.get("key"),
            labels=options.get("labels"),
            version=options.get("version"),
            priority=options.get("priority", 0),
        )
        if not sync:
            return started.saga_id
        return await self._handle(started.saga_id).result(timeout_seconds=options.get("wait_seconds", 60.0))

    async def status(self, execution: UUID | str) -> FlowExecution:
        """Read how an execution and its steps are doing.

        Args:
            execution: its id.

        Raises:
            ArgumentError: this is no id.
            SagaNotFoundError: this flow has no such execution.
        """
        return await executing.execution(ANYBODY, self._node, self.name, saga_id_of(execution))

    async def result(self, execution: UUID | str, step: str | None = None, *, wait_seconds: float = 60.0) -> Any:
        """Return the result of an execution, and wait for it; or the output of one step, as far as it is there.

        Args:
            execution: its id.
            step: the id of a step.
            wait_seconds: seconds to wait for the execution's end.

        Raises:
            CompensatedError: it failed, or was aborted, and was compensated.
            StuckError: it waits for an operator.
            TerminatedError: it was stopped.
            TimeoutError: it has not ended by then; names what it waits for.
            StepNotFoundError: it has no such step.
            RequestRefusedError: the step has no output; says why.
            SagaNotFoundError: this flow has no such execution.
        """
        check_type("step", step, (str, NoneType), "the id of a step")
        check_seconds("wait_seconds", wait_seconds)
        saga_id = saga_id_of(execution)
        if step is not None:
            return await executing.step_result(ANYBODY, self._node, self.name, saga_id, step)
        await executing.checked(ANYBODY, self._node, self.name, saga_id)
        return await self._handle(saga_id).result(timeout_seconds=wait_seconds)

    @checked
    async def pause(self, execution: UUID | str, *, reason: str = "", by: str = "") -> FlowExecution:
        """Begin nothing new; what runs goes on, and its outcome is recorded.

        Args:
            execution: its id.
            reason: why, for its history.
            by: the name of the actor.

        Raises:
            RefusedNowError: its state does not allow this; names what it allows.
            SagaNotFoundError: this flow has no such execution.
        """
        return await self._ask(execution, PauseRequested(reason=reason), by)

    @checked
    async def resume(self, execution: UUID | str, *, by: str = "") -> FlowExecution:
        """End a pause. Arguments and errors as of :meth:`pause`."""
        return await self._ask(execution, ResumeRequested(), by)

    @checked
    async def abort(self, execution: UUID | str, *, reason: str = "", by: str = "") -> FlowExecution:
        """Compensate what was done. It is refused once the pivot was sent. Arguments and errors as of :meth:`pause`."""
        return await self._ask(execution, AbortRequested(reason=reason), by)

    @checked
    async def stop(
        self, execution: UUID | str, *, reason: str, forced: bool = False, wait_seconds: float = 60.0, by: str = ""
    ) -> FlowExecution:
        """Begin nothing new, wait for what runs, and end it as it is: nothing is compensated.

        Args:
            execution: its id.
            reason: why, for its history.
            forced: do not wait for the journals of services that may be gone; a late effect is then possible.
            wait_seconds: seconds to wait for what runs, and for the end.
            by: the name of the actor.

        Raises:
            TimeoutError: it has not ended by then; names what it waits for. While something runs on it is paused.
            RefusedNowError: its state does not allow this; names what it allows.
            SagaNotFoundError: this flow has no such execution.
        """
        return await executing.stop(
            Actor(by), self._node, self.name, saga_id_of(execution), reason, forced=forced, within_seconds=wait_seconds
        )

    async def _ask(self, execution: UUID | str, request: OperatorRequest, by: str) -> FlowExecution:
        return await executing.request(Actor(by), self._node, self.name, saga_id_of(execution), request)

    def _handle(self, saga_id: UUID) -> SagaHandle[Any]:
        return SagaHandle(self._node, saga_id)

    def _document(self, step: Any, made_of: str | None, options: FlowStepOptions) -> dict[str, Any]:
        check_type("made_of", made_of, (str, NoneType), "a version of the flow, as lookup() shows it")
        if isinstance(step, Mapping):
            if options:
                raise ArgumentError(f"a document has its options itself; put {', '.join(sorted(options))} into it")
            return dict(step)
        given: dict[str, Any] = {**options}
        before = _names("before", given.pop("before", ()))
        if "after" in given:
            given["after"] = [Step[Any](name) for name in _names("after", given["after"])]
        if given.get("fallback") is not None:
            check_type("fallback", given["fallback"], str, "the id of a step")
            given["fallback"] = Step[Any](given["fallback"])
        if unknown := sorted(given.keys() - StepOptions.__optional_keys__):
            raise ArgumentError(f"a step has no option {unknown[0]!r}; {nearest(unknown[0], FlowStepOptions.__optional_keys__)}")
        written: dict[str, Any] = msgspec.to_builtins(step_alone(self.name, step, **given))
        if "after" in given:
            written["after"] = [each.id for each in given["after"]]
        return written | {"before": before}


def _names(option: str, given: object) -> list[str]:
    check_type(option, given, Sequence, "a list of the ids of steps")
    if isinstance(given, str):
        raise ArgumentError(f"{option} is a text; give a list of the ids of steps: [{given!r}]")
    assert isinstance(given, Sequence)  # noqa: S101  (asked above)
    for name in given:
        check_type(option, name, str, "the id of a step, such as 'charge'")
    return list(given)
