"""Secrets: set, listed, deleted, wrapped anew, verified. No answer has a value."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field, SecretStr

from goconductor.control.actor import NAME_CHARACTERS_MAX, asked_by
from goconductor.control.secrets import keeping
from goconductor.control.secrets.keeping import VALUE_BYTES_MAX, RewrappedSecrets, SecretDetail, SecretList, VerifiedSecrets
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.rest.http.asked import Body
from goconductor.rest.http.bodies import ENVELOPE_BYTES, body_of, document, read_body
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}
_OF_BODY: dict[int | str, Any] = dict.fromkeys((413, 415), _PROBLEM)

BODY_BYTES_MAX = 6 * VALUE_BYTES_MAX + ENVELOPE_BYTES
"""Greatest size of a request with a value, in bytes: JSON may escape each of its bytes."""
Name = Annotated[str, Path(description="the secret's name", max_length=100)]
By = Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks; kept with the secret")]


class WantedSecret(Body):
    """The value that a secret is to have, and who wants it so."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    value: Annotated[SecretStr, Field(description="up to 64 KiB of text; no answer ever has it")]


def router(node: Node, settings: Settings) -> APIRouter:
    """``/v1/secrets``, and ``/v1/keyring`` beside it, as a secret may have any name."""
    routes = APIRouter(prefix="/v1", tags=["secrets"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})

    @routes.get("/secrets", response_model=SecretList)
    async def list_secrets() -> Response:
        """Return secrets without their values, by their names."""
        return document(await keeping.list_secrets(asked_by(), node.store))

    @routes.put(
        "/secrets/{name}", response_model=SecretDetail, responses=_OF_BODY | {409: _PROBLEM}, openapi_extra=body_of(WantedSecret)
    )
    async def set_secret(request: Request, name: Name) -> Response:
        """Give a secret a new value, or make it."""
        wanted = await read_body(request, WantedSecret, BODY_BYTES_MAX)
        value = wanted.value.get_secret_value()
        return document(await keeping.set_secret(asked_by(wanted.by), node.store, settings.secrets, name, value))

    @routes.delete("/secrets/{name}", response_model=SecretDetail, responses={404: _PROBLEM})
    async def delete_secret(name: Name, by: By = "") -> Response:
        """Delete a secret. Processes that have it go on with it, and do not start again while their settings refer to it."""
        return document(await keeping.delete_secret(asked_by(by), node.store, name))

    @routes.post(
        "/keyring/rewrap", response_model=RewrappedSecrets, responses=_OF_BODY, openapi_extra=body_of(Body, required=False)
    )
    async def rewrap_secrets(request: Request) -> Response:
        """Wrap the data keys of all secrets by the newest wrapping key that this server knows."""
        actor = asked_by((await read_body(request, Body, ENVELOPE_BYTES)).by)
        return document(await keeping.rewrap_secrets(actor, node.store, settings.secrets))

    @routes.get("/keyring/verification", response_model=VerifiedSecrets)
    async def verify_secrets() -> Response:
        """Decrypt each secret by the wrapping keys of this server, and tell which can be."""
        return document(await keeping.verify_secrets(asked_by(), node.store, settings.secrets, settings.references))

    return routes
