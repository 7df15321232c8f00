"""What operators ask of a saga that is on its way: one path for each request of the catalogue."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, create_model

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.doors.limits import TEXT_CHARACTERS_MAX
from goconductor.control.models import RestartPreview, SagaDetail
from goconductor.control.sagas.requests import Precautions, ask, preview_restart
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.lifecycle.requests.catalogue import CATALOGUE, Kind, Operation, Parameter, Request
from goconductor.rest.http.asked import Body, IfMatch, MustSayWhy, RequestId, WithReason
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, SagaId, StepId, etag, idempotency_key, if_match
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
PATHS = {Request.EDIT_INPUT: "input", Request.DROP_SIGNAL: "drop-signal", Request.RESTART_AS_NEW: "restart-as-new"}
"""Ending of a request's path, where it is not the request's own name."""

_TYPES: dict[Kind, Any] = {
    Kind.FLAG: bool,
    Kind.TEXT: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)],
    Kind.STEP: str,
    Kind.VALUE: Any,
    Kind.VALUES: Annotated[dict[str, Any], Field(min_length=1)],
}


def body_for(operation: Operation) -> type[Body]:
    """Make the body of a request: the actor, the reason, and its parameters."""
    base = MustSayWhy if operation.needs_reason else WithReason if operation.takes_reason else Body
    if not operation.parameters:
        return base
    fields: dict[str, Any] = {
        each.name: (
            Annotated[_type_of(operation, each), Field(description=each.about)],
            ... if each.required else operation.default(each),
        )
        for each in operation.parameters
    }
    name = operation.request.title().replace("_", "")
    return create_model(name, __base__=base, __doc__=operation.summary, **fields)


def _type_of(operation: Operation, parameter: Parameter) -> Any:
    kind = _TYPES[parameter.kind]
    may_be_none = not parameter.required and operation.default(parameter) is None and parameter.kind is not Kind.VALUE
    return kind | None if may_be_none else kind


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths below ``/v1/sagas/{id}`` that change it: one for each request of the catalogue."""
    routes = APIRouter(
        prefix="/v1/sagas/{saga_id}",
        dependencies=STRICT,
        responses=dict.fromkeys((400, 404, 409, 412, 413, 415, 503), _PROBLEM),
    )
    for operation in CATALOGUE:
        _add(routes, operation, node, settings.limits.payload_bytes_max + ENVELOPE_BYTES)
    _add_preview(routes, node, settings.limits.payload_bytes_max + ENVELOPE_BYTES)
    return routes


class Previewed(BaseModel):
    """A restart that might be asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    from_step: Annotated[str, Field(description="the step to begin again from; empty: everything")] = ""
    inputs: Annotated[dict[str, Any] | None, Field(min_length=1, description="other values for inputs of that step")] = None


def _add_preview(routes: APIRouter, node: Node, body_bytes_max: int) -> None:
    async def preview(request: HttpRequest, saga_id: SagaId) -> Response:
        body = await read_body(request, Previewed, body_bytes_max)
        found = await preview_restart(ANYBODY, node, saga_id, from_step=body.from_step, inputs=body.inputs)
        return document(found, headers=etag(found.revision))

    routes.add_api_route(
        "/restart/preview",
        preview,
        methods=["POST"],
        tags=["sagas"],
        name="preview_restart",
        description="Tell what a restart would do, and change nothing: what goes back, is compensated, and refuses it.",
        response_model=RestartPreview,
        openapi_extra=body_of(Previewed, required=False),
    )


def _add(routes: APIRouter, operation: Operation, node: Node, body_bytes_max: int) -> None:
    kind = body_for(operation)

    async def asked(request: HttpRequest, saga_id: UUID, step: str = "") -> Response:
        body = await read_body(request, kind, body_bytes_max)
        values = {each.name: getattr(body, each.name) for each in operation.parameters}
        asks = operation.asked(step=step, reason=getattr(body, "reason", ""), values=values)
        precautions = Precautions(request_id=idempotency_key(request), expected=if_match(request))
        detail = await ask(asked_by(body.by), node, saga_id, asks, precautions)
        return document(detail, headers=etag(detail.revision))

    async def of_saga(request: HttpRequest, saga_id: SagaId, _seen: IfMatch = None, _id: RequestId = None) -> Response:
        return await asked(request, saga_id)

    async def of_step(
        request: HttpRequest, saga_id: SagaId, step: StepId, _seen: IfMatch = None, _id: RequestId = None
    ) -> Response:
        return await asked(request, saga_id, step)

    routes.add_api_route(
        f"{'/steps/{step}' if operation.about_step else ''}/{PATHS.get(operation.request, operation.request)}",
        of_step if operation.about_step else of_saga,
        methods=["POST"],
        tags=["operations"],
        name=operation.request,
        description=operation.summary,
        response_model=SagaDetail,
        openapi_extra=body_of(kind, required=any(field.is_required() for field in kind.model_fields.values())),
    )
