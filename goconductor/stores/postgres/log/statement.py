"""Statements as they are written: ``goconductor`` stands for the schema, whatever its name, and ``:name`` for a parameter."""

from __future__ import annotations

import re

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


def statement(text: str, **types: str) -> str:
    """Return the statement with ``$n::type`` for each ``:name``, numbered in the order of the types."""
    numbers = {name: f"${number}::{kind}" for number, (name, kind) in enumerate(types.items(), 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], text)
