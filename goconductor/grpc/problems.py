"""Errors as gRPC has them: a code, a sentence, and ``google.rpc.Status`` with details that programs read.

The details have ``ErrorInfo``, whose ``type`` is the kind's URN as over REST; ``BadRequest`` with each place that is wrong; and
``RetryInfo`` where the same call may succeed later. All this travels as metadata. Clients refuse metadata beyond 8 KB, by lot and
with another code, so a long answer would hide what was wrong. It is cut, and ``left_out`` says how many places are missing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from goconductor.control.doors import problems
from goconductor.control.doors.problems import BUSY, INTERNAL, URN, Kind, kind_of, places_of
from goconductor.control.faults import Fault
from goconductor.control.flows.editing import FlowChangedError
from goconductor.control.sagas.requests import RefusedNowError
from goconductor.errors import GoConductorError
from goconductor.redaction import logger_of

logger = logger_of("goconductor.grpc")

DOMAIN = "goconductor"
DETAILS_KEY = "grpc-status-details-bin"
MESSAGE_BYTES_MAX = 1_000
"""Greatest length of the sentence on the way, in bytes."""
PLACES_BYTES_MAX = 2_600
"""Greatest size of all places together, in bytes."""
PLACE_CHARACTERS_MAX = 500
"""Number of characters of a fault that fit into an error's details."""
RETRY_SECONDS = 1
"""Seconds after which a client is asked to try again."""

_BY_STATUS: dict[int, grpc.StatusCode] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    410: grpc.StatusCode.OUT_OF_RANGE,
    412: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.INVALID_ARGUMENT,  # RESOURCE_EXHAUSTED is tried again, and it would be as large then
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_BY_KIND: dict[Kind, grpc.StatusCode] = {
    problems.KEY_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    problems.REQUEST_ID_TAKEN: grpc.StatusCode.ALREADY_EXISTS,
    problems.SCHEDULE_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""Kinds whose code says more than their status over HTTP."""


def code_of(kind: Kind) -> grpc.StatusCode:
    """Return the code of a kind of problem."""
    return _BY_KIND.get(kind) or _BY_STATUS.get(kind.status, grpc.StatusCode.INTERNAL)


class BusyError(GoConductorError):
    """This server has as many streams open as it may have; ask another server, or later."""


class Answer(NamedTuple):
    """How a call ends that has failed."""

    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, bytes], ...]


def answer(error: BaseException, method: str) -> Answer:
    """Make an answer of an error. An unforeseen one is logged in full under an id, and the answer has nothing but that id.

    Args:
        error: what was raised.
        method: the method that was called.
    """
    kind = BUSY if isinstance(error, BusyError) else kind_of(error)
    if kind is None:
        number = uuid.uuid4()
        logger.error("%s failed unforeseen, problem %s", method, number, exc_info=error)
        return _answer(INTERNAL, f"it was logged as {number}; tell the operator of this server that id")
    return _answer(kind, str(error), places_of(error), _facts_of(error))


def _facts_of(error: BaseException) -> dict[str, str]:
    """Return what an error says beside its sentence and its places."""
    match error:
        case RefusedNowError():
            return {"allowed": ", ".join(error.allowed)}
        case FlowChangedError():
            return {"flow": error.flow, "version": error.version}
        case _:
            return {}


def _answer(kind: Kind, detail: str, places: Sequence[Fault] = (), facts: Mapping[str, str] = MappingProxyType({})) -> Answer:
    code, message = code_of(kind), shortened(detail, MESSAGE_BYTES_MAX)
    info = error_details_pb2.ErrorInfo(reason=kind.name.replace("-", "_").upper(), domain=DOMAIN)
    info.metadata.update({"type": f"{URN}{kind.name}", "title": kind.title, **facts})
    bad = error_details_pb2.BadRequest()
    for number, place in enumerate(places):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_sound(place.path)[:PLACE_CHARACTERS_MAX],
            description=_sound(place.problem)[:PLACE_CHARACTERS_MAX],
        )
        if bad.ByteSize() + violation.ByteSize() + 4 > PLACES_BYTES_MAX:
            info.metadata["left_out"] = str(len(places) - number)
            break
        bad.field_violations.append(violation)
    details = [info]
    if bad.field_violations:
        details.append(bad)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        details.append(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=RETRY_SECONDS)))
    status = status_pb2.Status(code=code.value[0], message=message)
    for each in details:
        packed = any_pb2.Any()
        packed.Pack(each)
        status.details.append(packed)
    return Answer(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def shortened(text: str, bytes_max: int) -> str:
    """Cut a text so that it fits on its way, where what is not plain ASCII takes three bytes for each of its own.

    Args:
        text: what to cut.
        bytes_max: its greatest length on the way, in bytes.
    """
    length = 0
    for number, character in enumerate(text := _sound(text)):
        length += sum(1 if 0x20 <= byte <= 0x7E and byte != 0x25 else 3 for byte in character.encode())
        if length > bytes_max - 3:
            return f"{text[:number]}..."
    return text


def _sound(text: str) -> str:
    """Return a text without what UTF-8 cannot say."""
    return text.encode(errors="replace").decode()
