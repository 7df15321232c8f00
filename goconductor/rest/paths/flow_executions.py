"""Executions of flows: started with options, asked after, paused, resumed, aborted and stopped."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.doors.limits import WAIT_SECONDS_MAX
from goconductor.control.flows import executing
from goconductor.control.flows.executing import FlowExecution, FlowStepResult
from goconductor.control.flows.options import Options, read_retry
from goconductor.control.flows.statuses import OVER
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.events import AbortRequested, OperatorRequest, PauseRequested, ResumeRequested
from goconductor.rest.http.asked import Body, MustSayWhy, RequestId, WithReason
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.ends import end_or_stop
from goconductor.rest.http.parameters import STRICT, SagaId, StepId, below, idempotency_key
from goconductor.rest.http.problems import Problem
from goconductor.rest.http.stopping import Stopping
from goconductor.saga.definition import PRIORITY_MAX
from goconductor.saga.retry import SECONDS_MAX

_PROBLEM: dict[str, Any] = {"model": Problem}
_OF_REQUEST: dict[int | str, dict[str, Any]] = dict.fromkeys((404, 409, 413, 415), _PROBLEM)
_NOT_YET: dict[str, Any] = {"model": FlowExecution, "description": "it has not ended: ask again"}
_ENDED: dict[str, Any] = {"model": FlowExecution, "description": "it has ended, with its status"}

Name = Annotated[str, Path(description="the flow's name")]
Wait = Annotated[float, Query(ge=0, le=WAIT_SECONDS_MAX, allow_inf_nan=False)]


class Execution(Body):
    """An execution of a flow, and its options."""

    input: Annotated[Any, Field(description="any JSON value")] = None
    timeout_seconds: Annotated[
        float | None,
        Field(gt=0, le=SECONDS_MAX, allow_inf_nan=False, strict=False, description="after that it compensates"),
    ] = None
    retry: Annotated[
        dict[str, Any] | None, Field(description="a policy, as definitions write it, for the steps for which the flow has none")
    ] = None
    concurrency: Annotated[int | None, Field(ge=1, description="how many of its steps run at once at most")] = None
    from_step: Annotated[str | None, Field(description="the step to start at; those before it are skipped")] = None
    labels: Annotated[dict[str, str] | None, Field(description="up to 20 words to find it by")] = None
    version: Annotated[str | None, Field(description="of the flow; null takes the newest")] = None
    priority: Annotated[
        int, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX, description="of its steps where they wait for room; 0 takes the flow's")
    ] = 0


class Stop(MustSayWhy):
    """An execution is to be stopped."""

    forced: Annotated[bool, Field(description="do not wait for the journals of services that may be gone")] = False


def router(node: Node, settings: Settings, stopping: Stopping) -> APIRouter:
    """Make the paths below ``/v1/flows/{name}/executions``."""
    routes = APIRouter(
        prefix="/v1/flows/{name}/executions", tags=["flows"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM}
    )
    body_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES

    async def requested(request: Request, name: str, saga_id: UUID, asked: OperatorRequest, by: str) -> Response:
        request_id = idempotency_key(request)
        return document(await executing.request(asked_by(by), node, name, saga_id, asked, request_id=request_id))

    @routes.post(
        "",
        status_code=202,
        response_model=FlowExecution,
        responses={200: _ENDED, 422: _PROBLEM, **_OF_REQUEST},
        openapi_extra=body_of(Execution, required=False),
    )
    async def execute(request: Request, name: Name, wait_seconds: Wait = 0.0, _key: RequestId = None) -> Response:
        """Execute a flow: 200 if it has ended within `wait_seconds`, however it ended, else 202; `Location` is its address."""
        key = idempotency_key(request)
        asked = await read_body(request, Execution, body_bytes_max)
        options = Options(
            timeout_seconds=asked.timeout_seconds,
            retry=None if asked.retry is None else read_retry(asked.retry),
            concurrency=asked.concurrency,
            from_step=asked.from_step,
        )
        started = await executing.execute(
            asked_by(asked.by),
            node,
            name,
            asked.input,
            options,
            key=key,
            labels=asked.labels,
            version=asked.version,
            priority=asked.priority,
        )
        if wait_seconds:
            await end_or_stop(node, started.saga_id, wait_seconds, stopping)
        execution = await executing.execution(ANYBODY, node, name, started.saga_id)
        headers = {"Location": below(request, f"/v1/flows/{name}/executions/{started.saga_id}")}
        if started.existing:
            headers["Idempotent-Replayed"] = "true"
        return document(execution, 200 if execution.status in OVER else 202, headers)

    @routes.get("/{saga_id}", response_model=FlowExecution, responses={404: _PROBLEM})
    async def get_execution(name: Name, saga_id: SagaId) -> Response:
        """Return how an execution and its steps are doing, and its result where it has succeeded."""
        return document(await executing.execution(ANYBODY, node, name, saga_id))

    @routes.get("/{saga_id}/steps/{step}", response_model=FlowStepResult, responses={404: _PROBLEM, 409: _PROBLEM})
    async def get_result(name: Name, saga_id: SagaId, step: StepId) -> Response:
        """Return the result of a step; 409 where it has none."""
        return document(FlowStepResult(id=step, output=await executing.step_result(ANYBODY, node, name, saga_id, step)))

    @routes.post(
        "/{saga_id}/pause",
        response_model=FlowExecution,
        responses=_OF_REQUEST,
        openapi_extra=body_of(WithReason, required=False),
    )
    async def pause(request: Request, name: Name, saga_id: SagaId, _id: RequestId = None) -> Response:
        """Begin nothing new; what runs goes on, and its outcome is recorded."""
        asked = await read_body(request, WithReason, ENVELOPE_BYTES)
        return await requested(request, name, saga_id, PauseRequested(reason=asked.reason), asked.by)

    @routes.post(
        "/{saga_id}/resume", response_model=FlowExecution, responses=_OF_REQUEST, openapi_extra=body_of(Body, required=False)
    )
    async def resume(request: Request, name: Name, saga_id: SagaId, _id: RequestId = None) -> Response:
        """End a pause."""
        asked = await read_body(request, Body, ENVELOPE_BYTES)
        return await requested(request, name, saga_id, ResumeRequested(), asked.by)

    @routes.post(
        "/{saga_id}/abort",
        response_model=FlowExecution,
        responses=_OF_REQUEST,
        openapi_extra=body_of(WithReason, required=False),
    )
    async def abort(request: Request, name: Name, saga_id: SagaId, _id: RequestId = None) -> Response:
        """Compensate what was done. It is refused once the pivot was sent."""
        asked = await read_body(request, WithReason, ENVELOPE_BYTES)
        return await requested(request, name, saga_id, AbortRequested(reason=asked.reason), asked.by)

    @routes.post(
        "/{saga_id}/stop",
        response_model=FlowExecution,
        responses={202: _NOT_YET, **_OF_REQUEST},
        openapi_extra=body_of(Stop),
    )
    async def stop(request: Request, name: Name, saga_id: SagaId, wait_seconds: Wait = 60.0) -> Response:
        """Begin nothing new, wait for what runs, and end it as it is. 202: it has not ended by then, ask again."""
        asked = await read_body(request, Stop, ENVELOPE_BYTES)
        with stopping.awaited() as stops, suppress(TimeoutError):
            await executing.stop(
                asked_by(asked.by),
                node,
                name,
                saga_id,
                asked.reason,
                forced=asked.forced,
                within_seconds=wait_seconds,
                stopping=stops,
            )
        execution = await executing.execution(ANYBODY, node, name, saga_id)
        return document(execution, 200 if execution.status in OVER else 202)

    return routes
