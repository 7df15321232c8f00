"""Runs of dataflows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from goconductor.control.actor import asked_by
from goconductor.control.dataflows import runs
from goconductor.control.dataflows.documents import DataflowRun
from goconductor.control.sagas.starting import KEY_CHARACTERS_MAX
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import Problem
from goconductor.rest.http.stopping import Stopping

WAIT_SECONDS_MAX = 300.0
"""Greatest number of seconds that a request waits for a run."""

_PROBLEM: dict[str, Any] = {"model": Problem}
Name = Annotated[str, Path(description="the dataflow's name", min_length=1, max_length=100)]


class Given(Body):
    """What a dataflow is given."""

    id: Annotated[str, Field(min_length=1, max_length=KEY_CHARACTERS_MAX, description="which one; its first run begins it")]
    data: Annotated[dict[str, Any], Field(default_factory=dict, description="datum → its value: any JSON value but null")]
    close: Annotated[bool, Field(description="whether it ends, once its target is there")] = False


def router(node: Node, settings: Settings, stopping: Stopping) -> APIRouter:
    """Make the paths below ``/v1/dataflows``."""
    routes = APIRouter(
        prefix="/v1/dataflows",
        tags=["dataflows"],
        dependencies=STRICT,
        responses=dict.fromkeys((400, 404, 409, 413, 415, 503), _PROBLEM),
    )
    body_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES

    @routes.post("/{name}/runs", response_model=DataflowRun, openapi_extra=body_of(Given))
    async def run(
        request: Request,
        name: Name,
        wait_seconds: Annotated[
            float, Query(ge=0, le=WAIT_SECONDS_MAX, allow_inf_nan=False, description="how many seconds to wait for what runs")
        ] = runs.TIMEOUT_SECONDS,
    ) -> Response:
        """Give a dataflow data and let run what can: what was made, what is missing, and who wants it. It may be repeated."""
        given = await read_body(request, Given, body_bytes_max)
        with stopping.awaited() as stops:
            answer = await runs.run(
                asked_by(given.by),
                node,
                name,
                given.id,
                given.data,
                close=given.close,
                timeout_seconds=wait_seconds,
                stopping=stops,
            )
        return document(answer)

    return routes
