"""What operators ask of a saga that is on its way: one path for each request."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from goconductor.control import requests
from goconductor.control.models import SagaDetail
from goconductor.control.settings import Settings
from goconductor.participant.folding import Expected
from goconductor.participant.node import Node
from goconductor.rest.bodies import body_of, document, read_body
from goconductor.rest.parameters import ENTITY_TAG, STRICT, SagaId, StepId, etag, idempotency_key, if_match
from goconductor.rest.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="the ETag of the saga as you saw it: refused with 412 if it has moved on since; * matches any",
        json_schema_extra={"pattern": rf"^(\*|{ENTITY_TAG})$"},
    ),
]
"""Named for the document; it is read by :func:`if_match`, which also sees that it stands once."""
RequestId = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="names this request: sent again, it changes nothing and is answered like the first time",
        json_schema_extra={"pattern": "^[ -~]{1,255}$"},
    ),
]
"""Named for the document; it is read by :func:`idempotency_key`, which also sees that it stands once."""


class Common(TypedDict):
    """What every request says in its headers."""

    expected: Expected | None
    request_id: str | None


class Body(BaseModel):
    """What every request may say."""

    model_config = ConfigDict(extra="forbid", strict=True)

    by: Annotated[str, Field(max_length=requests.BY_CHARACTERS_MAX, description="who asks; kept in the saga's history")] = ""


class WithReason(Body):
    """A request that may be explained."""

    reason: Annotated[str, Field(max_length=requests.REASON_CHARACTERS_MAX, description="why")] = ""


class MustSayWhy(Body):
    """A request that must be explained."""

    reason: Annotated[str, Field(min_length=1, max_length=requests.REASON_CHARACTERS_MAX, pattern=r"\S", description="why")]


class Skip(MustSayWhy):
    """Go on without a stuck step."""

    forced: Annotated[bool, Field(description="do not wait for its owner's journal: a late effect may land")] = False


class Declare(MustSayWhy):
    """What a person found out about a stuck step."""

    happened: bool
    output: Annotated[Any, Field(description="what the action would have answered")] = None


class EditInput(MustSayWhy):
    """Other values for some of a step's inputs."""

    inputs: Annotated[dict[str, Any], Field(min_length=1, description="values by the names that the definition gives")]


def router(node: Node, settings: Settings) -> APIRouter:
    """The paths below ``/v1/sagas/{id}`` that change it."""
    routes = APIRouter(
        prefix="/v1/sagas/{saga_id}",
        tags=["operations"],
        dependencies=STRICT,
        responses=dict.fromkeys((400, 404, 409, 412, 413, 415, 503), _PROBLEM),
    )
    longest = settings.limits.payload_bytes_max

    def common(request: Request) -> Common:
        return {"expected": if_match(request), "request_id": idempotency_key(request)}

    def answer(detail: SagaDetail) -> Response:
        return document(detail, headers=etag(detail.revision))

    @routes.post("/pause", response_model=SagaDetail, openapi_extra=body_of(WithReason, required=False))
    async def pause(request: Request, saga_id: SagaId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Start nothing new; what runs goes on."""
        body = await read_body(request, WithReason, longest)
        return answer(await requests.pause(node, saga_id, reason=body.reason, by=body.by, **common(request)))

    @routes.post("/resume", response_model=SagaDetail, openapi_extra=body_of(Body, required=False))
    async def resume(request: Request, saga_id: SagaId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Lift a pause."""
        body = await read_body(request, Body, longest)
        return answer(await requests.resume(node, saga_id, by=body.by, **common(request)))

    @routes.post("/abort", response_model=SagaDetail, openapi_extra=body_of(WithReason, required=False))
    async def abort(request: Request, saga_id: SagaId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Compensate what was done; refused once the pivot is due."""
        body = await read_body(request, WithReason, longest)
        return answer(await requests.abort(node, saga_id, reason=body.reason, by=body.by, **common(request)))

    @routes.post("/terminate", response_model=SagaDetail, openapi_extra=body_of(MustSayWhy))
    async def terminate(request: Request, saga_id: SagaId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """End it as it stands, without compensation."""
        body = await read_body(request, MustSayWhy, longest)
        return answer(await requests.terminate(node, saga_id, reason=body.reason, by=body.by, **common(request)))

    @routes.post("/steps/{step}/retry", response_model=SagaDetail, openapi_extra=body_of(Body, required=False))
    async def retry(request: Request, saga_id: SagaId, step: StepId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Try a stuck step again, under the same idempotency key."""
        body = await read_body(request, Body, longest)
        return answer(await requests.retry(node, saga_id, step, by=body.by, **common(request)))

    @routes.post("/steps/{step}/skip", response_model=SagaDetail, openapi_extra=body_of(Skip))
    async def skip(request: Request, saga_id: SagaId, step: StepId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Go on without a stuck step."""
        body = await read_body(request, Skip, longest)
        detail = await requests.skip(node, saga_id, step, reason=body.reason, forced=body.forced, by=body.by, **common(request))
        return answer(detail)

    @routes.post("/steps/{step}/declare", response_model=SagaDetail, openapi_extra=body_of(Declare))
    async def declare(request: Request, saga_id: SagaId, step: StepId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        """Say whether a stuck step happened."""
        body = await read_body(request, Declare, longest)
        detail = await requests.declare(
            node,
            saga_id,
            step,
            happened=body.happened,
            output=body.output,
            reason=body.reason,
            by=body.by,
            **common(request),
        )
        return answer(detail)

    @routes.post("/steps/{step}/input", response_model=SagaDetail, openapi_extra=body_of(EditInput))
    async def edit_input(
        request: Request, saga_id: SagaId, step: StepId, _seen: IfMatch = None, _id: RequestId = None
    ) -> Response:
        """Give other values for some inputs of a step that is stuck or waits to try again."""
        body = await read_body(request, EditInput, longest)
        detail = await requests.edit_input(
            node, saga_id, step, inputs=body.inputs, reason=body.reason, by=body.by, **common(request)
        )
        return answer(detail)

    return routes
