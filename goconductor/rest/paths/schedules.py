"""Schedules: make, change, look at, fire by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from goconductor.control.actor import ANYBODY, NAME_CHARACTERS_MAX, Actor
from goconductor.control.schedules import requests
from goconductor.control.schedules.documents import ScheduleDetail, ScheduleList, ScheduleWanted
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import RequestId
from goconductor.rest.http.bodies import body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, below, idempotency_key
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
_OF_BODY: dict[int | str, dict[str, Any]] = {404: _PROBLEM, 413: _PROBLEM, 415: _PROBLEM, 422: _PROBLEM}
ENVELOPE_BYTES = 64 * 1024
"""Room for all but the input in a body, in bytes."""

Name = Annotated[str, Path(description="the schedule's name")]
By = Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks; kept with the schedule")]


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths below ``/v1/schedules``."""
    routes = APIRouter(prefix="/v1/schedules", tags=["schedules"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})
    body_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES
    sagas_days = settings.retention.sagas_days

    @routes.get("", response_model=ScheduleList)
    async def list_schedules(
        after: Annotated[str, Query(description="only names behind this one, from the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=requests.PAGE_MAX)] = 50,
    ) -> Response:
        """Schedules in the order of their names."""
        return document(await requests.list_schedules(ANYBODY, node, after=after, limit=limit))

    @routes.post(
        "/{name}",
        status_code=201,
        response_model=ScheduleDetail,
        responses={**_OF_BODY, 409: _PROBLEM},
        openapi_extra=body_of(ScheduleWanted),
    )
    async def create_schedule(request: Request, name: Name, by: By = "") -> Response:
        """Make a schedule. Its first fire is the first time after now."""
        actor, wanted = Actor(by), await read_body(request, ScheduleWanted, body_bytes_max)
        made = await requests.create(actor, node, name, wanted, sagas_days=sagas_days)
        return document(made, 201, {"Location": below(request, f"/v1/schedules/{name}")})

    @routes.put("/{name}", response_model=ScheduleDetail, responses=_OF_BODY, openapi_extra=body_of(ScheduleWanted))
    async def replace_schedule(request: Request, name: Name, by: By = "") -> Response:
        """Replace a schedule. What it was to fire before now is left out; its counts and last fires stay."""
        actor, wanted = Actor(by), await read_body(request, ScheduleWanted, body_bytes_max)
        return document(await requests.replace_schedule(actor, node, name, wanted, sagas_days=sagas_days))

    @routes.get("/{name}", response_model=ScheduleDetail, responses={404: _PROBLEM})
    async def get_schedule(name: Name) -> Response:
        """Return a schedule: its next fires, its last ones, and what became of them."""
        return document(await requests.schedule_detail(ANYBODY, node, name))

    @routes.delete("/{name}", status_code=204, response_class=Response, responses={404: _PROBLEM})
    async def delete_schedule(name: Name, by: By = "") -> Response:
        """Delete a schedule. The sagas that it has started go on."""
        await requests.delete(Actor(by), node, name)
        return Response(status_code=204)

    @routes.post("/{name}/pause", response_model=ScheduleDetail, responses={404: _PROBLEM})
    async def pause_schedule(name: Name, by: By = "") -> Response:
        """Fire nothing from now on. A fire that waits for the end of the saga before is left out."""
        return document(await requests.pause(Actor(by), node, name))

    @routes.post("/{name}/resume", response_model=ScheduleDetail, responses={404: _PROBLEM})
    async def resume_schedule(name: Name, by: By = "") -> Response:
        """Fire again, from the first time after now: what passed meanwhile is not caught up."""
        return document(await requests.resume(Actor(by), node, name))

    @routes.post("/{name}/fire", response_model=ScheduleDetail, responses={404: _PROBLEM, 422: _PROBLEM})
    async def fire_schedule(request: Request, name: Name, by: By = "", _id: RequestId = None) -> Response:
        """Start its saga now, whatever its overlap, its pause and its times say."""
        return document(await requests.fire(Actor(by), node, name, request_id=idempotency_key(request)))

    return routes
