"""Asks who calls, before any method, reflection included; a call that lasts ends soon after its key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc.aio

from goconductor.control.actor import known_as
from goconductor.control.authority.authenticating import Authenticator, Principal, UnauthenticatedError
from goconductor.control.authority.roles import check_permitted
from goconductor.errors import ConfigurationError
from goconductor.grpc import problems
from goconductor.grpc.gate.functions import FUNCTIONS, OPEN

HEADER = "authorization"


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets through whoever is known, and may.

    Attributes:
        authenticator: knows who is there; None until the node is open.
    """

    def __init__(self) -> None:
        self.authenticator: Authenticator | None = None

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return the method's handler, or one that refuses."""
        name = details.method.removeprefix("/").replace("/", ".")
        if name in OPEN:
            return await continuation(details)
        given = [value for key, value in details.invocation_metadata or () if key == HEADER]
        try:
            authenticator = self._ready()
            principal = await authenticator.principal(given)
            check_permitted(principal.actor, FUNCTIONS.get(name))
        except Exception as error:  # noqa: BLE001  (the last place that can report anything)
            return _refusing(problems.answer(error, name))
        handler = await continuation(details)
        return handler and _held(handler, authenticator, principal, name)

    def _ready(self) -> Authenticator:
        if self.authenticator is None:
            raise ConfigurationError("the database cannot be used yet; the server's log has the reason and the remedy")
        return self.authenticator


def _refusing(failed: problems.Answer) -> Any:
    async def refuse(_data: bytes, context: Any) -> None:
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
                with known_as(principal.actor):
                    return await handler.unary_unary(given, context)
        except UnauthenticatedError as error:
            return await ended(error, context)

    async def stream(given: Any, context: Any) -> AsyncIterator[Any]:
        made = handler.stream_stream or handler.unary_stream
        try:
            async with authenticator.held(principal):
                with known_as(principal.actor):
                    async for each in made(given, context):
                        yield each
                return
        except UnauthenticatedError as error:
            failed = error
        await ended(failed, context)

    if handler.unary_unary is not None:
        return handler._replace(unary_unary=unary)
    return handler._replace(**{"stream_stream" if handler.stream_stream is not None else "unary_stream": stream})
