"""Fields of a step, made of what is given in Python."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any

from goconductor.saga.writing.code import Code
from goconductor.saga.writing.steps import StepOptions


def placed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that steps of all kinds have."""
    fallback = options.get("fallback")
    return {
        "after": tuple(step.id for step in options.get("after", ())),
        "when": options.get("when"),
        "allow_fail": options.get("allow_fail", False),
        "fallback": None if fallback is None else fallback.id,
        "locks": tuple(options.get("locks", ())),
    }


def compensation_of(known: Code | None, options: StepOptions) -> bool | None:
    """Return whether a step has a compensation; None where an undo stands in its place, or only the owner knows."""
    if known is None or options.get("undo") is not None:
        return options.get("compensation")
    return known.compensation_function is not None


def joinable(types: Mapping[str | None, Any], *steps: str) -> bool:
    """Return whether the types of a step and of its fallback are known and can stand side by side."""
    return all(each in types and isinstance(types[each], type | UnionType | NoneType) for each in steps)
