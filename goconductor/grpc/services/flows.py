"""Flows: their steps edited, and their executions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from msgspec import UNSET

from goconductor.aio.first_of import first_of
from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.doors.limits import WAIT_SECONDS_MAX
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.flows import editing, executing
from goconductor.control.flows.edits import OwnFields
from goconductor.control.flows.options import Options, read_retry
from goconductor.engine.node import Node
from goconductor.grpc.calls import patience
from goconductor.grpc.documents import message, read_object, read_value
from goconductor.grpc.fields import given, saga_id, within
from goconductor.grpc.v1 import flows_pb2 as pb
from goconductor.lifecycle.facts.events import AbortRequested, OperatorRequest, PauseRequested, ResumeRequested
from goconductor.saga.definition import PRIORITY_MAX
from goconductor.saga.retry import SECONDS_MAX

STOP_SECONDS = 60.0
"""How long a stop waits that does not say."""
CONCURRENCY_MAX = 2**31 - 1


class FlowCalls:
    """The methods of ``Flows``.

    Args:
        node: the engine.
        stopping: set when the server stops: who waits is then answered at once.
    """

    def __init__(self, node: Node, stopping: asyncio.Event) -> None:
        self._node = node
        self._stopping = stopping

    async def get_flow(self, request: pb.GetFlowRequest, _context: Any) -> pb.FlowDetail:
        """Return a flow with its steps."""
        found = await editing.lookup(ANYBODY, self._node, request.name, given(request, "version"))
        return message(pb.FlowDetail, found)

    async def get_step(self, request: pb.GetStepRequest, _context: Any) -> pb.FlowStepDetail:
        """Return one step of a flow."""
        return message(pb.FlowStepDetail, await editing.lookup_step(ANYBODY, self._node, request.name, request.step))

    async def create_step(self, request: pb.EditStepRequest, _context: Any) -> pb.FlowDetail:
        """Add a step."""
        return await self._edit(editing.create_step, request)

    async def replace_step(self, request: pb.EditStepRequest, _context: Any) -> pb.FlowDetail:
        """Put a step in the place of the one of its id."""
        return await self._edit(editing.replace_step, request)

    async def delete_step(self, request: pb.DeleteStepRequest, _context: Any) -> pb.FlowDetail:
        """Remove a step."""
        actor, made_of = asked_by(request.by), given(request, "made_of")
        return message(pb.FlowDetail, await editing.delete_step(actor, self._node, request.name, request.step, made_of=made_of))

    async def change_flow(self, request: pb.ChangeFlowRequest, _context: Any) -> pb.FlowDetail:
        """Change what a flow itself has."""
        priority, timeout_seconds = given(request, "priority", UNSET), given(request, "timeout_seconds", UNSET)
        if priority is not UNSET:
            within("priority", priority, -PRIORITY_MAX, PRIORITY_MAX)
        if timeout_seconds is not UNSET:
            timeout_seconds = within("timeout_seconds", timeout_seconds, 0, SECONDS_MAX) or None
        fields = OwnFields(priority=priority, timeout_seconds=timeout_seconds)
        actor, made_of = asked_by(request.by), given(request, "made_of")
        return message(pb.FlowDetail, await editing.change_flow(actor, self._node, request.name, fields, made_of=made_of))

    async def execute(self, request: pb.ExecuteRequest, context: Any) -> pb.ExecuteResponse:
        """Execute a flow, and wait for the end, if wanted."""
        wait_seconds = within("wait_seconds", request.wait_seconds, 0, WAIT_SECONDS_MAX)
        started = await executing.execute(
            asked_by(request.by),
            self._node,
            request.name,
            read_value(request, "input"),
            _options(request),
            key=given(request, "key"),
            labels=dict(request.labels),
            version=given(request, "version"),
            priority=within("priority", request.priority, -PRIORITY_MAX, PRIORITY_MAX),
        )
        execution = await self._execution(request.name, started.saga_id, patience(context, wait_seconds))
        return pb.ExecuteResponse(execution=execution, existing=started.existing)

    async def get_execution(self, request: pb.GetExecutionRequest, context: Any) -> pb.FlowExecution:
        """Return how an execution is doing, after its end where that is waited for."""
        wanted = saga_id(request)
        wait_seconds = within("wait_seconds", request.wait_seconds, 0, WAIT_SECONDS_MAX)
        if wait_seconds:
            await executing.checked(ANYBODY, self._node, request.name, wanted)
        return await self._execution(request.name, wanted, patience(context, wait_seconds))

    async def get_step_result(self, request: pb.GetStepResultRequest, _context: Any) -> pb.FlowStepResult:
        """Return the result of a step."""
        output = await executing.step_result(ANYBODY, self._node, request.name, saga_id(request), request.step)
        return message(pb.FlowStepResult, executing.FlowStepResult(id=request.step, output=output))

    async def pause_execution(self, request: pb.ExecutionRequest, _context: Any) -> pb.FlowExecution:
        """Begin nothing new."""
        return await self._ask(request, PauseRequested(reason=request.reason))

    async def resume_execution(self, request: pb.ExecutionRequest, _context: Any) -> pb.FlowExecution:
        """End a pause."""
        if request.reason:
            raise RequestInvalidError("the request", [Fault("reason", "is not kept where a pause is lifted; leave it out")])
        return await self._ask(request, ResumeRequested())

    async def abort_execution(self, request: pb.ExecutionRequest, _context: Any) -> pb.FlowExecution:
        """Compensate what was done."""
        return await self._ask(request, AbortRequested(reason=request.reason))

    async def stop_execution(self, request: pb.StopExecutionRequest, context: Any) -> pb.FlowExecution:
        """Begin nothing new, wait for what runs, and end it as it is."""
        wanted = saga_id(request)
        wait_seconds = within("wait_seconds", given(request, "wait_seconds", STOP_SECONDS), 0, WAIT_SECONDS_MAX)
        with suppress(TimeoutError):
            await executing.stop(
                asked_by(request.by),
                self._node,
                request.name,
                wanted,
                request.reason,
                forced=request.forced,
                within_seconds=patience(context, wait_seconds),
                stopping=self._stopping,
            )
        return await self._execution(request.name, wanted)

    async def _edit(self, edit: Any, request: pb.EditStepRequest) -> pb.FlowDetail:
        step, made_of = read_object(request, "step"), given(request, "made_of")
        return message(pb.FlowDetail, await edit(asked_by(request.by), self._node, request.name, step, made_of=made_of))

    async def _ask(self, request: pb.ExecutionRequest, asked: OperatorRequest) -> pb.FlowExecution:
        actor, request_id = asked_by(request.by), given(request, "request_id")
        execution = await executing.request(actor, self._node, request.name, saga_id(request), asked, request_id=request_id)
        return message(pb.FlowExecution, execution)

    async def _execution(self, flow: str, wanted: UUID, wait_seconds: float = 0.0) -> pb.FlowExecution:
        if wait_seconds:
            with suppress(TimeoutError):
                await first_of(self._node.wait_for_end(wanted, wait_seconds), self._stopping.wait())
        return message(pb.FlowExecution, await executing.execution(ANYBODY, self._node, flow, wanted))


def _options(request: pb.ExecuteRequest) -> Options:
    timeout_seconds, concurrency = given(request, "timeout_seconds"), given(request, "concurrency")
    if timeout_seconds is not None and not 0 < timeout_seconds <= SECONDS_MAX:
        problem = f"should be above 0 and at most {SECONDS_MAX:,.0f}"
        raise RequestInvalidError("the request", [Fault("timeout_seconds", problem)])
    return Options(
        timeout_seconds=timeout_seconds,
        retry=read_retry(read_object(request, "retry")) if request.HasField("retry") else None,
        concurrency=None if concurrency is None else within("concurrency", concurrency, 1, CONCURRENCY_MAX),
        from_step=given(request, "from_step"),
    )
