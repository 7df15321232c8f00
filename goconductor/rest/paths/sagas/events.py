"""A saga's events as they happen, as server-sent events (HTML Living Standard, 9.2).

Each event of the saga's log is a message whose id is its seq, so that a browser that lost the connection goes on where it was
(``Last-Event-ID``). When the saga has ended, a last event ``end`` has its status, and the stream is over. A browser that then
comes back with the last id gets a 204, after which it stays away. A comment now and then keeps proxies from hanging up, and lets
a server notice a client that is gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from goconductor.control.actor import ANYBODY
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.models import HistoryEntry
from goconductor.control.sagas.queries import saga_status
from goconductor.control.sagas.requests import expected_of
from goconductor.control.watching.streaming import stream
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.rest.http.head_requests import FLAG
from goconductor.rest.http.parameters import STRICT, SagaId
from goconductor.rest.http.problems import Problem
from goconductor.rest.http.stopping import Stopping

MEDIA_TYPE = "text/event-stream"
SEQ_MAX = 2**62

_PROBLEM: dict[str, Any] = {"model": Problem}
_STREAM: dict[str, Any] = {
    "description": "`id` is the seq of an event, `data` the event as in the history; at last an event `end` with the status",
    "content": {MEDIA_TYPE: {"schema": {}}},
}
_NOTHING = {"description": "the saga has ended, and there is no event after `Last-Event-ID`"}


def router(node: Node, stopping: Stopping) -> APIRouter:
    """``/v1/sagas/{id}/events``."""
    routes = APIRouter(prefix="/v1/sagas", tags=["sagas"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})

    @routes.get("/{saga_id}/events", response_class=StreamingResponse, responses={200: _STREAM, 204: _NOTHING, 404: _PROBLEM})
    async def get_events(
        request: Request,
        saga_id: SagaId,
        after: Annotated[int, Query(ge=0, le=SEQ_MAX, description="only events with a higher seq")] = 0,
        last_event_id: Annotated[
            str | None,
            Header(description="as a browser sends it; it counts before `after`", json_schema_extra={"pattern": "^[0-9]*$"}),
        ] = None,
    ) -> Response:
        """Return the saga's events, and those to come, until it has ended; as server-sent events."""
        known = after if not last_event_id else _seq(last_event_id)
        detail = await saga_status(ANYBODY, node, saga_id)
        seq = expected_of(detail.revision).seq
        if last_event_id and detail.status.ended and known >= seq:
            return Response(status_code=204)
        headers = {"X-Accel-Buffering": "no"}
        if request.scope.get(FLAG):
            return Response(media_type=MEDIA_TYPE, headers=headers)
        return StreamingResponse(_stream(node, saga_id, min(known, seq), stopping), media_type=MEDIA_TYPE, headers=headers)

    return routes


async def _stream(node: Node, saga_id: UUID, after: int, stops: Stopping) -> AsyncIterator[str]:
    """Yield the stream, until the saga has ended, the client is gone, or the server stops."""
    with stops.awaited() as stopping:
        async with aclosing(stream(ANYBODY, node, saga_id, after, stopping)) as told:
            async for each in told:
                match each:
                    case None:
                        yield ":\n\n"
                    case SagaStatus():
                        yield f"event: end\ndata: {msgspec.json.encode({'status': each.value}).decode()}\n\n"
                    case HistoryEntry():
                        yield f"id: {each.seq}\ndata: {each.model_dump_json()}\n\n"


def _seq(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > SEQ_MAX:
        problem = "should be the id of the last event that you got, a whole number"
        raise RequestInvalidError("the request", [Fault("header.last-event-id", problem)])
    return int(text)
