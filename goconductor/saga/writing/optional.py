"""Optional references of a saga written in Python."""

from __future__ import annotations

from typing import TypeVar, cast

from goconductor.errors import unfit
from goconductor.saga.data.references import Place

T = TypeVar("T")


class Optional:
    """A place that need not be there.

    Args:
        place: the place.
    """

    def __init__(self, place: Place) -> None:
        self.place = place


def optional(place: T, /) -> T | None:
    """Let an input be null where its place is not there.

    ::

        order.step("mail.thank", inputs={"note": optional(order.input.note)})

    Args:
        place: of the saga's input, or of a step's output.

    Raises:
        ArgumentError: it is no place.
    """
    if not isinstance(place, Place):
        raise unfit("place", place, "a place, such as order.input.note")
    return cast("T | None", Optional(place))
