"""The audit log: who has asked for what, and whether the log still says what it said."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from goconductor.control.actor import asked_by
from goconductor.control.audit.reading import CHARACTERS_MAX, ID_MAX, PAGE_MAX, AuditPage, AuditProof, entries, verify
from goconductor.control.sagas.filters import read_time
from goconductor.engine.node import Node
from goconductor.rest.http.bodies import document
from goconductor.rest.http.parameters import STRICT, in_query
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}


def _text(description: str) -> Any:
    return Query(description=description, max_length=CHARACTERS_MAX)


def router(node: Node) -> APIRouter:
    """``/v1/audit``."""
    routes = APIRouter(prefix="/v1/audit", tags=["audit"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})

    @routes.get("", response_model=AuditPage)
    async def list_audit(
        by: Annotated[str | None, _text("only requests of this actor")] = None,
        function: Annotated[str | None, _text("only calls of this function, such as sagas.requests.ask")] = None,
        about: Annotated[str | None, _text("only requests about this, such as 'saga 01930c…' or 'key 1f0c2a9b77d4'")] = None,
        outcome: Annotated[str | None, _text("only those that ended so: done, begun, unchanged or refused")] = None,
        since: Annotated[str | None, _text("only those from this moment or day on")] = None,
        until: Annotated[str | None, _text("only those before this moment or day")] = None,
        before: Annotated[int | None, Query(ge=1, le=ID_MAX, description="'before' of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
    ) -> Response:
        """Return what was asked, the newest first."""
        with in_query():
            found = await entries(
                asked_by(),
                node,
                by=by,
                function=function,
                about=about,
                outcome=outcome,
                since=read_time(since, name="since"),
                until=read_time(until, name="until"),
                before=before,
                limit=limit,
            )
        return document(found)

    @routes.get("/proof", response_model=AuditProof)
    async def verify_audit(
        against: Annotated[str | None, _text("a link that was kept elsewhere: the chain must have it")] = None,
    ) -> Response:
        """Compute the chain of the audit log anew, and say where it does not fit first."""
        with in_query():
            return document(await verify(asked_by(), node, against=against))

    return routes
