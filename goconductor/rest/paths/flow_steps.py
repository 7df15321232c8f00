"""Flows and their steps: looked up, added, replaced, taken out and changed, each edit a new version."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from msgspec import UNSET
from pydantic import Field

from goconductor.control.actor import ANYBODY, NAME_CHARACTERS_MAX, asked_by
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.flows import editing
from goconductor.control.flows.editing import FlowDetail, FlowStepDetail
from goconductor.control.flows.edits import OwnFields
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, StepId
from goconductor.rest.http.problems import Problem
from goconductor.saga.definition import PRIORITY_MAX
from goconductor.saga.retry import SECONDS_MAX

_PROBLEM: dict[str, Any] = {"model": Problem}
_OF_EDIT: dict[int | str, dict[str, Any]] = dict.fromkeys((404, 409, 413, 415, 422), _PROBLEM)

Name = Annotated[str, Path(description="the flow's name")]


class StepEdit(Body):
    """A step of a flow, and of which version the edit is made."""

    step: Annotated[
        dict[str, Any],
        Field(
            description="the step, as definitions write it; perhaps before, ids of the steps that come after it, and from_step, "
            "the step at which the flow starts that it executes",
            examples=[{"id": "charge", "run": "bank.charge", "after": ["reserve"], "before": ["ship"]}],
        ),
    ]
    made_of: Annotated[str | None, Field(description="the version that the flow must be at; null takes the newest")] = None


class FlowChange(Body):
    """What a flow itself is to have. What is left out stays as it is."""

    priority: Annotated[
        int | None, Field(ge=-PRIORITY_MAX, le=PRIORITY_MAX, description="of the steps of its executions; null leaves it")
    ] = None
    timeout_seconds: Annotated[
        float | None,
        Field(gt=0, le=SECONDS_MAX, allow_inf_nan=False, strict=False, description="null removes the limit; left out leaves it"),
    ] = None
    made_of: Annotated[str | None, Field(description="the version that the flow must be at; null takes the newest")] = None


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths of a flow and of its steps, below ``/v1/flows``."""
    routes = APIRouter(prefix="/v1/flows/{name}", tags=["flows"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})
    body_bytes_max = settings.limits.payload_bytes_max + ENVELOPE_BYTES

    @routes.get("", response_model=FlowDetail, responses={404: _PROBLEM})
    async def get_flow(name: Name, version: Annotated[str | None, Query(description="the newest by default")] = None) -> Response:
        """Return a flow with its steps, as new executions take it."""
        return document(await editing.lookup(ANYBODY, node, name, version))

    @routes.patch("", response_model=FlowDetail, responses=_OF_EDIT, openapi_extra=body_of(FlowChange, required=False))
    async def change_flow(request: Request, name: Name) -> Response:
        """Change what a flow itself has, for its next executions: its priority, its timeout."""
        change = await read_body(request, FlowChange, ENVELOPE_BYTES)
        fields = OwnFields(
            priority=UNSET if change.priority is None else change.priority,
            timeout_seconds=change.timeout_seconds if "timeout_seconds" in change.model_fields_set else UNSET,
        )
        return document(await editing.change_flow(asked_by(change.by), node, name, fields, made_of=change.made_of))

    @routes.get("/steps/{step}", response_model=FlowStepDetail, responses={404: _PROBLEM})
    async def get_step(name: Name, step: StepId) -> Response:
        """Return one step of a flow, with those around it."""
        return document(await editing.lookup_step(ANYBODY, node, name, step))

    @routes.post("/steps", response_model=FlowDetail, responses=_OF_EDIT, openapi_extra=body_of(StepEdit))
    async def create_step(request: Request, name: Name) -> Response:
        """Add a step; the first one makes the flow. The same step again changes nothing."""
        edit = await read_body(request, StepEdit, body_bytes_max)
        return document(await editing.create_step(asked_by(edit.by), node, name, edit.step, made_of=edit.made_of))

    @routes.put("/steps/{step}", response_model=FlowDetail, responses=_OF_EDIT, openapi_extra=body_of(StepEdit))
    async def replace_step(request: Request, name: Name, step: StepId) -> Response:
        """Put a step in the place of the one of its id. Without `after` it has the same steps before it."""
        edit = await read_body(request, StepEdit, body_bytes_max)
        if edit.step.setdefault("id", step) != step:
            raise RequestInvalidError("the body", [Fault("$.step.id", f"should be {step!r}, as in the address; or leave it out")])
        return document(await editing.replace_step(asked_by(edit.by), node, name, edit.step, made_of=edit.made_of))

    @routes.delete("/steps/{step}", response_model=FlowDetail, responses={404: _PROBLEM, 409: _PROBLEM, 422: _PROBLEM})
    async def delete_step(
        name: Name,
        step: StepId,
        made_of: Annotated[str | None, Query(description="the version that the flow must be at")] = None,
        by: Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks; for the server's log")] = "",
    ) -> Response:
        """Remove a step. Those that came after it come after the steps before it."""
        return document(await editing.delete_step(asked_by(by), node, name, step, made_of=made_of))

    return routes
