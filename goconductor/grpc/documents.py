"""Documents into messages: a message has the fields of its document, under the same names.

A time becomes a ``Timestamp``, what a saga keeps a ``Value``, an id or a word of a list a string. What is null is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel

from goconductor.control.doors.bodies import decoded
from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.errors import PayloadError
from goconductor.grpc.v1.values_pb2 import Value
from goconductor.saga.data import values

JSON = "application/json"
_VALUE = Value.DESCRIPTOR.full_name
_TIMESTAMP = Timestamp.DESCRIPTOR.full_name

M = TypeVar("M")


def message(kind: type[M], document: BaseModel) -> M:
    """Make a message of a document.

    Args:
        kind: the message's class.
        document: what it is to say.
    """
    made = kind()
    _fill(made, document)
    return made


def value_of(given: Any) -> Value:
    """Make a value of JSON values."""
    return Value(data=values.encode(given), content_type=JSON)


def read_value(request: Any, name: str) -> Any:
    """Read a value of a request; one that is absent is null.

    Args:
        request: the message that has it.
        name: its field.

    Raises:
        RequestInvalidError: it is of another type than JSON.
        PayloadError: it is not JSON, or holds what cannot be kept.
    """
    if not request.HasField(name):
        return None
    value = getattr(request, name)
    if value.content_type not in ("", JSON):
        problem = f"is {value.content_type[:63]!a}; send {JSON}, no other type is read"
        raise RequestInvalidError("the request", [Fault(f"{name}.content_type", problem)])
    try:
        return decoded(value.data)
    except PayloadError as error:
        raise type(error)(error.path.replace("$", f"$.{name}", 1), error.problem) from None


def read_object(request: Any, name: str) -> dict[str, Any]:
    """Read a value that is an object; one that is absent is empty.

    Raises:
        RequestInvalidError: it is something else.
        PayloadError: as :func:`read_value`.
    """
    found = read_value(request, name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise RequestInvalidError("the request", [Fault(name, "should be an object")])
    return found


def _fill(made: Any, document: BaseModel) -> None:
    for field in made.DESCRIPTOR.fields:
        given = getattr(document, field.name)
        if given is None:
            continue
        if isinstance(given, Mapping) and _is_map(field):
            _map(getattr(made, field.name), field, given)
        elif field.is_repeated:
            _extend(getattr(made, field.name), field, given)
        elif field.message_type is None:
            setattr(made, field.name, _scalar(field, given))
        else:
            _set(getattr(made, field.name), field, given)


def _map(made: Any, field: FieldDescriptor, given: Mapping[Any, Any]) -> None:
    if field.message_type.fields_by_name["value"].message_type is None:
        made.update({str(key): each for key, each in given.items()})
    else:
        for key, names in given.items():
            made[str(key)].names.extend(names)


def _extend(made: Any, field: FieldDescriptor, given: list[Any]) -> None:
    if field.message_type is None:
        made.extend(_scalar(field, each) for each in given)
    else:
        for each in given:
            _set(made.add(), field, each)


def _set(made: Any, field: FieldDescriptor, given: Any) -> None:
    match field.message_type.full_name:
        case name if name == _VALUE:
            made.CopyFrom(value_of(given))
        case name if name == _TIMESTAMP:
            assert isinstance(given, datetime)  # noqa: S101  (a test compares the fields)
            made.FromDatetime(given)
        case _:
            made.SetInParent()
            _fill(made, given)


def _scalar(field: FieldDescriptor, given: Any) -> Any:
    return str(given) if field.type == FieldDescriptor.TYPE_STRING else given


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
