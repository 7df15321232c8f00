"""Asks who is there, of every request but a probe's; then, at the route, whether they may.

The first half stands before the router: what it lets through without a question is named path by path, and compared whole. The
second half is a dependency of every route, and refuses what no table knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from goconductor.control.actor import ANYBODY, Actor, asked_by, known_as
from goconductor.control.audit.noting import note_refusal
from goconductor.control.audit.origin import coming
from goconductor.control.authority.authenticating import Authenticator, Principal, ProviderUnavailableError, UnauthenticatedError
from goconductor.control.authority.rates import TooManyRequestsError
from goconductor.control.authority.roles import ForbiddenError, check_permitted
from goconductor.control.doors.problems import FORBIDDEN, PROVIDER_UNAVAILABLE, TOO_MANY_REQUESTS, UNAUTHENTICATED, UNAVAILABLE
from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Audit
from goconductor.rest.http.permissions import function_of
from goconductor.rest.http.problems import RETRY_AFTER, challenge, response

OPEN = frozenset({"/livez", "/readyz"})
"""Paths without a question. The answers have no more than whether the process is ready, and what is missing."""
DOCUMENT = "/openapi.json"
SECURITY: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "an API key, gck_…, or a token of oidc.issuer"}
}
"""The security scheme in the document."""
REFUSALS = (("401", "Unauthorized"), ("403", "Forbidden"), ("429", "Too Many Requests"))
"""What it may answer in place of an operation."""


class Gate:
    """A layer that lets through whoever is known.

    Args:
        app: what is behind it.
        authenticator: knows who is there.
        open_paths: paths without a question.
        audit: returns the audit log of the store.
    """

    def __init__(
        self, app: ASGIApp, *, authenticator: Authenticator, open_paths: frozenset[str], audit: Callable[[], Audit]
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._open_paths = open_paths
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope.get("path", "")
        below = path.removeprefix(scope.get("root_path", "").rstrip("/"))
        if scope["type"] != "http" or below in self._open_paths:
            await self._app(scope, receive, send)
            return
        begun = False

        async def sender(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        given, what = Headers(scope=scope).getlist("authorization"), f"{scope['method']} {below}"
        try:
            principal = await self._known(given, what)
            if below == DOCUMENT:  # a route without dependencies; over gRPC reflection asks for the same
                with coming(means=principal.means):
                    await _permit(self._audit(), principal.actor, "definitions.json_schema.definition_schema", f"GET {DOCUMENT}")
            async with self._authenticator.held(principal):
                with known_as(principal.actor), coming(means=principal.means):
                    await self._app(scope, receive, sender)
        except UnauthenticatedError as error:
            if begun:  # a stream ends; whoever asks for it again is told why
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await note_refusal(self._audit(), ANYBODY, None, error, what=what)
            answer = response(UNAUTHENTICATED, str(error), path, headers=challenge("invalid_token" if given else None))
            await answer(scope, receive, send)
        except StoreUnavailableError as error:
            await response(UNAVAILABLE, str(error), path, headers=RETRY_AFTER)(scope, receive, send)
        except ProviderUnavailableError as error:
            await response(PROVIDER_UNAVAILABLE, str(error), path, headers=RETRY_AFTER)(scope, receive, send)
        except ForbiddenError as error:
            await response(FORBIDDEN, str(error), path, headers=challenge("insufficient_scope"))(scope, receive, send)
        except TooManyRequestsError as error:
            await response(TOO_MANY_REQUESTS, str(error), path, headers=RETRY_AFTER)(scope, receive, send)

    async def _known(self, given: list[str], what: str) -> Principal:
        try:
            return await self._authenticator.principal(given)
        except ForbiddenError as error:  # a token that gives no role
            await note_refusal(self._audit(), ANYBODY, None, error, what=what)
            raise


def permitted(open_paths: frozenset[str], audit: Callable[[], Audit]) -> Callable[[Request], Awaitable[None]]:
    """Make the dependency of every route, which refuses what the actor may not do.

    Args:
        open_paths: paths without a question.
        audit: returns the audit log of the store.
    """

    async def check(request: Request) -> None:
        route = request.scope["route"]
        if route.path_format not in open_paths:
            function, actor = function_of(request.method, route.path_format, tuple(route.tags)), asked_by()
            await _permit(audit(), actor, function, f"{request.method} {route.path_format}")

    return check


async def _permit(audit: Audit, actor: Actor, function: str | None, what: str) -> None:
    try:
        check_permitted(actor, function)
    except ForbiddenError as error:
        await note_refusal(audit, actor, function, error, what=what)
        raise


def describe(schema: dict[str, Any], open_paths: frozenset[str]) -> None:
    """Tell of the gate in the document.

    Args:
        schema: the document.
        open_paths: paths without a question.
    """
    schema["components"]["securitySchemes"] = SECURITY
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in open_paths else [{name: [] for name in SECURITY}]
            for status, meaning in () if path in open_paths else REFUSALS:
                operation["responses"][status] = {"description": meaning, "content": {"application/problem+json": problem}}
