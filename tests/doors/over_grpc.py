"""Calls of a gRPC door as any client makes them, by the descriptors alone."""

from __future__ import annotations

import json
from typing import Any

import grpc.aio
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from goconductor.grpc.channel import client_options
from goconductor.grpc.v1 import SERVICES
from goconductor.grpc.v1.values_pb2 import Value

_ALL = [method for service in SERVICES for method in service.methods]
METHODS = {each.name: each for each in _ALL}
METHODS |= {f"{each.containing_service.name}.{each.name}": each for each in _ALL if METHODS[each.name] is not each}
"""By name. Two are called ``Migrate``: that of ``Operations``, and ``Sagas.Migrate``, which moves a saga."""


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Caller:
    """A channel to a door, with an API key where it asks for one."""

    def __init__(self, address: str, key: str | None = None) -> None:
        self._metadata = None if key is None else (("authorization", f"Bearer {key}"),)
        self.channel = grpc.aio.insecure_channel(address, options=client_options())

    def call(self, name: str, /, *, timeout: float | None = None, **fields: Any) -> Any:
        """Begin a call, which is awaited, or read where it streams."""
        return self.send(name, GetMessageClass(METHODS[name].input_type)(**fields), timeout=timeout)

    def send(self, name: str, request: Any, *, timeout: float | None = None) -> Any:
        """Begin a call with a request that was made already."""
        method = METHODS[name]
        path = f"/{method.containing_service.full_name}/{method.name}"
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        return make(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(request, timeout=timeout, metadata=self._metadata)

    def health_watch(self, service: str = "") -> Any:
        """Watch a service's health."""
        return health_pb2_grpc.HealthStub(self.channel).Watch(health_pb2.HealthCheckRequest(service=service))

    async def refused(self, name: str, /, **fields: Any) -> Refusal:
        """Make a call that must fail, and return how."""
        try:
            answer = await self.call(name, **fields)
        except grpc.aio.AioRpcError as error:
            return Refusal(error)
        raise AssertionError(f"{name} was answered: {answer}")


class Refusal:
    """How a call failed, as its details say it."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details()
        (data,) = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
        self.bytes = len(data) * 4 // 3 + len(self.message)
        status = status_pb2.Status.FromString(data)
        assert (status.code, status.message) == (self.code.value[0], self.message)
        self.info, self.places, self.again = error_details_pb2.ErrorInfo(), {}, False
        for each in status.details:
            each.Unpack(self.info)
            bad = error_details_pb2.BadRequest()
            if each.Unpack(bad):
                self.places = {place.field: place.description for place in bad.field_violations}
            self.again |= each.Is(error_details_pb2.RetryInfo.DESCRIPTOR)

    @property
    def kind(self) -> str:
        return str(self.info.metadata["type"]).removeprefix("urn:goconductor:problem:")


def value(given: Any) -> Value:
    return Value(data=json.dumps(given).encode(), content_type="application/json")
