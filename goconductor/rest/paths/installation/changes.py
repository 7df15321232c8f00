"""Which bus and which election are used, and changing them while sagas run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from goconductor.control.actor import ANYBODY, NAME_CHARACTERS_MAX, asked_by
from goconductor.control.audit.noting import check_changes
from goconductor.control.doors.limits import DRAIN_SECONDS_MAX
from goconductor.control.installation import changes
from goconductor.control.models import ChangeDetail
from goconductor.control.settings.settings import Settings
from goconductor.engine.node import Node
from goconductor.ports.store.leading.choices import BUS, ELECTION
from goconductor.rest.http.bodies import document
from goconductor.rest.http.parameters import STRICT
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}


def router(node: Node, settings: Settings) -> APIRouter:
    """``/v1/bus`` and ``/v1/election``."""
    routes = APIRouter(prefix="/v1", tags=["installation"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})
    for kind, named in ((BUS, settings.bus.named()), (ELECTION, settings.election.named())):
        _add(routes, node, kind, list(named))
    return routes


def _add(routes: APIRouter, node: Node, kind: str, named: list[str]) -> None:
    @routes.get(f"/{kind}", response_model=ChangeDetail)
    async def get_choice() -> Response:
        """Return which one is used and by which processes, and how far a change of it is."""
        return document(await changes.present(ANYBODY, node.store, kind, named=named))

    @routes.post(f"/{kind}/migrate", response_model=ChangeDetail, responses={409: _PROBLEM})
    async def migrate(
        to: Annotated[str, Query(pattern="^[A-Za-z0-9_-]{1,60}$", description="the name of the one to be used")],
        by: Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks")] = "",
        drain_seconds: Annotated[
            float, Query(ge=0, le=DRAIN_SECONDS_MAX, allow_inf_nan=False, description="how long the old bus is read at most")
        ] = changes.DRAIN_SECONDS,
        force: Annotated[bool, Query(description="leave processes behind that do not name it")] = False,
    ) -> Response:
        """Change it for another while sagas run, as far as it can go now. The answer has what it waits for. Ask again until it is
        `done`; ask for the old one to go back.
        """
        check_changes(node.reads_only)  # the function has the store alone, which does not know that
        found = await changes.change(asked_by(by), node.store, kind, to=to, named=named, drain_seconds=drain_seconds, force=force)
        return document(found)
