"""Asks who calls, before any method, reflection included; a call that lasts ends soon after its key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import grpc.aio

from goconductor.control.actor import ANYBODY, Actor, known_as
from goconductor.control.audit.noting import note_refusal
from goconductor.control.audit.origin import coming
from goconductor.control.authority.authenticating import Authenticator, Principal, UnauthenticatedError
from goconductor.control.authority.roles import ForbiddenError, check_permitted
from goconductor.errors import ConfigurationError
from goconductor.grpc import problems
from goconductor.grpc.calls import peer_of
from goconductor.grpc.gate.permissions import FUNCTIONS, OPEN
from goconductor.ports.store import Audit

HEADER = "authorization"


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets through whoever is known, and may.

    Attributes:
        authenticator: knows who is there; None until the node is open.
        audit: the audit log of the store; None until then.
    """

    def __init__(self) -> None:
        self.authenticator: Authenticator | None = None
        self.audit: Audit | None = None

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return the method's handler, or one that refuses."""
        name = details.method.removeprefix("/").replace("/", ".")
        if name in OPEN:
            return await continuation(details)
        given = [value for key, value in details.invocation_metadata or () if key == HEADER]
        actor, means = ANYBODY, ""
        try:
            authenticator = self._ready()
            principal = await authenticator.principal(given)
            actor, means = principal.actor, principal.means
            check_permitted(actor, FUNCTIONS.get(name))
        except Exception as error:  # noqa: BLE001  (the last place that can report anything)
            return _refusing(problems.answer(error, name), partial(self._note, actor, means, name, error))
        handler = await continuation(details)
        return handler and _held(handler, authenticator, principal, name)

    async def _note(self, actor: Actor, means: str, name: str, error: Exception, context: Any) -> None:
        if isinstance(error, UnauthenticatedError | ForbiddenError) and self.audit is not None:
            with coming(door="grpc", address=peer_of(context), means=means):
                await note_refusal(self.audit, actor, FUNCTIONS.get(name), error, what=name)

    def _ready(self) -> Authenticator:
        if self.authenticator is None:
            raise ConfigurationError("the database cannot be used yet; the server's log has the reason and the remedy")
        return self.authenticator


def _refusing(failed: problems.Answer, note: Callable[[Any], Awaitable[None]]) -> Any:
    async def refuse(_data: bytes, context: Any) -> None:
        await note(context)
        await context.abort(failed.code, failed.message, failed.metadata)

    return grpc.unary_unary_rpc_method_handler(refuse)


def _held(handler: Any, authenticator: Authenticator, principal: Principal, name: str) -> Any:
    """Make a handler of one, whose calls are their principal's and end with it."""

    async def ended(error: UnauthenticatedError, context: Any) -> None:
        failed = problems.answer(error, name)
        await context.abort(failed.code, failed.message, failed.metadata)

    async def unary(given: Any, context: Any) -> Any:
        try:
            async with authenticator.held(principal):
                with known_as(principal.actor), coming(means=principal.means):
                    return await handler.unary_unary(given, context)
        except UnauthenticatedError as error:
            return await ended(error, context)

    async def stream(given: Any, context: Any) -> AsyncIterator[Any]:
        made = handler.stream_stream or handler.unary_stream
        try:
            async with authenticator.held(principal):
                with known_as(principal.actor), coming(means=principal.means):
                    async for each in made(given, context):
                        yield each
                return
        except UnauthenticatedError as error:
            failed = error
        await ended(failed, context)

    if handler.unary_unary is not None:
        return handler._replace(unary_unary=unary)
    return handler._replace(**{"stream_stream" if handler.stream_stream is not None else "unary_stream": stream})
