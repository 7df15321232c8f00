"""Requests as a client makes them of its arguments: what a message cannot hold is refused by the argument's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.errors import unfit

_WANTED = {
    FieldDescriptor.CPPTYPE_STRING: "a text",
    FieldDescriptor.CPPTYPE_BOOL: "True or False",
    FieldDescriptor.CPPTYPE_INT32: "a whole number",
    FieldDescriptor.CPPTYPE_INT64: "a whole number",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
}


def request_of(kind: Descriptor, fields: Mapping[str, Any]) -> Any:
    """Make a message.

    Args:
        kind: its descriptor.
        fields: name → value; None leaves it out.

    Raises:
        ArgumentError: a value is of another type than its field.
        RequestInvalidError: a text is none that UTF-8 can say, or a number is out of bounds.
    """
    of_kind = GetMessageClass(kind)
    made = of_kind()
    for name, given in fields.items():
        if given is None:
            continue
        try:
            made.MergeFrom(of_kind(**{name: given}))
        except UnicodeError:
            raise _invalid(name, "has what UTF-8 cannot say, such as half of a surrogate pair; leave that out") from None
        except (TypeError, ValueError) as error:
            field = kind.fields_by_name[name]
            if isinstance(error, ValueError) and field.message_type is None:
                raise _invalid(name, "is out of bounds; give a number nearer to 0") from None
            raise unfit(name, given, _wanted(field)) from None
    return made


def _invalid(name: str, problem: str) -> RequestInvalidError:
    return RequestInvalidError("the request", [Fault(name, problem)])


def _wanted(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return "a mapping, each name and value a text"
    wanted = _WANTED.get(field.cpp_type, "a message")
    return f"a list, each of it {wanted}" if field.is_repeated else wanted
