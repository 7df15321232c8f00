"""Signals to a saga on its way, approvals of its steps, and outcomes of those that were handed out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import Field

from goconductor.control.actor import asked_by
from goconductor.control.doors.limits import SIGNAL_CHARACTERS_MAX, TOKEN_CHARACTERS_MAX
from goconductor.control.models import SagaDetail
from goconductor.control.sagas import signals
from goconductor.control.sagas.requests import REASON_CHARACTERS_MAX, Precautions
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body, IfMatch, MustSayWhy, RequestId
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, SagaId, StepId, etag, idempotency_key, if_match
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
Name = Annotated[str, Path(description="the event that a step waits for", min_length=1, max_length=SIGNAL_CHARACTERS_MAX)]


class Signal(Body):
    """What a signal says."""

    payload: Annotated[Any, Field(description="the output of the step that takes it: any JSON value")] = None


class Approval(MustSayWhy):
    """A person's answer to the question of a step."""

    round: Annotated[int, Field(ge=0, le=2**31 - 1, description="the step's `waits_for.round` when the question was shown")] = 0


class Outcome(Body):
    """How a step has ended that was handed out."""

    token: Annotated[str, Field(max_length=TOKEN_CHARACTERS_MAX, description="the `task_token` that the step's code handed out")]
    output: Annotated[Any, Field(description="of a success: the step's output, any JSON value")] = None
    failure: Annotated[str, Field(max_length=REASON_CHARACTERS_MAX, description="why it failed; empty for a success")] = ""
    refused: Annotated[bool, Field(description="of a failure: the outside refused to begin, so there is nothing to undo")] = False
    final: Annotated[bool, Field(description="of a failure: false where another attempt may help")] = True


def outcomes(node: Node, settings: Settings) -> APIRouter:
    """Make the path by which the outside reports how a step has ended."""
    routes = APIRouter(tags=["signals"], dependencies=STRICT, responses=dict.fromkeys((400, 404, 409, 413, 415, 503), _PROBLEM))
    body_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES

    @routes.post("/v1/outcomes", response_model=SagaDetail, openapi_extra=body_of(Outcome, required=True))
    async def report(request: HttpRequest) -> Response:
        """Report how a step has ended that was handed out. Reported again, it changes nothing.

        409: it comes too late, and what was done is to be undone outside; or another attempt is at work.
        """
        body = await read_body(request, Outcome, body_bytes_max)
        detail = await signals.report(
            asked_by(body.by),
            node,
            body.token,
            output=body.output,
            failure=body.failure,
            refused=body.refused,
            final=body.final,
        )
        return document(detail, headers=etag(detail.revision))

    return routes


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths below ``/v1/sagas/{id}`` by which it is told what has happened outside."""
    routes = APIRouter(
        prefix="/v1/sagas/{saga_id}",
        tags=["signals"],
        dependencies=STRICT,
        responses=dict.fromkeys((400, 404, 409, 412, 413, 415, 503), _PROBLEM),
    )
    body_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES

    @routes.post("/signals/{name}", response_model=SagaDetail, openapi_extra=body_of(Signal, required=False))
    async def signal(request: HttpRequest, saga_id: SagaId, name: Name, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Tell a saga that something has happened: a step that waits for it ends, or will when its turn has come."""
        precautions = Precautions(request_id=idempotency_key(request), expected=if_match(request))
        body = await read_body(request, Signal, body_bytes_max)
        detail = await signals.signal(asked_by(body.by), node, saga_id, name, body.payload, precautions=precautions)
        return document(detail, headers=etag(detail.revision))

    @routes.post("/steps/{step}/approve", response_model=SagaDetail, openapi_extra=body_of(Approval, required=True))
    async def approve(
        request: HttpRequest, saga_id: SagaId, step: StepId, _seen: IfMatch = None, _id: RequestId = None
    ) -> Response:
        """Approve a step that waits for that. It is refused where the step is in another round than the one that was shown."""
        precautions = Precautions(request_id=idempotency_key(request), expected=if_match(request))
        body = await read_body(request, Approval, body_bytes_max)
        detail = await signals.approve(
            asked_by(body.by), node, saga_id, step, reason=body.reason, round=body.round, precautions=precautions
        )
        return document(detail, headers=etag(detail.revision))

    return routes
