"""The methods of a blocking flow, written by ``tests/doors/test_blocking_interface.py``: change the asynchronous ones."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload
from uuid import UUID

from goconductor.blocking.client import BlockingClient
from goconductor.control.doors.flow import ExecutionOptions, Flow, FlowStepOptions
from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.control.flows.executing import FlowExecution
from goconductor.errors import check_type
from goconductor.saga.writing.builder import Saga


class BlockingFlow:
    """A saga whose steps are added, replaced and taken out at run time, by services that need not know each other.

    ::

        flow = BlockingFlow(client, "order")
        flow.create_step(charge, inputs={"cents": flow.input.cents}, after=["reserve"], before=["ship"])

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
        client: of this process.
        name: the flow's name. There need be none of it yet: its first step makes it.

    Raises:
        ArgumentError: an argument is of a wrong type.
    """

    def __init__(self, client: BlockingClient, name: str) -> None:
        check_type("client", client, BlockingClient, "a client, such as blocking.connect() gives it")
        check_type("name", name, str, "the flow's name, such as 'order'")
        self._ask = client._ask  # noqa: SLF001
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

    def lookup(self, version: str | None = None) -> FlowDetail:
        """Read the flow with its steps.

        Args:
            version: None takes the one that new executions take.
        """
        return self._ask(lambda conductor: Flow(conductor, self.name).lookup(version))

    def lookup_step(self, step: str) -> FlowStepDetail:
        """Read one step of the flow.

        Args:
            step: its id.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return self._ask(lambda conductor: Flow(conductor, self.name).lookup_step(step))

    def create_step(
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
        return self._ask(lambda conductor: Flow(conductor, self.name).create_step(step, made_of=made_of, by=by, **options))

    def replace_step(
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
        return self._ask(lambda conductor: Flow(conductor, self.name).replace_step(step, made_of=made_of, by=by, **options))

    def delete_step(self, step: str, *, made_of: str | None = None, by: str = "") -> FlowDetail:
        """Remove a step. Those that came after it come after the steps before it.

        Args:
            step: its id.
            made_of: the version that the flow must be at.
            by: the name of the actor.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return self._ask(lambda conductor: Flow(conductor, self.name).delete_step(step, made_of=made_of, by=by))

    def change(
        self, *, priority: int | None = None, timeout: float | str | None = None, made_of: str | None = None, by: str = ""
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
        return self._ask(
            lambda conductor: Flow(conductor, self.name).change(priority=priority, timeout=timeout, made_of=made_of, by=by)
        )

    @overload
    def execute(self, input: Any = None, *, sync: Literal[True], by: str = "", **options: Unpack[ExecutionOptions]) -> Any: ...
    @overload
    def execute(
        self, input: Any = None, *, sync: Literal[False] = False, by: str = "", **options: Unpack[ExecutionOptions]
    ) -> UUID: ...
    @overload
    def execute(self, input: Any = None, *, sync: bool, by: str = "", **options: Unpack[ExecutionOptions]) -> Any: ...
    def execute(self, input: Any = None, *, sync: bool = False, by: str = "", **options: Unpack[ExecutionOptions]) -> Any:
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
        return self._ask(lambda conductor: Flow(conductor, self.name).execute(input, sync=sync, by=by, **options))

    def status(self, execution: UUID | str) -> FlowExecution:
        """Read how an execution and its steps are doing.

        Args:
            execution: its id.

        Raises:
            ArgumentError: this is no id.
            SagaNotFoundError: this flow has no such execution.
        """
        return self._ask(lambda conductor: Flow(conductor, self.name).status(execution))

    def result(self, execution: UUID | str, step: str | None = None, *, wait_seconds: float = 60.0) -> Any:
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
        return self._ask(lambda conductor: Flow(conductor, self.name).result(execution, step, wait_seconds=wait_seconds))

    def pause(self, execution: UUID | str, *, reason: str = "", by: str = "") -> FlowExecution:
        """Begin nothing new; what runs goes on, and its outcome is recorded.

        Args:
            execution: its id.
            reason: why, for its history.
            by: the name of the actor.

        Raises:
            RefusedNowError: its state does not allow this; names what it allows.
            SagaNotFoundError: this flow has no such execution.
        """
        return self._ask(lambda conductor: Flow(conductor, self.name).pause(execution, reason=reason, by=by))

    def resume(self, execution: UUID | str, *, by: str = "") -> FlowExecution:
        """End a pause. Arguments and errors as of :meth:`pause`."""
        return self._ask(lambda conductor: Flow(conductor, self.name).resume(execution, by=by))

    def abort(self, execution: UUID | str, *, reason: str = "", by: str = "") -> FlowExecution:
        """Compensate what was done. It is refused once the pivot was sent. Arguments and errors as of :meth:`pause`."""
        return self._ask(lambda conductor: Flow(conductor, self.name).abort(execution, reason=reason, by=by))

    def stop(
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
        return self._ask(
            lambda conductor: Flow(conductor, self.name).stop(
                execution, reason=reason, forced=forced, wait_seconds=wait_seconds, by=by
            )
        )
