"""The rules of every request: allowed hosts, headers of every answer, and that no exception gets out.

Without authentication the server listens on loopback, and answers only to loopback names: a page in somebody's browser that
points a name of its own at 127.0.0.1 (DNS rebinding) is turned away by its ``Host``. With it such a page has no key.

A page may also ask for us by our own name (cross-site request forgery). It cannot read the answer, and it cannot send JSON: that
wants a permission that we never give. But it can send a request without a body. So what may change something is refused where the
browser says that another site asks: by ``Sec-Fetch-Site`` (W3C Fetch Metadata), or by an ``Origin`` (RFC 6454) that is not our
``Host``. Programs that are no browsers send neither.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goconductor.control.audit.origin import coming
from goconductor.control.doors.problems import CROSS_SITE, MISDIRECTED
from goconductor.control.settings.sections import is_loopback
from goconductor.rest.http.problems import response, unforeseen

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
"""Methods that change nothing here."""
OTHER_SITES = {"cross-site", "same-site"}
"""Values of ``Sec-Fetch-Site`` for a page of another origin."""


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
            headers = Headers(scope=scope)
            if not self._any_host and not is_loopback(_name(headers.get("host", ""))):
                detail = "it answers to localhost and 127.0.0.1 only; ask for it by such a name, or set rest.insecure"
                await response(MISDIRECTED, detail, scope["path"])(scope, receive, sender)
            elif scope["method"] not in SAFE_METHODS and _of_other_site(headers):
                detail = (
                    "a page of another site may not change anything here; ask from a page of this very host and port, or from a "
                    "program that sends neither Origin nor Sec-Fetch-Site; a proxy in between passes Host on unchanged"
                )
                await response(CROSS_SITE, detail, scope["path"])(scope, receive, sender)
            else:
                client = scope.get("client")
                with coming(door="rest", address=client[0] if client else ""):
                    await self._app(scope, receive, sender)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (the last place that can report anything)
            answer = unforeseen(error, scope["method"], scope["path"])
            if not begun:
                await answer(scope, receive, sender)


def _of_other_site(headers: Headers) -> bool:
    """Return whether a browser says that a page of another origin makes the request."""
    if any(site.strip().lower() in OTHER_SITES for site in headers.getlist("sec-fetch-site")):
        return True
    host = headers.get("host", "").lower()
    return any(_authority(origin) != host for origin in headers.getlist("origin"))


def _authority(origin: str) -> str | None:
    """Return the host and port of an ``Origin`` as ``Host`` has them; None if it has none, as ``null``."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _name(host: str) -> str:
    """Return a ``Host`` without its port; IPv6 addresses have brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
