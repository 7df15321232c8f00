"""What is wrong with something that somebody sent, place by place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from goconductor.errors import PayloadError, RequestRefusedError
from goconductor.saga.data.values import check_value


class Fault(NamedTuple):
    """One place that does not fit.

    Args:
        path: where, as JSONPath.
        problem: what is wrong there, and the remedy.
    """

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path} {self.problem}"


class RequestInvalidError(RequestRefusedError):
    """A request does not fit; ``faults`` lists every place with its remedy.

    Args:
        what: what does not fit.
        found: where and why.
    """

    def __init__(self, what: str, found: Sequence[Fault]) -> None:
        self.what = what
        self.faults = tuple(found)
        super().__init__(f"{what}: {'; '.join(map(str, found))}")


def text_faults(name: str, text: str, characters_max: int) -> list[Fault]:
    """Find what is wrong with a text that is to be kept.

    Args:
        name: its name for the caller.
        text: what was given.
        characters_max: its longest, in characters.
    """
    found = []
    if len(text) > characters_max:
        found.append(Fault(name, f"is {len(text):,} characters, at most {characters_max:,} are kept"))
    try:
        check_value(text)
    except PayloadError as error:
        found.append(Fault(name, error.problem))
    return found
