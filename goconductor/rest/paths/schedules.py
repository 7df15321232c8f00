"""Schedules: make, change, look at, fire by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from goconductor.control.actor import ANYBODY, NAME_CHARACTERS_MAX, Actor, asked_by
from goconductor.control.schedules import requests
from goconductor.control.schedules.documents import ScheduleDetail, ScheduleList, ScheduleWanted
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body, RequestId
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, below, idempotency_key
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
_OF_REQUEST: dict[int | str, dict[str, Any]] = dict.fromkeys((404, 413, 415), _PROBLEM)
_OF_BODY = {**_OF_REQUEST, 422: _PROBLEM}

Name = Annotated[str, Path(description="the schedule's name")]
By = Annotated[str, Field(max_length=NAME_CHARACTERS_MAX, description="who asks; kept with the schedule")]


class WantedBy(ScheduleWanted):
    """What a schedule is to be, and who wants it so."""

    by: By = ""


class Asked(Body):
    """Who asks."""

    by: By = ""


_BY = body_of(Asked, required=False)


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
        openapi_extra=body_of(WantedBy),
    )
    async def create_schedule(request: Request, name: Name) -> Response:
        """Make a schedule. Its first fire is the first time after now."""
        wanted = await read_body(request, WantedBy, body_bytes_max)
        made = await requests.create(asked_by(wanted.by), node, name, wanted, sagas_days=sagas_days)
        return document(made, 201, {"Location": below(request, f"/v1/schedules/{name}")})

    @routes.put("/{name}", response_model=ScheduleDetail, responses=_OF_BODY, openapi_extra=body_of(WantedBy))
    async def replace_schedule(request: Request, name: Name) -> Response:
        """Replace a schedule. What it was to fire before now is left out; its counts and last fires stay."""
        wanted = await read_body(request, WantedBy, body_bytes_max)
        return document(await requests.replace_schedule(asked_by(wanted.by), node, name, wanted, sagas_days=sagas_days))

    @routes.get("/{name}", response_model=ScheduleDetail, responses={404: _PROBLEM})
    async def get_schedule(name: Name) -> Response:
        """Return a schedule: its next fires, its last ones, and what became of them."""
        return document(await requests.schedule_detail(ANYBODY, node, name))

    @routes.delete("/{name}", status_code=204, response_class=Response, responses={404: _PROBLEM})
    async def delete_schedule(
        name: Name, by: Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks; for the server's log")] = ""
    ) -> Response:
        """Delete a schedule. The sagas that it has started go on."""
        await requests.delete(asked_by(by), node, name)
        return Response(status_code=204)

    @routes.post("/{name}/pause", response_model=ScheduleDetail, responses=_OF_REQUEST, openapi_extra=_BY)
    async def pause_schedule(request: Request, name: Name) -> Response:
        """Fire nothing from now on. A fire that waits for the end of the saga before is left out."""
        return document(await requests.pause(await _actor(request), node, name))

    @routes.post("/{name}/resume", response_model=ScheduleDetail, responses=_OF_REQUEST, openapi_extra=_BY)
    async def resume_schedule(request: Request, name: Name) -> Response:
        """Fire again, from the first time after now: what passed meanwhile is not caught up."""
        return document(await requests.resume(await _actor(request), node, name))

    @routes.post("/{name}/fire", response_model=ScheduleDetail, responses=_OF_BODY, openapi_extra=_BY)
    async def fire_schedule(request: Request, name: Name, _id: RequestId = None) -> Response:
        """Start its saga now, whatever its overlap, its pause and its times say."""
        request_id = idempotency_key(request)
        return document(await requests.fire(await _actor(request), node, name, request_id=request_id))

    return routes


async def _actor(request: Request) -> Actor:
    """Read the actor of a request that says nothing else."""
    return asked_by((await read_body(request, Asked, ENVELOPE_BYTES)).by)
