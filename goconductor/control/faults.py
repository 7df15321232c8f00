"""What is wrong with something that somebody sent, place by place."""

from __future__ import annotations

from typing import NamedTuple


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
