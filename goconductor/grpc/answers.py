"""Messages back into documents, and failed calls back into the errors that they were."""

from __future__ import annotations

from datetime import UTC
from typing import Any, TypeVar

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from pydantic import BaseModel

from goconductor.control.doors.problems import KINDS, URN
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.flows.editing import FlowChangedError
from goconductor.control.sagas.requests import RefusedNowError
from goconductor.errors import DefinitionError, GoConductorError, PayloadError, StoreUnavailableError
from goconductor.grpc.problems import DETAILS_KEY
from goconductor.grpc.v1.values_pb2 import Value
from goconductor.lifecycle.requests.catalogue import Request
from goconductor.saga.data import values

D = TypeVar("D", bound=BaseModel)

_ALLOWED = "; allowed now: "
_CLASSES: dict[str, type[GoConductorError]] = {}
for _class, _kind in KINDS.items():
    _CLASSES.setdefault(_kind.name, _class)


def document(kind: type[D], message: Any) -> D:
    """Make a document of a message with the same fields.

    Args:
        kind: the document's class.
        message: what the server answered.
    """
    return kind.model_validate(_fields(message))


def error_of(error: Any, target: str) -> GoConductorError:
    """Return what went wrong, as the class that it was on the server.

    Args:
        error: how the call failed.
        target: the server's address.
    """
    data = next((value for key, value in error.trailing_metadata() or () if key == DETAILS_KEY), None)
    info, places = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for each in status_pb2.Status.FromString(data).details if data else ():
        each.Unpack(info)
        each.Unpack(places)
    kind = _CLASSES.get(info.metadata.get("type", "").removeprefix(URN))
    if kind is None:
        return _of_transport(error, target)
    message, faults = error.details() or "", [Fault(each.field, each.description) for each in places.field_violations]
    if issubclass(kind, RequestInvalidError):
        return kind(message.partition(": ")[0], faults)
    if issubclass(kind, PayloadError):
        return kind(*(faults[0] if faults else Fault("$", message)))
    if issubclass(kind, FlowChangedError):
        parts = {name: info.metadata.get(name, "") for name in ("flow", "version")}
        return _without_its_parts(kind, message, **parts, changes=tuple(each.problem for each in faults))
    if issubclass(kind, DefinitionError):
        return kind("as it was sent", [each.problem for each in faults] or [message])
    if "allowed" in info.metadata:
        allowed = [Request(each) for each in info.metadata["allowed"].split(", ") if each in set(Request)]
        return RefusedNowError(message.partition(_ALLOWED)[0], allowed)
    return kind(message)


def _without_its_parts(kind: type[GoConductorError], message: str, **parts: Any) -> GoConductorError:
    """Make an error of its sentence, where the answer does not have all parts that its constructor makes it of."""
    error = kind.__new__(kind)
    GoConductorError.__init__(error, message)
    vars(error).update(parts)
    return error


def _of_transport(error: Any, target: str) -> GoConductorError:
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return StoreUnavailableError(
            f"the server at {target} has not answered in time ({error.details()}); see that it is up, and no other program"
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        return StoreUnavailableError(f"the server at {target} cannot be reached ({error.details()}); see that it is up")
    return GoConductorError(f"the server at {target} answered {code.name}: {error.details()}")


def _fields(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        given = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            found[field.name] = dict(given)
        elif field.is_repeated:
            found[field.name] = [_plain(each) for each in given]
        else:
            found[field.name] = _plain(given)
    return found


def _plain(given: Any) -> Any:
    if isinstance(given, Value):
        return values.decode(given.data)
    if isinstance(given, Timestamp):
        return given.ToDatetime(UTC)
    return _fields(given) if hasattr(given, "DESCRIPTOR") else given
