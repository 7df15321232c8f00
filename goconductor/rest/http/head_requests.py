"""HEAD is answered as GET is, without the body (RFC 9110, 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

FLAG = "goconductor.head"
"""Set in the scope of such a request: a stream without end sends nothing then."""


class HeadRequests:
    """A layer that turns HEAD into GET.

    Args:
        app: what is below.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET", FLAG: True}, receive, sender)
