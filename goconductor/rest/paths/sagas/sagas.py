"""Sagas: start, look, list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.diagrams.drawing import Form, saga_diagram
from goconductor.control.doors.limits import HISTORY_MAX, PAGE_MAX, WAIT_SECONDS_MAX
from goconductor.control.models import History, SagaDetail, SagaPage
from goconductor.control.sagas import filters, queries, starting
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.rest.http.bodies import document, read_json
from goconductor.rest.http.diagrams import DIAGRAM, diagram_response
from goconductor.rest.http.ends import end_or_stop
from goconductor.rest.http.parameters import STRICT, SagaId, below, etag, idempotency_key, in_query
from goconductor.rest.http.problems import Problem
from goconductor.rest.http.stopping import Stopping
from goconductor.saga.definition import PRIORITY_MAX

_PROBLEM: dict[str, Any] = {"model": Problem}
_ENDED: dict[str, Any] = {"model": SagaDetail, "description": "it has ended, with its status"}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "the saga's input: any JSON value",
        "content": {"application/json": {"schema": {}, "example": {"sku": "tea", "quantity": 2}}},
    }
}

Time = Annotated[str | None, Query(json_schema_extra={"format": "date-time"})]


def router(node: Node, settings: Settings, stopping: Stopping) -> APIRouter:
    """Make the paths below ``/v1/sagas``."""
    routes = APIRouter(prefix="/v1/sagas", tags=["sagas"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})
    body_bytes_max = settings.limits.payload_bytes_max

    @routes.post(
        "/{saga}",
        status_code=202,
        response_model=SagaDetail,
        responses={200: _ENDED, 404: _PROBLEM, 409: _PROBLEM, 413: _PROBLEM, 415: _PROBLEM, 422: _PROBLEM},
        openapi_extra=_BODY,
    )
    async def start_saga(
        request: Request,
        saga: Annotated[str, Path(description="the saga's name, to start one; its id, to look at one")],
        wait_seconds: Annotated[
            float, Query(ge=0, le=WAIT_SECONDS_MAX, allow_inf_nan=False, description="how many seconds to wait for its end")
        ] = 0.0,
        label: Annotated[list[str] | None, Query(description="name=value; may be repeated")] = None,
        version: Annotated[str | None, Query(description="of the definition; the active one by default")] = None,
        priority: Annotated[
            int | None,
            Query(
                ge=-PRIORITY_MAX,
                le=PRIORITY_MAX,
                description="of its steps where they wait for room; greater ones first; the definition's by default",
            ),
        ] = None,
        _key: Annotated[
            str | None,
            Header(
                alias="idempotency-key",
                description="the same key and input again: the same saga",
                json_schema_extra={"pattern": "^[ -~]{1,255}$"},
            ),
        ] = None,
    ) -> Response:
        """Start a saga: 200 if it has ended within `wait_seconds`, however it ended, else 202; `Location` is its address."""
        key = idempotency_key(request)  # before the body is read
        started = await starting.start(
            asked_by(),
            node,
            saga,
            await read_json(request, body_bytes_max),
            key=key,
            labels=_labels(label or ()),
            version=version,
            reply=wait_seconds > 0,
            priority=priority,
        )
        if wait_seconds:
            await end_or_stop(node, started.saga_id, wait_seconds, stopping)
        detail = await queries.saga_status(ANYBODY, node, started.saga_id)
        headers = {"Location": below(request, f"/v1/sagas/{started.saga_id}"), **etag(detail.revision)}
        if started.existing:
            headers["Idempotent-Replayed"] = "true"
        return document(detail, 200 if detail.status.done else 202, headers)

    @routes.get("", response_model=SagaPage)
    async def list_sagas(
        saga: Annotated[str | None, Query(description="only those of this definition")] = None,
        status: Annotated[list[SagaStatus] | None, Query(description="only those of this status; may be repeated")] = None,
        started_after: Annotated[Time, Query(description="only those that started then or later; RFC 3339")] = None,
        started_before: Annotated[Time, Query(description="only those that started earlier")] = None,
        updated_after: Annotated[Time, Query(description="only those to which something happened then or later")] = None,
        updated_before: Annotated[Time, Query(description="only those to which nothing has happened since")] = None,
        label: Annotated[list[str] | None, Query(description="only those with this label, name=value; may be repeated")] = None,
        error: Annotated[
            str | None, Query(description="only those in whose history a failure or a reason has this text, in any case")
        ] = None,
        key: Annotated[
            str | None, Query(description="only the one that this Idempotency-Key has started; with saga, and no other filter")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
        cursor: Annotated[str | None, Query(description="that of the page before, with the same filters")] = None,
    ) -> Response:
        """Sagas, newest first.

        A search ends after a second: `searched_until` is then how far it came, and `cursor` goes on from there.
        """
        with in_query():
            page = await queries.list_sagas(
                ANYBODY,
                node,
                saga=saga,
                status=status,
                started_after=filters.read_time(started_after, name="started_after"),
                started_before=filters.read_time(started_before, name="started_before"),
                updated_after=filters.read_time(updated_after, name="updated_after"),
                updated_before=filters.read_time(updated_before, name="updated_before"),
                labels=filters.read_labels(label or ()),
                error=error,
                key=key,
                cursor=cursor,
                limit=limit,
            )
        return document(page)

    @routes.get("/{saga}", response_model=SagaDetail, responses={404: _PROBLEM})
    async def get_saga(saga: SagaId) -> Response:
        """Return a saga with its steps. Its `ETag` can be sent with a request as `If-Match`."""
        detail = await queries.saga_status(ANYBODY, node, saga)
        return document(detail, headers=etag(detail.revision))

    @routes.get("/{saga_id}/diagram", response_class=Response, responses={200: DIAGRAM, 404: _PROBLEM})
    async def get_diagram(saga_id: SagaId, form: Annotated[Form, Query(description="Mermaid or SVG")] = Form.MERMAID) -> Response:
        """Return a diagram of the saga: its steps, coloured by what each is doing."""
        return diagram_response(await saga_diagram(ANYBODY, node, saga_id, form=form), form)

    @routes.get("/{saga_id}/history", response_model=History, responses={404: _PROBLEM})
    async def get_history(
        saga_id: SagaId,
        after: Annotated[int, Query(ge=0, le=2**62, description="only events with a higher seq")] = 0,
        limit: Annotated[int, Query(ge=1, le=HISTORY_MAX)] = HISTORY_MAX,
    ) -> Response:
        """Return the events of a saga, oldest first."""
        return document(await queries.history(ANYBODY, node, saga_id, after=after, limit=limit))

    return routes


def _labels(texts: Sequence[str]) -> dict[str, str]:
    with in_query():
        return filters.read_labels(texts)
