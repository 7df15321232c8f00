"""The rules of every request: allowed hosts, headers of every answer, and that no exception gets out.

There is no authentication yet, so the server listens on loopback, and answers only to loopback names: a page in somebody's
browser that points a name of its own at 127.0.0.1 (DNS rebinding) is turned away by its ``Host``. A plain form cannot reach us
either, since bodies must be JSON by their type, which a browser asks permission for, and gets none.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goconductor.control.settings.sections import is_loopback
from goconductor.rest.http.problems import MISDIRECTED, response, unforeseen

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """The outermost layer.

    Args:
        app: what it guards.
        any_host: answer to every name; for servers that are not on loopback.
    """

    def __init__(self, app: ASGIApp, *, any_host: bool) -> None:
        self._app = app
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sender(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        try:
            if self._any_host or is_loopback(_name(Headers(scope=scope).get("host", ""))):
                await self._app(scope, receive, sender)
            else:
                detail = "it answers to localhost and 127.0.0.1 only; ask for it by such a name, or set rest.insecure"
                await response(MISDIRECTED, detail, scope["path"])(scope, receive, sender)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (the last place that can report anything)
            answer = unforeseen(error, scope["method"], scope["path"])
            if not begun:
                await answer(scope, receive, sender)


def _name(host: str) -> str:
    """Return a ``Host`` without its port; IPv6 addresses have brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
