"""Webhooks: register, change, look at, try, and send again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from goconductor.control.actor import NAME_CHARACTERS_MAX, Actor, asked_by
from goconductor.control.settings.settings import Settings
from goconductor.control.webhooks import queues, requests
from goconductor.control.webhooks.documents import (
    DeadDeliveries,
    MadeWebhook,
    RedrivenDeliveries,
    WebhookDetail,
    WebhookList,
    WebhookTest,
    WebhookWanted,
)
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT, below
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
_OF_REQUEST: dict[int | str, dict[str, Any]] = dict.fromkeys((404, 409, 413, 415), _PROBLEM)

Name = Annotated[str, Path(description="the webhook's name")]
By = Annotated[str, Field(max_length=NAME_CHARACTERS_MAX, description="who asks; kept with the webhook")]


class WebhookWantedBy(WebhookWanted):
    """What a webhook is to be, and who wants it so."""

    by: By = ""


class WebhookAsked(Body):
    """Who asks."""

    by: By = ""


class RotationAsked(WebhookAsked):
    """How a secret is rotated."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_seconds: Annotated[float, Field(description="seconds for which the old secret signs as well; 0 ends it now")] = (
        requests.OVERLAP_SECONDS
    )


class RedriveAsked(WebhookAsked):
    """What is sent again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    delivery_id: Annotated[int | None, Field(description="one delivery; null is the oldest 1,000")] = None


_BY = body_of(WebhookAsked, required=False)


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths below ``/v1/webhooks``."""
    routes = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})
    rules = settings.webhooks.rules

    @routes.get("", response_model=WebhookList)
    async def list_webhooks(
        after: Annotated[str, Query(description="only names behind this one, from the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=requests.PAGE_MAX)] = 50,
    ) -> Response:
        """Webhooks in the order of their names, without their secrets."""
        return document(await requests.list_webhooks(asked_by(), node, after=after, limit=limit))

    @routes.post(
        "/{name}", status_code=201, response_model=MadeWebhook, responses=_OF_REQUEST, openapi_extra=body_of(WebhookWantedBy)
    )
    async def create_webhook(request: Request, name: Name) -> Response:
        """Register a webhook. The answer has its secret this once. It is told what happens from now on."""
        wanted = await read_body(request, WebhookWantedBy, ENVELOPE_BYTES)
        made = await requests.create(asked_by(wanted.by), node, name, wanted, rules)
        return document(made, 201, {"Location": below(request, f"/v1/webhooks/{name}")})

    @routes.put("/{name}", response_model=WebhookDetail, responses=_OF_REQUEST, openapi_extra=body_of(WebhookWantedBy))
    async def replace_webhook(request: Request, name: Name) -> Response:
        """Replace where a webhook is and what it is told of. Its secret, its state and what waits stay."""
        wanted = await read_body(request, WebhookWantedBy, ENVELOPE_BYTES)
        return document(await requests.replace_webhook(asked_by(wanted.by), node, name, wanted, rules))

    @routes.get("/{name}", response_model=WebhookDetail, responses={404: _PROBLEM})
    async def get_webhook(name: Name) -> Response:
        """Return a webhook: what it is told of, what became of that, and what waits."""
        return document(await requests.webhook_detail(asked_by(), node, name))

    @routes.delete("/{name}", status_code=204, response_class=Response, responses={404: _PROBLEM, 409: _PROBLEM})
    async def delete_webhook(
        name: Name, by: Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks; for the server's log")] = ""
    ) -> Response:
        """Delete a webhook, with all that it is still to get."""
        await requests.delete(asked_by(by), node, name)
        return Response(status_code=204)

    @routes.post("/{name}/pause", response_model=WebhookDetail, responses=_OF_REQUEST, openapi_extra=_BY)
    async def pause_webhook(request: Request, name: Name) -> Response:
        """Send nothing to it from now on. What it wants is queued."""
        return document(await requests.pause(await _actor(request), node, name))

    @routes.post("/{name}/resume", response_model=WebhookDetail, responses=_OF_REQUEST, openapi_extra=_BY)
    async def resume_webhook(request: Request, name: Name) -> Response:
        """Send to it again, what waits first; also to one that has answered that it is gone."""
        return document(await requests.resume(await _actor(request), node, name))

    @routes.post(
        "/{name}/rotate", response_model=MadeWebhook, responses=_OF_REQUEST, openapi_extra=body_of(RotationAsked, required=False)
    )
    async def rotate_webhook(request: Request, name: Name) -> Response:
        """Give it a new secret, which the answer has this once. The old one signs as well for a while."""
        asked = await read_body(request, RotationAsked, ENVELOPE_BYTES)
        return document(await requests.rotate(asked_by(asked.by), node, name, overlap_seconds=asked.overlap_seconds))

    @routes.post("/{name}/test", response_model=WebhookTest, responses=_OF_REQUEST, openapi_extra=_BY)
    async def test_webhook(request: Request, name: Name) -> Response:
        """Queue a delivery that tries it. The leader sends it as any other."""
        return document(await queues.send_test(await _actor(request), node, name, rules))

    @routes.get("/{name}/dead-letters", response_model=DeadDeliveries, responses={404: _PROBLEM})
    async def list_webhook_dead_letters(
        name: Name,
        after: Annotated[
            int, Query(ge=0, le=queues.DELIVERY_ID_MAX, description="only those behind this number, from the page before")
        ] = 0,
        limit: Annotated[int, Query(ge=1, le=queues.PAGE_MAX)] = 50,
    ) -> Response:
        """Return what it has not taken and is sent no more, the oldest first."""
        return document(await queues.dead_letters(asked_by(), node, name, after=after, limit=limit))

    @routes.post(
        "/{name}/redrive",
        response_model=RedrivenDeliveries,
        responses=_OF_REQUEST,
        openapi_extra=body_of(RedriveAsked, required=False),
    )
    async def redrive_webhook(request: Request, name: Name) -> Response:
        """Send again at once what is dead, or waits for its next attempt."""
        asked = await read_body(request, RedriveAsked, ENVELOPE_BYTES)
        return document(await queues.redrive(asked_by(asked.by), node, name, delivery_id=asked.delivery_id))

    return routes


async def _actor(request: Request) -> Actor:
    """Read the actor of a request that says nothing else."""
    return asked_by((await read_body(request, WebhookAsked, ENVELOPE_BYTES)).by)
