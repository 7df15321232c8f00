"""What every call goes through: the request is read strictly, an error is answered by one rule, and no exception gets out.

Protobuf passes over a field that it does not know. A filter or a precaution of a newer client would so be ignored, and the call
would do more than was asked. Such a request is refused.

A call that the client gives up, or whose deadline passes, is cancelled by gRPC. What it has sent to the database by then stands,
as after a connection that broke: a key, or the id of the request, makes it safe to ask again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import unquote

import grpc.aio
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from goconductor.control.audit.origin import coming
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.errors import ConfigurationError
from goconductor.grpc import problems

Methods = Mapping[str, Callable[..., Any]]
"""What is called for each method, by the method's full name. One that streams is an async generator."""

DEADLINE_SHARE = 0.9
"""The part of a client's deadline that a call waits at most, so that the answer still arrives in time."""


def handlers(service: Any, methods: Methods) -> grpc.GenericRpcHandler:
    """Make the handlers of a service.

    Args:
        service: its descriptor.
        methods: looked into at each call. What is not there yet is answered as not ready.
    """
    made = {}
    for method in service.methods:
        kind = GetMessageClass(method.input_type)
        if method.client_streaming:
            made[method.name] = grpc.stream_stream_rpc_method_handler(
                _both_streaming(method.full_name, kind, methods), response_serializer=_written
            )
        elif method.server_streaming:
            made[method.name] = grpc.unary_stream_rpc_method_handler(
                _streaming(method.full_name, kind, methods), response_serializer=_written
            )
        else:
            made[method.name] = grpc.unary_unary_rpc_method_handler(
                _unary(method.full_name, kind, methods), response_serializer=_written
            )
    return grpc.method_handlers_generic_handler(service.full_name, made)


def peer_of(context: Any) -> str:
    """Return the address of who calls, without its port: of ``ipv4:10.0.0.7:5000`` it is ``10.0.0.7``."""
    kind, _, place = unquote(context.peer()).partition(":")
    return place.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else kind


def patience(context: Any, seconds: float) -> float:
    """Return how many seconds a call may wait: what was asked for, or less where the client's deadline is earlier."""
    remaining = context.time_remaining()
    return seconds if remaining is None else min(seconds, max(remaining, 0.0) * DEADLINE_SHARE)


def _unary(name: str, kind: Any, methods: Methods) -> Callable[..., Any]:
    async def call(data: bytes, context: Any) -> Any:
        try:
            with coming(door="grpc", address=peer_of(context)):
                return await _found(methods, name)(read(kind, data), context)
        except grpc.aio.AbortError:
            raise  # the call has its answer
        except Exception as error:  # noqa: BLE001  (the last place that can report anything)
            failed = problems.answer(error, name)
        await context.abort(failed.code, failed.message, failed.metadata)
        return None

    return call


def _streaming(name: str, kind: Any, methods: Methods) -> Callable[..., Any]:
    return _told(name, methods, partial(read, kind))


def _both_streaming(name: str, kind: Any, methods: Methods) -> Callable[..., Any]:
    async def requests(given: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for data in given:
            yield read(kind, data)

    return _told(name, methods, requests)


def _told(name: str, methods: Methods, asked: Callable[[Any], Any]) -> Callable[..., Any]:
    async def call(given: Any, context: Any) -> AsyncIterator[Any]:
        try:
            with coming(door="grpc", address=peer_of(context)):
                async with aclosing(_found(methods, name)(asked(given), context)) as stream:
                    async for each in stream:
                        yield each
                    return
        except grpc.aio.AbortError:
            raise  # the call has its answer
        except Exception as error:  # noqa: BLE001  (the last place that can report anything)
            failed = problems.answer(error, name)
        await context.abort(failed.code, failed.message, failed.metadata)

    return call


def _found(methods: Methods, name: str) -> Callable[..., Any]:
    if (method := methods.get(name)) is None:
        raise ConfigurationError("the database cannot be used yet; the server's log has the reason and the remedy")
    return method


def read(kind: Any, data: bytes) -> Any:
    """Read a request.

    Args:
        kind: its class.
        data: as it came.

    Raises:
        RequestInvalidError: it is no such message, or has fields that are unknown here.
    """
    try:
        request = kind.FromString(data)
    except DecodeError:
        problem = f"is no message {kind.DESCRIPTOR.full_name}; make it by the proto files of this server"
        raise RequestInvalidError("the request", [Fault("request", problem)]) from None
    if found := list(_unknown(request, "")):
        raise RequestInvalidError("the request", found)
    return request


def _unknown(given: Any, path: str) -> Iterator[Fault]:
    for field in UnknownFieldSet(given):
        yield Fault(
            f"{path}{field.field_number}", "is a field that this server does not know; leave it out, or update the server"
        )
    for field, value in given.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                yield from _unknown(each, f"{path}{field.name}.")


def _written(made: Any) -> bytes:
    data: bytes = made.SerializeToString()
    return data
