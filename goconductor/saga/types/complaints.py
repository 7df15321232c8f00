"""What pydantic finds wrong with a value, in words for whoever gave it: its own are those of a library about its *input*."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_WHOLE, _NUMBER = "should be a whole number", "should be a number"
_OBJECT, _LIST, _TEXT = "should be an object, with a value for each name", "should be a list", "should be a text"


def _number(bound: float) -> str:
    return f"{int(bound) if bound == int(bound) else bound:,}"


_SAID: dict[str, str | Callable[[Mapping[str, Any]], str]] = {
    "missing": "is missing; add it",
    "string_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "should be a number that is not infinite",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "list_type": _LIST,
    "enum": lambda about: f"should be {about['expected']}",
    "literal_error": lambda about: f"should be {about['expected']}",
    "greater_than": lambda about: f"should be more than {_number(about['gt'])}",
    "greater_than_equal": lambda about: f"should be at least {_number(about['ge'])}",
    "less_than": lambda about: f"should be less than {_number(about['lt'])}",
    "less_than_equal": lambda about: f"should be at most {_number(about['le'])}",
    "string_too_long": lambda about: f"should have at most {about['max_length']:,} characters",
    "string_too_short": lambda about: f"should have at least {about['min_length']:,} characters",
    "too_long": lambda about: f"should have at most {about['max_length']:,} items",
    "too_short": lambda about: f"should have at least {about['min_length']:,} items",
    "string_pattern_mismatch": lambda about: (
        "should not be blank" if about["pattern"] == r"\S" else f"should match the pattern {about['pattern']}"
    ),
    "uuid_parsing": "should be an id such as 01920000-0000-7000-8000-000000000000",
}


def unfit(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a value, as a clause behind its place.

    Args:
        error: one of the errors that pydantic lists.
    """
    said = _SAID.get(error["type"])
    if callable(said):
        return said(error["ctx"])
    if said is not None:
        return said
    return str(error["msg"]).removeprefix("Value error, ").replace("Input should", "should").replace("String should", "should")
