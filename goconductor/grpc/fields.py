"""Fields of requests, read strictly: what is out of bounds is refused with its place, as over REST."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from goconductor.control.faults import Fault, RequestInvalidError
from goconductor.control.sagas import filters
from goconductor.control.sagas.requests import Precautions
from goconductor.errors import nearest

Number = TypeVar("Number", int, float)
Choice = TypeVar("Choice", bound=enum.StrEnum)

SEQ_MAX = 2**62


def given(request: Any, name: str, otherwise: Any = None) -> Any:
    """Return a field that may be left out, or what it then is."""
    return getattr(request, name) if request.HasField(name) else otherwise


def within(name: str, number: Number, low: float, high: float) -> Number:
    """Return a number that lies within bounds.

    Raises:
        RequestInvalidError: it does not, or is none.
    """
    if not low <= number <= high:
        raise _invalid(name, f"should be from {low:,g} to {high:,.0f}")
    return number


def text(name: str, value: str, characters_max: int) -> str:
    """Return a text that is there and not too long.

    Raises:
        RequestInvalidError: it is empty or too long.
    """
    if not 0 < len(value) <= characters_max:
        raise _invalid(name, f"should be 1 to {characters_max} characters")
    return value


def choice(name: str, value: str, choices: type[Choice]) -> Choice:
    """Return one of several words.

    Raises:
        RequestInvalidError: it is none of them.
    """
    if value not in set(choices):
        raise _invalid(name, f"{value[:63]!a} is unknown; {nearest(value, choices)}")
    return choices(value)


def saga_id(request: Any) -> UUID:
    """Return the id of the saga that a request is about.

    Raises:
        RequestInvalidError: it is none.
    """
    try:
        return UUID(request.saga_id)
    except ValueError:
        raise _invalid("saga_id", "should be a saga's id, a UUID, as its start has answered it") from None


def precautions(request: Any) -> Precautions:
    """Return what a request is to be safe from.

    Raises:
        RequestInvalidError: the revision is none.
    """
    return Precautions.of(given(request, "revision"), given(request, "request_id"))


def where(filter: Any) -> Mapping[str, Any]:
    """Return a filter as the arguments of a list of sagas.

    Raises:
        RequestInvalidError: a time is none.
    """
    times = ("started_after", "started_before", "updated_after", "updated_before")
    return {
        "saga": given(filter, "saga"),
        "status": list(filter.status),
        **{name: filters.read_time(getattr(filter, name), name=name) if filter.HasField(name) else None for name in times},
        "labels": dict(filter.labels),
        "error": given(filter, "error"),
    }


def _invalid(name: str, problem: str) -> RequestInvalidError:
    return RequestInvalidError("the request", [Fault(name, problem)])
