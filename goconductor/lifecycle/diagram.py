"""The tables of :mod:`goconductor.lifecycle.facts.transitions` as Mermaid: one source for the code and for the diagrams."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from goconductor.lifecycle.facts.transitions import ACTION_MOVES, COMPENSATION_MOVES, SAGA_MOVES, Lost, Rewound

_LATER = {Lost.__name__, Rewound.__name__}
"""Causes of moves that an end of a side may see later, with others."""


def saga_diagram() -> str:
    """Draw the life of a saga."""
    return _diagram(SAGA_MOVES, "queued")


def action_diagram() -> str:
    """Draw the life of a step's action."""
    return _diagram(ACTION_MOVES, "pending")


def compensation_diagram() -> str:
    """Draw the life of a step's compensation."""
    return _diagram(COMPENSATION_MOVES, "none")


def _diagram(moves: Mapping[type[Any], Mapping[Any, frozenset[Any]]], start: str) -> str:
    edges: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for cause, table in moves.items():
        for before, afters in table.items():
            for after in afters:
                if before is not after:
                    edges.setdefault((before, after), []).append(cause.__name__)
    targets = {after for _, after in edges}
    ends = sorted(targets - {before for (before, _), causes in edges.items() if {*causes} - _LATER})
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {', '.join(sorted(causes))}" for (before, after), causes in sorted(edges.items())]
    lines += [f"    {end} --> [*]" for end in ends]
    return "\n".join(lines) + "\n"
