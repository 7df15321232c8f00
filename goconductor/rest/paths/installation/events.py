"""What happens to all sagas, as server-sent events (HTML Living Standard, 9.2).

Each message has the cursor of its event as its id, so that a browser that lost the connection goes on where it was
(``Last-Event-ID``). While nothing happens that is wanted, an id alone comes now and then: it moves the browser's place on, keeps
proxies from hanging up, and lets a server notice a client that is gone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from goconductor.control.actor import ANYBODY
from goconductor.control.models import FeedEvent
from goconductor.control.sagas import filters
from goconductor.control.watching.everything import watch_all as watching
from goconductor.engine.node import Node
from goconductor.errors import CursorLostError
from goconductor.rest.http.head_requests import FLAG
from goconductor.rest.http.parameters import STRICT, in_query
from goconductor.rest.http.problems import Problem
from goconductor.rest.http.stopping import Stopping

MEDIA_TYPE = "text/event-stream"
CURSOR_CHARACTERS_MAX = 200
"""Greatest length of a cursor, in characters."""

_PROBLEM: dict[str, Any] = {"model": Problem}
_STREAM: dict[str, Any] = {
    "description": "`id` is a cursor, `data` the event with its saga; without `data`, a sign of life",
    "content": {MEDIA_TYPE: {"schema": {}}},
}


def router(node: Node, stopping: Stopping) -> APIRouter:
    """``/v1/events``."""
    routes = APIRouter(prefix="/v1", tags=["sagas"], dependencies=STRICT, responses={400: _PROBLEM, 503: _PROBLEM})

    @routes.get("/events", response_class=StreamingResponse, responses={200: _STREAM, 410: _PROBLEM})
    async def watch_all(
        request: Request,
        after: Annotated[
            str | None,
            Query(max_length=CURSOR_CHARACTERS_MAX, description="the cursor of the last event; without it, from now"),
        ] = None,
        saga: Annotated[str | None, Query(description="only events of sagas of this name")] = None,
        status: Annotated[
            list[str] | None, Query(description="only events after which the saga has this status; may be repeated")
        ] = None,
        label: Annotated[list[str] | None, Query(description="only sagas with this label, name=value; may be repeated")] = None,
        last_event_id: Annotated[
            str | None, Header(max_length=CURSOR_CHARACTERS_MAX, description="as a browser sends it; it counts before `after`")
        ] = None,
    ) -> Response:
        """Return the events of all sagas as they happen, without an end; as server-sent events."""
        with in_query():
            told = await watching(
                ANYBODY,
                node,
                stopping.event,
                after=last_event_id or after,
                saga=saga,
                status=status,
                labels=filters.read_labels(label or ()),
            )
        headers = {"X-Accel-Buffering": "no"}
        if request.scope.get(FLAG):
            await told.aclose()
            return Response(media_type=MEDIA_TYPE, headers=headers)
        return StreamingResponse(_stream(told, stopping), media_type=MEDIA_TYPE, headers=headers)

    return routes


async def _stream(told: AsyncGenerator[FeedEvent | str, None], stops: Stopping) -> AsyncIterator[str]:
    """Yield the stream, until the client is gone or the server stops. After a failover it ends: who comes back learns why."""
    with stops.awaited():
        async with aclosing(told):
            try:
                async for each in told:
                    if isinstance(each, str):
                        yield f"id: {each}\n\n"
                    else:
                        yield f"id: {each.cursor}\ndata: {each.model_dump_json()}\n\n"
            except CursorLostError:
                return
