"""Remote workers by long poll: the same as over gRPC's stream, for who speaks HTTP only.

Each poll is a connection of its own: it says what the worker holds, brings outcomes, is a sign of life, and waits for what the
worker is to be told. What it holds counts, so an answer that got lost loses nothing.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from goconductor.aio.first_of import first_of
from goconductor.control.actor import asked_by
from goconductor.control.faults import RequestInvalidError
from goconductor.control.installation.workers import credit_faults, join, known_session, outcome_of, registration_of
from goconductor.control.models import Document
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.gateway.gateway import Gateway
from goconductor.gateway.protocol import Acknowledged, Cancelled, Draining, Task
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import Problem
from goconductor.rest.http.stopping import Stopping
from goconductor.saga.data import values

_PROBLEM: dict[str, Any] = {"model": Problem}
WAIT_SECONDS_MAX = 10.0
"""Seconds that a poll waits at most: half of what a worker may be silent for."""
OUTCOMES_MAX = 1_000
"""Greatest number of outcomes in a request."""
Session = Annotated[str, Path(description="the session, as it was answered", pattern="^[0-9a-f]{32}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class OfferedInput(_Part):
    """An input of a step."""

    required: Annotated[bool, Field(description="whether a definition must give it a value")] = False
    schema_: Annotated[Any, Field(alias="schema", description="a JSON Schema")] = None


class OfferedStep(_Part):
    """A step that a worker runs."""

    name: Annotated[str, Field(description="definitions run it as participant.name")]
    compensation: Annotated[bool, Field(description="whether the worker has code that undoes it")] = False
    inputs: Annotated[dict[str, OfferedInput] | None, Field(description="null takes whatever a definition gives")] = None
    timeout_seconds: Annotated[float | None, Field(description="of an attempt, where the definition says nothing")] = None
    retry: Annotated[dict[str, Any] | None, Field(description="as definitions have it")] = None
    compensation_retry: Annotated[dict[str, Any] | None, Field(description="the same for the compensation")] = None


class WorkerHello(_Part):
    """What a worker says first."""

    participant: Annotated[str, Field(description="whose steps it runs")]
    steps: Annotated[list[OfferedStep], Field(description="which")]
    credit: Annotated[int, Field(description="how many tasks it may have at once")]
    worker: Annotated[str, Field(description="its name, for people")] = ""


class TaskFailure(_Part):
    """How a task failed."""

    kind: Annotated[str, Field(description="refused, permanent or temporary")]
    message: Annotated[str, Field(description="what happened")] = ""
    type: Annotated[str, Field(description="the error's name, for policies that choose by it")] = ""
    traceback: Annotated[str, Field(description="where, for people")] = ""
    retry_after_seconds: Annotated[float | None, Field(description="wait at least as long before the next attempt")] = None


class TaskOutcome(_Part):
    """What came of a task."""

    fence: Annotated[str, Field(description="of the task")]
    output: Annotated[Any, Field(description="what the step returned")] = None
    failure: Annotated[TaskFailure | None, Field(description="null if it succeeded")] = None


class WorkerPoll(_Part):
    """What a worker says from then on."""

    credit: Annotated[int, Field(description="how many tasks it may have at once")]
    holding: Annotated[list[str], Field(description="fences of the tasks that run and the outcomes that are kept")] = []
    outcomes: Annotated[list[TaskOutcome], Field(max_length=OUTCOMES_MAX, description="those that are kept")] = []
    wait_seconds: Annotated[float, Field(ge=0, le=WAIT_SECONDS_MAX, description="how long to wait for something to tell")] = 0.0
    drain: Annotated[bool, Field(description="send no more tasks")] = False


class WorkerSession(Document):
    """The answer to a worker's first word."""

    session: str
    alive_seconds: float


class WorkerTask(Document):
    """One attempt at one side of a step."""

    fence: str
    step: str
    compensation: bool
    saga_id: str
    saga: str
    saga_step: str
    attempt: int
    round: int
    idempotency_key: str
    action_key: str
    input: Any
    output: Any
    timeout_seconds: float
    reason: str
    refused: bool
    traceparent: str


class OutcomeAcknowledged(Document):
    """An outcome need not be kept any more."""

    fence: str
    recorded: bool


class TaskCancelled(Document):
    """A task is over; end it, and send an outcome all the same."""

    fence: str
    reason: str


class WorkerNews(Document):
    """What a worker is told."""

    tasks: list[WorkerTask]
    acknowledged: list[OutcomeAcknowledged]
    cancelled: list[TaskCancelled]
    over: list[str]
    drain: bool


def router(node: Node, gateway: Gateway | None, settings: Settings, stops: Stopping) -> APIRouter:
    """Make the paths below ``/v1/workers``."""
    routes = APIRouter(
        prefix="/v1/workers",
        tags=["workers"],
        dependencies=STRICT,
        responses=dict.fromkeys((400, 404, 409, 413, 415, 503), _PROBLEM),
    )
    hello_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES

    @routes.post("", response_model=WorkerSession, status_code=201, openapi_extra=body_of(WorkerHello, required=True))
    async def join_workers(request: HttpRequest) -> Response:
        """Begin a worker's session. What it has not polled for 20 seconds is over."""
        body = await read_body(request, WorkerHello, hello_bytes_max)
        told = body.model_dump(by_alias=True)
        session, _ = await join(asked_by(), node, gateway, registration_of(told, told["steps"], settings.gateway))
        return document(WorkerSession(session=session.id, alive_seconds=WAIT_SECONDS_MAX), 201)

    @routes.post("/{session}/poll", response_model=WorkerNews, openapi_extra=body_of(WorkerPoll, required=True))
    async def poll_worker(request: HttpRequest, session: Session) -> Response:
        """Bring outcomes, and wait for tasks."""
        body = await read_body(request, WorkerPoll, settings.limits.payload_bytes_max * 4 + ENVELOPE_BYTES)
        there, found = known_session(asked_by(), gateway, session)
        if faults := credit_faults(body.credit, settings.gateway):
            raise RequestInvalidError("the body", faults)
        outcomes = [_outcome(each) for each in body.outcomes]
        over = there.poll(found, body.credit, [*body.holding, *(each.fence for each in outcomes)])
        connection = found.connection
        for outcome in outcomes:
            there.outcome(found, outcome)
        if body.drain and not found.draining:
            there.drain(found)
        with stops.awaited() as stopping:
            told = await first_of(found.told(connection, body.wait_seconds), _nothing_when(stopping))
        return document(_news(told or [], over, draining=there.is_closed or stopping.is_set()))

    @routes.delete("/{session}", status_code=204)
    async def leave_worker(session: Session) -> Response:
        """End a worker's session. The outcomes of tasks that it has are unknown."""
        there, found = known_session(asked_by(), gateway, session)
        there.leave(found)
        return Response(status_code=204)

    return routes


async def _nothing_when(stopping: asyncio.Event) -> list[Any]:
    await stopping.wait()
    return []


def _outcome(each: TaskOutcome) -> Any:
    failure = {} if each.failure is None else {**each.failure.model_dump(), "kind": each.failure.kind or "none"}
    return outcome_of({"fence": each.fence, **failure}, values.encode(each.output))


def _news(told: list[Any], over: tuple[str, ...], *, draining: bool) -> WorkerNews:
    return WorkerNews(
        tasks=[_task(each) for each in told if isinstance(each, Task)],
        acknowledged=[
            OutcomeAcknowledged(fence=each.fence, recorded=each.recorded) for each in told if isinstance(each, Acknowledged)
        ],
        cancelled=[TaskCancelled(fence=each.fence, reason=each.reason) for each in told if isinstance(each, Cancelled)],
        over=list(over),
        drain=draining or any(isinstance(each, Draining) for each in told),
    )


def _task(task: Task) -> WorkerTask:
    return WorkerTask(
        fence=task.fence,
        step=task.step,
        compensation=task.side == "compensation",
        saga_id=task.saga_id,
        saga=task.saga,
        saga_step=task.saga_step,
        attempt=task.attempt,
        round=task.round,
        idempotency_key=task.idempotency_key,
        action_key=task.action_key,
        input=values.decode(task.input),
        output=None if task.output is None else values.decode(task.output),
        timeout_seconds=task.timeout_seconds,
        reason=task.reason,
        refused=task.refused,
        traceparent=task.traceparent,
    )
