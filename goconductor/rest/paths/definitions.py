"""Definitions: register, list."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from goconductor.control.actor import ANYBODY, asked_by
from goconductor.control.definitions import comparing, loading, versions
from goconductor.control.definitions.comparing import DefinitionDiff
from goconductor.control.definitions.json_schema import definition_schema
from goconductor.control.diagrams.drawing import Form, diagram
from goconductor.control.diagrams.texts import MEDIA_TYPES, Language, text
from goconductor.control.models import DefinitionDetail, DefinitionList, DefinitionSummary
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.errors import DefinitionError
from goconductor.rest.http.bodies import document, read_json
from goconductor.rest.http.diagrams import DIAGRAM, diagram_response
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import Problem

ACTIVE = "active"
"""Name of the version that new sagas take, where one is only read."""

Name = Annotated[str, Path(description="the saga's name")]
Version = Annotated[str, Path(description=f"a version, or '{ACTIVE}' for the one that new sagas take")]

SCHEMA_MEDIA = "application/schema+json"

_PROBLEM: dict[str, Any] = {"model": Problem}
_SCHEMA: dict[str, Any] = {"description": "the schema", "content": {SCHEMA_MEDIA: {"schema": {"type": "object"}}}}
_TEXT: dict[str, Any] = {
    "description": "the definition, written",
    "content": {
        media_type: {"schema": {"type": "object" if language in (Language.JSON, Language.YAML) else "string"}}
        for language, media_type in MEDIA_TYPES.items()
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "the definition",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "name": "order",
                    "steps": [
                        {"id": "reserve", "run": "inventory.reserve", "inputs": {"sku": {"ref": "$.input.sku"}}},
                        {"id": "ship", "run": "shipping.ship", "after": ["reserve"], "pivot": True},
                    ],
                },
            }
        },
    }
}


def router(node: Node, settings: Settings) -> APIRouter:
    """Make the paths below ``/v1/definitions``."""
    routes = APIRouter(
        prefix="/v1/definitions", tags=["definitions"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM}
    )
    body_bytes_max = settings.limits.payload_bytes_max

    @routes.put(
        "/{name}",
        response_model=DefinitionSummary,
        responses=dict.fromkeys((413, 415, 422), _PROBLEM),
        openapi_extra=_BODY,
    )
    async def put_definition(
        request: Request,
        name: Name,
        activate: Annotated[bool, Query(description="whether new sagas take it, unless one is pinned or in living code")] = True,
    ) -> Response:
        """Register a version of a saga's definition. The same definition again changes nothing."""
        definition = loading.read(await read_json(request, body_bytes_max))
        if definition.name != name:
            problem = f"it is called {definition.name!r} and was sent to {name!r}; use one name"
            raise DefinitionError(definition.name, [problem])
        return document(await versions.register(asked_by(), node, definition, activate=activate))

    @routes.get("", response_model=DefinitionList)
    async def list_definitions() -> Response:
        """Return all versions of all definitions."""
        return document(DefinitionList(definitions=await versions.list_definitions(ANYBODY, node)))

    @routes.get("/{name}", response_model=DefinitionList, responses={404: _PROBLEM})
    async def list_versions(name: Name) -> Response:
        """Return all versions of one definition, oldest first."""
        return document(DefinitionList(definitions=await versions.versions_of(ANYBODY, node, name)))

    @routes.get("/{name}/{version}", response_model=DefinitionDetail, responses={404: _PROBLEM})
    async def get_definition(name: Name, version: Version) -> Response:
        """Return one version with its document."""
        return document(await versions.definition(ANYBODY, node, name, _meant(version)))

    @routes.post(
        "/{name}/{version}/activate", response_model=DefinitionSummary, responses={404: _PROBLEM, 409: _PROBLEM, 422: _PROBLEM}
    )
    async def activate_version(name: Name, version: Version) -> Response:
        """Pin this version: new sagas take it, whatever instances have in their code; those that have started keep theirs."""
        return document(await versions.activate(asked_by(), node, name, version))

    @routes.post("/{name}/active/unpin", response_model=DefinitionSummary, responses={404: _PROBLEM})
    async def unpin(name: Name) -> Response:
        """Leave it to the newest version that a living instance has in its code; answers which that is."""
        return document(await versions.unpin(asked_by(), node, name))

    @routes.get("/{name}/{version}/diff", response_model=DefinitionDiff, responses={404: _PROBLEM})
    async def get_diff(
        name: Name, version: Version, to: Annotated[str, Query(description="the version to compare it with")] = ACTIVE
    ) -> Response:
        """Say in words what differs between two versions, and whether running sagas could go on under the other one."""
        return document(await comparing.diff(ANYBODY, node, name, _meant(version), _meant(to)))

    @routes.get("/{name}/{version}/diagram", response_class=Response, responses={200: DIAGRAM, 404: _PROBLEM})
    async def get_diagram(
        name: Name, version: Version, form: Annotated[Form, Query(description="Mermaid or SVG")] = Form.MERMAID
    ) -> Response:
        """Return a diagram of one version."""
        return diagram_response(await diagram(ANYBODY, node, name, _meant(version), form=form), form)

    @routes.get("/{name}/{version}/text", response_class=Response, responses={200: _TEXT, 404: _PROBLEM, 422: _PROBLEM})
    async def get_definition_text(
        name: Name,
        version: Version,
        language: Annotated[
            Language, Query(alias="as", description="JSON, YAML, Python code or a Mermaid diagram")
        ] = Language.JSON,
        compiled: Annotated[bool, Query(description="with steps and conditions in place of groups and switches")] = False,
    ) -> Response:
        """Return one version as it can be registered again: in JSON or YAML, as Python code, or as a diagram."""
        written = await text(ANYBODY, node, name, _meant(version), language=language, as_compiled=compiled)
        return Response(written, media_type=f"{MEDIA_TYPES[language]}; charset=utf-8")

    return routes


def schema_router() -> APIRouter:
    """Make the path of the schema. It is none below ``/v1/definitions``, where it could be a saga's name."""
    routes = APIRouter(tags=["definitions"], dependencies=STRICT, responses={400: _PROBLEM})

    @routes.get("/v1/definition-schema", response_class=Response, responses={200: _SCHEMA})
    async def get_definition_schema() -> Response:
        """Return the JSON Schema (2020-12) of definitions, for editors."""
        return Response(json.dumps(definition_schema()), media_type=SCHEMA_MEDIA)

    return routes


def _meant(version: str) -> str | None:
    return None if version == ACTIVE else version
