"""One request about many sagas."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from goconductor.control.actor import Actor, asked_by
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas import bulk, filters
from goconductor.control.sagas.bulk import SAGAS_MAX, BulkReport, Selected
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.requests.catalogue import Request
from goconductor.rest.http.asked import RequestId, WithReason
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, idempotency_key
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
_BYTES_OF_ONE = 256
"""Room in a body for one saga that is named, in bytes."""

Time = Annotated[str | None, Field(description="RFC 3339, or a day", json_schema_extra={"format": "date-time"})]


class Where(BaseModel):
    """Which sagas; as of a list of sagas."""

    model_config = ConfigDict(extra="forbid", strict=True)

    saga: str | None = None
    status: list[Annotated[SagaStatus, Field(strict=False)]] = []
    started_after: Time = None
    started_before: Time = None
    updated_after: Time = None
    updated_before: Time = None
    labels: dict[str, str] = {}
    error: str | None = None


class Named(BaseModel):
    """One of the sagas."""

    model_config = ConfigDict(extra="forbid", strict=True)

    saga_id: Annotated[UUID, Field(strict=False)]
    revision: Annotated[str | None, Field(description="only if the saga is still where this was seen")] = None


class InBulk(WithReason):
    """A request about many sagas. A dry run may have a filter in place of the sagas, and answers which they are."""

    request: Annotated[Request, Field(strict=False, description="its name")]
    sagas: Annotated[list[Named] | None, Field(description=f"up to {SAGAS_MAX}")] = None
    where: Annotated[Where | None, Field(description="in place of sagas, in a dry run")] = None
    step: Annotated[str | None, Field(description="of a retry or a skip: null means each stuck step")] = None
    values: dict[str, Any] = Field(default_factory=dict, description="the request's own fields, such as forced")
    dry_run: Annotated[bool, Field(description="change nothing, and say what would be accepted")] = False


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the path by which many sagas are asked at once."""
    routes = APIRouter(prefix="/v1/requests", tags=["bulk"], dependencies=STRICT)
    bytes_max = settings.limits.payload_bytes_max + SAGAS_MAX * _BYTES_OF_ONE + ENVELOPE_BYTES

    @routes.post(
        "",
        response_model=BulkReport,
        responses=dict.fromkeys((400, 413, 415, 503), _PROBLEM),
        openapi_extra=body_of(InBulk),
    )
    async def ask_in_bulk(request: HttpRequest, _id: RequestId = None) -> Response:
        """Ask the same of many sagas: 200 with what it came to for each. A dry run changes nothing."""
        request_id = idempotency_key(request)
        body = await read_body(request, InBulk, bytes_max)
        asked = bulk.read_bulk(body.request, step=body.step, reason=body.reason, values=body.values)
        actor = asked_by(body.by)
        sagas = await _selected(actor, node, body)
        return document(await bulk.bulk(actor, node, asked, sagas, request_id=request_id, dry_run=body.dry_run))

    return routes


async def _selected(actor: Actor, node: Node, body: InBulk) -> list[Selected]:
    """Return the sagas that are named, or of a dry run those that fit.

    Raises:
        RequestInvalidError: not one of the two is given, or a filter for what is no dry run.
    """
    if (body.sagas is None) == (body.where is None):
        raise RequestInvalidError("the body", [Fault("$.sagas", "or $.where must be given, and not both")])
    if body.sagas is not None:
        return [Selected(saga_id=each.saga_id, revision=each.revision) for each in body.sagas]
    assert body.where is not None  # noqa: S101  (one of the two is)
    if not body.dry_run:
        problem = "is for a dry run, whose answer has the sagas; send those, so that the same ones are asked"
        raise RequestInvalidError("the body", [Fault("$.where", problem)])
    given = body.where.model_dump()
    for name in ("started_after", "started_before", "updated_after", "updated_before"):
        given[name] = filters.read_time(given[name], name=f"$.where.{name}")
    return await bulk.select(actor, node, **given)
