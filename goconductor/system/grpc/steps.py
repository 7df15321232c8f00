"""``system.grpc``: one unary call over gRPC as a step, and another one that undoes it.

Messages are JSON here and protobuf on the way, by protobuf's own mapping; 64-bit integers are texts in it. What a method takes
and answers stands in files of the settings, as ``protoc --include_imports --descriptor_set_out`` writes them. What is raised
means the same as in :mod:`goconductor.system.http.steps`, and the same guard decides who is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from goconductor.engine.steps.context import StepContext
from goconductor.errors import ConfigurationError, PayloadError, PermanentError, RefusedError, TemporaryError, nearest
from goconductor.saga.data import values
from goconductor.system.given import action_values, read_inputs, undo_values
from goconductor.system.grpc.inputs import Call, GrpcInputs, faults, host_of, templates_of
from goconductor.system.guard import Guard
from goconductor.system.secrets import Secrets, without
from goconductor.system.templates import Template, Values

SAID_NO = frozenset(
    {
        *(grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS),
        *(grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.FAILED_PRECONDITION),
        *(grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNIMPLEMENTED),
    }
)
"""Codes after which nothing is tried again; DATA_LOSS is another."""
_TOO_LARGE = "message larger than max"
"""What gRPC says of a message beyond a limit, under the code that a busy server has too. It would be as large the next time."""
_DETAILS_CHARACTERS_MAX = 300
"""Number of characters of a server's message that are kept."""


class GrpcSteps:
    """Calls over gRPC.

    Args:
        guard: decides whom.
        secrets: that metadata names.
        descriptors: paths of files that describe services, each a ``FileDescriptorSet``.
        answer_bytes_max: greatest size of an answer, in bytes.

    Raises:
        ConfigurationError: a file cannot be read, or describes nothing.
    """

    def __init__(self, guard: Guard, secrets: Secrets, descriptors: Sequence[str], *, answer_bytes_max: int) -> None:
        self._guard = guard
        self._secrets = secrets
        self._answer_bytes_max = answer_bytes_max
        self._pool = descriptor_pool.DescriptorPool()
        self._services: set[str] = set()
        for path in descriptors:
            self._add(path)

    def _add(self, path: str) -> None:
        try:
            described = descriptor_pb2.FileDescriptorSet.FromString(Path(path).read_bytes())
            for file in described.file:
                self._pool.Add(file)
                self._services |= {f"{file.package}.{service.name}".lstrip(".") for service in file.service}
            for service in self._services:
                self._pool.FindServiceByName(service)
        except OSError as error:
            raise ConfigurationError(f"system.grpc: {path}: {error.strerror}; correct the path, or the file's rights") from None
        except Exception as error:  # noqa: BLE001  (protobuf raises what it likes)
            raise ConfigurationError(
                f"system.grpc: {path} describes no services ({type(error).__name__}); make it by "
                "protoc --include_imports --descriptor_set_out"
            ) from None

    async def call(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> dict[str, Any]:
        """Make the call.

        Args:
            inputs: of the step, by name.
            context: of the step.
            output: of an action there is none yet.

        Raises:
            RefusedError: it was not made, or the other side refused it.
            TemporaryError: it may be made again.
            PermanentError: the answer cannot be kept.
        """
        del output
        read, given = read_inputs(GrpcInputs, inputs, faults)
        return await self._made(read, read, read.message, action_values(given, context), context)

    async def undo(self, inputs: dict[str, Any], context: StepContext, output: Any = None) -> None:
        """Make the call that undoes an action, if the step has one.

        Args:
            inputs: of the action, by name.
            context: of the step.
            output: of the action; None where it is not known.

        Raises:
            RefusedError, TemporaryError, PermanentError: as :meth:`call`.
        """
        read, given = read_inputs(GrpcInputs, inputs, faults)
        if (undo := read.undo) is None:
            return
        known = undo_values(given, context, output, templates_of(undo, constant_data=True))
        if known is not None:
            await self._made(read, undo, known.within(undo.message), known, context)

    async def _made(self, inputs: GrpcInputs, call: Call, message: Any, known: Values, context: StepContext) -> dict[str, Any]:
        host, port = host_of(inputs.target)
        used: list[str] = []

        def secret_of(name: str) -> str:
            used.append(self._secrets.value_of(name, host, port, secure=not inputs.plaintext))
            return used[-1]

        write, read, path = self._method(call.method)
        request = write(message)
        metadata = [(name.lower(), _text(name, text, known, secret_of)) for name, text in call.metadata.items()]
        if inputs.idempotency_key is not None:
            metadata.append((inputs.idempotency_key.lower(), context.idempotency_key))
        (address, *_) = await self._guard.addresses(host, port)
        what = f"{call.method} of {inputs.target}"
        async with self._channel(inputs, host, port, address) as channel:
            made = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
            try:
                answer = await made(request, metadata=metadata, timeout=context.seconds_left)
            except grpc.aio.AioRpcError as error:
                raise _failure(what, error, used) from None
        try:
            decoded = values.decode(msgspec.json.encode(read(answer)))
        except (PayloadError, DecodeError, json_format.Error, ValueError) as error:
            raise PermanentError(f"{what}: the answer cannot be kept: {without(used, str(error))}") from None
        return {"message": without(used, decoded)}

    def _method(self, name: str) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any], str]:
        """Return how a method's request is written and its answer read, and its path."""
        service, _, method = name.partition("/")
        if service not in self._services:
            raise RefusedError(f"no file of system.grpc describes the service {service!r}; {nearest(service, self._services)}")
        described = self._pool.FindServiceByName(service).methods_by_name.get(method)
        if described is None or described.client_streaming or described.server_streaming:
            known = self._pool.FindServiceByName(service).methods_by_name
            raise RefusedError(f"the service {service!r} has no unary method {method!r}; {nearest(method, known)}")
        taken = message_factory.GetMessageClass(described.input_type)
        given = message_factory.GetMessageClass(described.output_type)

        def write(message: Any) -> bytes:
            try:
                written: bytes = json_format.ParseDict({} if message is None else message, taken()).SerializeToString()
            except (json_format.Error, TypeError, ValueError, AttributeError) as error:
                raise RefusedError(f"the message does not fit {described.input_type.full_name}: {error}") from None
            return written

        def read(answer: bytes) -> Any:
            return json_format.MessageToDict(given.FromString(answer), preserving_proto_field_name=True)

        return write, read, f"/{name}"

    def _channel(self, inputs: GrpcInputs, host: str, port: int, address: str) -> grpc.aio.Channel:
        """Open a channel to an address that was checked; neither a proxy nor a name's later meaning takes it elsewhere."""
        place = f"ipv6:[{address}]:{port}" if ":" in address else f"ipv4:{address}:{port}"
        options = [
            ("grpc.default_authority", inputs.target),
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            ("grpc.max_receive_message_length", self._answer_bytes_max),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if inputs.plaintext:
            return grpc.aio.insecure_channel(place, options=options)
        authorities = os.environ.get("SSL_CERT_FILE")
        roots = Path(authorities).read_bytes() if authorities else None
        credentials = grpc.ssl_channel_credentials(root_certificates=roots)
        return grpc.aio.secure_channel(place, credentials, options=[*options, ("grpc.ssl_target_name_override", host)])


def _failure(what: str, error: grpc.aio.AioRpcError, secrets: Sequence[str]) -> RefusedError | TemporaryError | PermanentError:
    details = " ".join(str(without(secrets, error.details() or "")).split())[:_DETAILS_CHARACTERS_MAX]
    problem = f"{what} was answered with {error.code().name}{f': {details}' if details else ''}"
    if error.code() in SAID_NO:
        return RefusedError(problem)
    too_large = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or "")
    if too_large:
        problem += "; ask for less, or raise limits.payload_bytes_max"
    return PermanentError(problem) if too_large or error.code() is grpc.StatusCode.DATA_LOSS else TemporaryError(problem)


def _text(name: str, text: str, known: Values, secret_of: Callable[[str], str]) -> str:
    filled = Template.parse(text).filled(known.text_of, secret_of)
    if not filled.isascii() or not filled.isprintable():
        raise RefusedError(f"the metadata {name!r} would have other than printable ASCII characters; give it other values")
    return filled
