"""Probes: alive, and ready."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from goconductor.control.authority.authenticating import Authenticator
from goconductor.control.doors.problems import NOT_READY
from goconductor.control.installation.readiness import READY, readiness
from goconductor.control.models import Readiness
from goconductor.engine.node import Node
from goconductor.rest.http.bodies import document
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import RETRY_AFTER, Problem, ProblemPlace, response


def router(node: Node, authenticator: Authenticator | None) -> APIRouter:
    """``/livez`` and ``/readyz``."""
    routes = APIRouter(tags=["health"], dependencies=STRICT, responses={400: {"model": Problem}})

    @routes.get("/livez", response_model=Readiness)
    async def livez() -> Response:
        """Answer while the process lives. The answer has nothing of the database: a restart of this process would not bring that
        back.
        """
        return document(Readiness(ready=True, parts={}))

    @routes.get("/readyz", response_model=Readiness, responses={503: {"model": Problem}})
    async def readyz() -> Response:
        """Answer whether the store is reached and its schema fits; if not, with 503 and the name of the part."""
        found = await readiness(node, authenticator)
        if found.ready:
            return document(found)
        missing = [ProblemPlace(path=part, problem=what) for part, what in found.parts.items() if what != READY]
        detail = "; ".join(f"{place.path}: {place.problem}" for place in missing)
        return response(NOT_READY, detail, "/readyz", errors=missing, headers=RETRY_AFTER)

    return routes
