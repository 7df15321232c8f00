"""What the server answers before its node is open: that it lives, and what it waits for."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from goconductor.control.doors.problems import NOT_READY
from goconductor.control.models import Readiness
from goconductor.control.settings.settings import Settings
from goconductor.rest.http.bodies import document
from goconductor.rest.http.guard import Guard
from goconductor.rest.http.head_requests import HeadRequests
from goconductor.rest.http.problems import RETRY_AFTER, ProblemPlace, response

_WAITS = ProblemPlace(path="store", problem="the database cannot be used yet; the server's log has the reason and the remedy")


class Front:
    """Stands before an application that is not there yet.

    Args:
        settings: whether it stays on loopback.

    Attributes:
        behind: the application, once it is there; then it answers all.
    """

    def __init__(self, settings: Settings) -> None:
        self.behind: ASGIApp | None = None
        self._meanwhile = Guard(HeadRequests(_meanwhile), any_host=settings.rest.insecure or settings.auth.enabled)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.behind or self._meanwhile)(scope, receive, send)


async def _meanwhile(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/livez" and scope["method"] == "GET":
        answer = document(Readiness(ready=True, parts={}))
    else:
        answer = response(NOT_READY, str(_WAITS.problem), scope["path"], errors=[_WAITS], headers=RETRY_AFTER)
    await answer(scope, receive, send)
