"""What is wrong with something that somebody sent, place by place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
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


def meant(name: str, known: Iterable[str]) -> str | None:
    """The one that looks most like it, if any does."""
    return next(iter(difflib.get_close_matches(name, [*known], 1, cutoff=0.6)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean …?``, or what there is."""
    names = sorted(known)
    found = meant(name, names)
    return f"did you mean {found}?" if found else f"there are: {', '.join(names) or 'none'}"
