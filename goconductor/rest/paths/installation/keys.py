"""API keys: make, list, revoke."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field

from goconductor.control.actor import asked_by
from goconductor.control.authority import keys
from goconductor.control.authority.keys import KeyDetail, KeyList, MadeKey
from goconductor.control.roles import WRITTEN
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}

KeyId = Annotated[str, Path(description="the key's id", max_length=100)]


class WantedKey(Body):
    """What a key is to be, and who wants it so."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(description="whose it is: letters, digits, '_' and '-'")]
    roles: Annotated[list[str], Field(description=f"of {WRITTEN}")]
    expires_days: Annotated[float | None, Field(description="days after which it ends; null is never")] = None


def router(node: Node) -> APIRouter:
    """``/v1/keys``."""
    routes = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})

    @routes.get("", response_model=KeyList)
    async def list_keys() -> Response:
        """Return API keys without their secrets, the newest first."""
        return document(await keys.list_keys(asked_by(), node))

    @routes.post(
        "",
        status_code=201,
        response_model=MadeKey,
        responses=dict.fromkeys((413, 415), _PROBLEM),
        openapi_extra=body_of(WantedKey),
    )
    async def create_key(request: Request) -> Response:
        """Make an API key. Only this answer has it."""
        wanted = await read_body(request, WantedKey, ENVELOPE_BYTES)
        actor = asked_by(wanted.by)
        return document(await keys.create_key(actor, node, wanted.name, wanted.roles, expires_days=wanted.expires_days), 201)

    @routes.delete("/{key_id}", response_model=KeyDetail, responses={404: _PROBLEM})
    async def revoke_key(key_id: KeyId) -> Response:
        """End an API key. It stays in the list."""
        return document(await keys.revoke_key(asked_by(), node, key_id))

    return routes
