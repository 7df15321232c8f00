"""A flow over gRPC, for programs that reach neither the database nor the bus: its steps, and its executions."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.control.flows.executing import FlowExecution
from goconductor.control.flows.statuses import OVER, FlowStatus
from goconductor.errors import check_type
from goconductor.grpc.answers import document
from goconductor.grpc.client import Client
from goconductor.grpc.documents import value_of
from goconductor.grpc.v1.values_pb2 import Value
from goconductor.saga.data import values
from goconductor.saga.retry import Retry
from goconductor.saga.retry import seconds as duration

_WAIT_SECONDS = 60.0
"""How long one call waits for an end; proxies between may cut longer ones."""


class Flow:
    """A saga whose steps are added, replaced and taken out at run time, edited and executed through a server.

    ::

        flow = Flow(client, "order")
        await flow.create_step({"id": "charge", "run": "bank.charge", "after": ["reserve"], "before": ["ship"]})

    Its errors are those of :class:`goconductor.Flow`. An edit whose answer was lost is made again by the client; one of the same
    step changes nothing then, and with ``made_of`` none does.

    Args:
        client: open while it is used.
        name: the flow's name. There need be none of it yet: its first step makes it.

    Raises:
        ArgumentError: an argument is of a wrong type.
    """

    def __init__(self, client: Client, name: str) -> None:
        check_type("client", client, Client, "a client: Client('127.0.0.1:50051')")
        check_type("name", name, str, "the flow's name, such as 'order'")
        self._call = client._call  # noqa: SLF001  (a part of it)
        self.name = name

    async def lookup(self, version: str | None = None) -> FlowDetail:
        """Read the flow with its steps.

        Args:
            version: None takes the one that new executions take.
        """
        return document(FlowDetail, await self._call("GetFlow", name=self.name, version=version))

    async def lookup_step(self, step: str) -> FlowStepDetail:
        """Read one step of the flow.

        Args:
            step: its id.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return document(FlowStepDetail, await self._call("GetStep", name=self.name, step=step))

    async def create_step(self, step: Mapping[str, Any], *, made_of: str | None = None, by: str = "") -> FlowDetail:
        """Add a step. Added again the same, it changes nothing.

        Args:
            step: a document, perhaps with ``before`` and ``from_step``.
            made_of: the version that the flow must be at.
            by: the name of the actor.

        Raises:
            StepExistsError: the flow has another step of this id.
            FlowChangedError: the flow is not at ``made_of`` any more.
        """
        return await self._edit("CreateStep", made_of, by, step=_written(step))

    async def replace_step(self, step: Mapping[str, Any], *, made_of: str | None = None, by: str = "") -> FlowDetail:
        """Put a step in the place of the one of its id. Arguments and errors as of :meth:`create_step`.

        Raises:
            StepNotFoundError: the flow has no such step.
        """
        return await self._edit("ReplaceStep", made_of, by, step=_written(step))

    async def delete_step(self, step: str, *, made_of: str | None = None, by: str = "") -> FlowDetail:
        """Remove a step. Those that came after it come after the steps before it.

        Args:
            step: its id.
            made_of: the version that the flow must be at.
            by: the name of the actor.

        Raises:
            StepNotFoundError: the flow has no such step.
            FlowChangedError: the flow is not at ``made_of`` any more.
        """
        return await self._edit("DeleteStep", made_of, by, step=step)

    async def change(
        self,
        *,
        priority: int | None = None,
        timeout: float | str | None = None,  # noqa: ASYNC109  (an execution's)
        made_of: str | None = None,
        by: str = "",
    ) -> FlowDetail:
        """Change what the flow itself has, for its next executions. Arguments as of :meth:`goconductor.Flow.change`.

        Raises:
            FlowChangedError: the flow is not at ``made_of`` any more.
            ValueError: the timeout is no duration.
        """
        timeout_seconds = duration(timeout) if timeout else timeout
        return await self._edit("ChangeFlow", made_of, by, priority=priority, timeout_seconds=timeout_seconds)

    async def execute(
        self,
        input: Any = None,
        *,
        timeout: float | str | None = None,  # noqa: ASYNC109  (its own)
        retry: Retry | None = None,
        concurrency: int | None = None,
        from_step: str | None = None,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        version: str | None = None,
        priority: int = 0,
        wait_seconds: float = 0.0,
        by: str = "",
    ) -> FlowExecution:
        """Execute the flow as it is now.

        Args:
            input: JSON values.
            timeout: seconds, or a string such as ``"10m"``: after that it compensates, unless its pivot was sent.
            retry: attempts of the steps of which the flow says nothing else.
            concurrency: how many of its steps run at once at most.
            from_step: the step to start at. Those before it are skipped, and their outputs are null.
            key: the same key and input again find the same execution; None draws one, for the tries of this call.
            labels: up to 20 words to find it by.
            version: of the flow; None takes the newest.
            priority: of its steps where they wait for room in a process; from -100 to 100, 0 takes the flow's.
            wait_seconds: how long to wait for its end, up to 300.
            by: the name of the actor.

        Raises:
            DefinitionNotFoundError: there is no such flow, or no such version.
            DefinitionError: it cannot be executed so; has all reasons.
            ValueError: the timeout is no duration.
            GoConductorError: as :meth:`Client.start`.
        """
        check_type("retry", retry, (Retry, type(None)), "Retry(attempts_max=…)")
        answer = await self._call(
            "Execute",
            wait_seconds,
            name=self.name,
            input=value_of(input),
            key=key or str(uuid.uuid4()),
            labels=labels,
            version=version,
            timeout_seconds=None if timeout is None else duration(timeout),
            retry=None if retry is None else value_of(msgspec.to_builtins(retry)),
            concurrency=concurrency,
            from_step=from_step,
            priority=priority,
            wait_seconds=wait_seconds,
            by=by,
        )
        return document(FlowExecution, answer.execution)

    async def status(self, execution: UUID | str) -> FlowExecution:
        """Read how an execution and its steps are doing, and its output where it has succeeded.

        Raises:
            SagaNotFoundError: this flow has no such execution.
        """
        return await self._of("GetExecution", execution)

    async def ended(self, execution: UUID | str, *, timeout_seconds: float | None = None) -> FlowExecution:
        """Wait until an execution has ended or a person must decide about it, and return it.

        Args:
            execution: its id.
            timeout_seconds: how long to wait; None waits for ever.

        Raises:
            SagaNotFoundError: this flow has no such execution.
            TimeoutError: it has not ended by then.
        """
        async with asyncio.timeout(timeout_seconds):
            while True:
                found = await self._of("GetExecution", execution, _WAIT_SECONDS, wait_seconds=_WAIT_SECONDS)
                if found.status in OVER or found.status is FlowStatus.UNKNOWN:
                    return found

    async def step_result(self, execution: UUID | str, step: str) -> Any:
        """Return the output of a step of an execution.

        Raises:
            StepNotFoundError: it has no such step.
            RequestRefusedError: the step has no output; says why.
            SagaNotFoundError: this flow has no such execution.
        """
        answer = await self._call("GetStepResult", name=self.name, saga_id=str(execution), step=step)
        return values.decode(answer.output.data) if answer.HasField("output") else None

    async def pause(self, execution: UUID | str, *, reason: str = "", by: str = "") -> FlowExecution:
        """Begin nothing new; what runs goes on, and its outcome is recorded.

        Raises:
            RefusedNowError: its state does not allow this; names what it allows.
            SagaNotFoundError: this flow has no such execution.
        """
        return await self._of("PauseExecution", execution, reason=reason, by=by, request_id=str(uuid.uuid4()))

    async def resume(self, execution: UUID | str, *, by: str = "") -> FlowExecution:
        """End a pause. Errors as of :meth:`pause`."""
        return await self._of("ResumeExecution", execution, by=by, request_id=str(uuid.uuid4()))

    async def abort(self, execution: UUID | str, *, reason: str = "", by: str = "") -> FlowExecution:
        """Compensate what was done. It is refused once the pivot was sent. Errors as of :meth:`pause`."""
        return await self._of("AbortExecution", execution, reason=reason, by=by, request_id=str(uuid.uuid4()))

    async def stop(
        self, execution: UUID | str, *, reason: str, forced: bool = False, wait_seconds: float = 60.0, by: str = ""
    ) -> FlowExecution:
        """Begin nothing new, wait for what runs, and end it as it is: nothing is compensated.

        Args:
            execution: its id.
            reason: why, for its history.
            forced: do not wait for the journals of services that may be gone; a late effect is then possible.
            wait_seconds: seconds to wait for what runs, and for the end, up to 300. What has not ended by then is answered as
                it is: ask again.
            by: the name of the actor.

        Raises:
            RefusedNowError: its state does not allow this; names what it allows.
            SagaNotFoundError: this flow has no such execution.
        """
        fields = {"reason": reason, "forced": forced, "wait_seconds": wait_seconds, "by": by}
        return await self._of("StopExecution", execution, wait_seconds, **fields)

    async def _edit(self, method: str, made_of: str | None, by: str, **fields: Any) -> FlowDetail:
        return document(FlowDetail, await self._call(method, name=self.name, made_of=made_of, by=by, **fields))

    async def _of(self, method: str, execution: UUID | str, wait_seconds: float = 0.0, /, **fields: Any) -> FlowExecution:
        answer = await self._call(method, wait_seconds, name=self.name, saga_id=str(execution), **fields)
        return document(FlowExecution, answer)


def _written(step: Mapping[str, Any]) -> Value:
    check_type("step", step, Mapping, "the step's document, a mapping")
    return value_of(dict(step))
