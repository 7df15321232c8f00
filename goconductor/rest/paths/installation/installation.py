"""The installation as a whole: participants, the leader, locks, dead letters."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from goconductor.control.actor import ANYBODY, NAME_CHARACTERS_MAX, asked_by
from goconductor.control.doors.limits import DEAD_SECONDS_MAX, LETTERS_MAX, LOCKS_MAX
from goconductor.control.installation import dead_letters
from goconductor.control.installation.locks import locks
from goconductor.control.installation.participants import DEAD_SECONDS, leader, participants
from goconductor.control.models import DeadLetterDetail, DeadLetterPage, LeaderDetail, LockPage, ParticipantList
from goconductor.control.sagas.requests import REASON_CHARACTERS_MAX
from goconductor.engine.node import Node
from goconductor.rest.http.bodies import document
from goconductor.rest.http.parameters import STRICT, in_query
from goconductor.rest.http.problems import Problem

_PROBLEM: dict[str, Any] = {"model": Problem}

LetterId = Annotated[int, Path(ge=1, le=dead_letters.LETTER_ID_MAX, description="the dead letter's number")]
By = Annotated[str, Query(max_length=NAME_CHARACTERS_MAX, description="who asks; for the server's log")]


def router(node: Node) -> APIRouter:
    """``/v1/participants``, ``/v1/leader``, ``/v1/locks`` and ``/v1/dead-letters``."""
    routes = APIRouter(prefix="/v1", tags=["installation"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})

    @routes.get("/participants", response_model=ParticipantList)
    async def list_participants(
        dead_seconds: Annotated[
            float,
            Query(ge=0, le=DEAD_SECONDS_MAX, allow_inf_nan=False, description="also those that died within this many seconds"),
        ] = DEAD_SECONDS,
    ) -> Response:
        """Participants with their instances: alive or not, their leases and their last sign of life."""
        return document(ParticipantList(participants=await participants(ANYBODY, node, dead_seconds=dead_seconds)))

    @routes.get("/leader", response_model=LeaderDetail)
    async def get_leader() -> Response:
        """Return the leader, its epoch, and what it did lately."""
        return document(await leader(ANYBODY, node))

    @routes.get("/locks", response_model=LockPage)
    async def list_locks(
        key: Annotated[str | None, Query(description="only this lock")] = None,
        saga_id: Annotated[UUID | None, Query(description="only locks that this saga holds or waits for")] = None,
        limit: Annotated[int, Query(ge=1, le=LOCKS_MAX)] = 50,
        after: Annotated[str | None, Query(description="'after' of the page before")] = None,
    ) -> Response:
        """Locks by key: first who holds one, then who waits for it, in the order of the queue."""
        with in_query():
            return document(await locks(ANYBODY, node, key=key, saga_id=saga_id, limit=limit, after=after))

    @routes.get("/dead-letters", response_model=DeadLetterPage)
    async def list_dead_letters(
        limit: Annotated[int, Query(ge=1, le=LETTERS_MAX)] = 50,
        before: Annotated[
            int | None, Query(ge=1, le=dead_letters.LETTER_ID_MAX, description="only ids below this one, from the page before")
        ] = None,
    ) -> Response:
        """Messages that were given up on, newest first."""
        return document(await dead_letters.dead_letters(ANYBODY, node, limit=limit, before=before))

    @routes.post("/dead-letters/{letter_id}/redrive", response_model=DeadLetterDetail, responses={404: _PROBLEM})
    async def redrive_dead_letter(letter_id: LetterId, by: By = "") -> Response:
        """Send it to its topic again, then forget it."""
        return document(await dead_letters.redrive(asked_by(by), node, letter_id))

    @routes.delete("/dead-letters/{letter_id}", response_model=DeadLetterDetail, responses={404: _PROBLEM})
    async def drop_dead_letter(
        letter_id: LetterId,
        reason: Annotated[
            str, Query(min_length=1, max_length=REASON_CHARACTERS_MAX, pattern=r"\S", description="why; for the server's log")
        ],
        by: By = "",
    ) -> Response:
        """Forget it for good."""
        return document(await dead_letters.drop(asked_by(by), node, letter_id, reason=reason))

    return routes
