"""The paths by which Orchy's clients send documents, execute them and tell of events. All else is asked of the saga itself."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from goconductor.control.actor import asked_by
from goconductor.control.definitions import versions
from goconductor.control.importers.orchy import importing
from goconductor.control.models import DefinitionSummary
from goconductor.control.sagas import signals, starting
from goconductor.control.sagas.requests import Precautions
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import RequestId
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body, read_json
from goconductor.rest.http.parameters import STRICT, SagaId, below, has_body, idempotency_key
from goconductor.rest.http.problems import Problem
from goconductor.saga.growth import TURNS_MAX

_PROBLEM: dict[str, Any] = {"model": Problem}
_DOCUMENT = {
    "requestBody": {
        "required": True,
        "description": "a document of Orchy's",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "name": "loan",
                    "rootAction": 1,
                    "actions": [{"id": 1, "type": "user", "name": "score", "parameters": {"age": "$.input.age"}}],
                },
            }
        },
    }
}
_EVENT = {
    "requestBody": {
        "required": False,
        "description": "what the event says: any JSON value",
        "content": {"application/json": {"schema": {}, "example": {"by": "ann"}}},
    }
}
Event = Annotated[str, Path(description="the event that an action waits for", min_length=1, max_length=100)]


class Execution(BaseModel):
    """Which document to execute, and with what."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(description="the document's name")]
    input: Annotated[Any, Field(description="what its actions see as $.input")] = None


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths below ``/flow``."""
    routes = APIRouter(
        prefix="/flow",
        tags=["flow"],
        dependencies=STRICT,
        responses=dict.fromkeys((400, 413, 415, 503), _PROBLEM),
    )
    body_bytes_max = settings.limits.payload_bytes_max

    @routes.post("", response_model=DefinitionSummary, responses={422: _PROBLEM}, openapi_extra=_DOCUMENT)
    async def put_document(
        request: Request,
        participant: Annotated[
            str, Query(description="whose steps the workers' actions are", min_length=1, max_length=100)
        ] = importing.PARTICIPANT,
        turns_max: Annotated[
            int, Query(description="how often a circle of actions may go round", ge=1, le=TURNS_MAX)
        ] = importing.TURNS_MAX,
    ) -> Response:
        """Register a document by its name: it becomes a definition of that name. The same document again changes nothing."""
        definition = importing.imported(await read_json(request, body_bytes_max), participant=participant, turns_max=turns_max)
        return document(await versions.register(asked_by(), node, definition))

    @routes.post(
        "/execute",
        status_code=202,
        response_model=UUID,
        responses=dict.fromkeys((404, 409, 422), _PROBLEM),
        openapi_extra=body_of(Execution),
    )
    async def execute(request: Request, _id: RequestId = None) -> Response:
        """Start a saga of a document, and answer its id, a UUID. The same Idempotency-Key and input again: the same saga."""
        key = idempotency_key(request)
        asked = await read_body(request, Execution, body_bytes_max + ENVELOPE_BYTES)
        started = await starting.start(asked_by(), node, asked.name, asked.input, key=key)
        headers = {"Location": below(request, f"/v1/sagas/{started.saga_id}")}
        return Response(f'"{started.saga_id}"', 202, headers, "application/json")

    @routes.post(
        "/{saga_id}/events/{event}", status_code=204, responses=dict.fromkeys((404, 409), _PROBLEM), openapi_extra=_EVENT
    )
    async def tell(request: Request, saga_id: SagaId, event: Event, _id: RequestId = None) -> Response:
        """Tell of an event: the action that waits for it ends, with the body as its output."""
        precautions = Precautions(None, idempotency_key(request))
        payload = await read_json(request, body_bytes_max) if has_body(request) else None
        await signals.signal(asked_by(), node, saga_id, event, payload, precautions=precautions)
        return Response(status_code=204)

    return routes
