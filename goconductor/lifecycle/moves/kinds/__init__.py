"""How a step begins and how its compensation begins: a file for each kind of step.

All kinds share the rest: the order of steps, and the meaning of an outcome (:mod:`goconductor.lifecycle.moves.forward`,
:mod:`goconductor.lifecycle.moves.backward`). A step's *role* (before the pivot, the pivot, after it) is another thing than its
kind: a step of any kind may have any role.
"""

from __future__ import annotations

from typing import Protocol

from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.kinds import call
from goconductor.saga.definition import Step


class Kind(Protocol):
    """What a kind's file has: the effects of a step's two sides when their turn has come."""

    def begin(self, fold: Fold, name: str) -> None:
        """Begin the action: its condition holds."""

    def compensate(self, fold: Fold, name: str) -> None:
        """Begin the compensation."""


def kind_of(_step: Step) -> Kind:
    """Return of which kind a step is. Definitions have calls only, as yet."""
    return call
