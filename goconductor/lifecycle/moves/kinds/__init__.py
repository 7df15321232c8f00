"""How a step begins and how its compensation begins: a file for each kind of step.

All kinds share the rest: the order of steps, and the meaning of an outcome (:mod:`goconductor.lifecycle.moves.forward`,
:mod:`goconductor.lifecycle.moves.backward`). A step's *role* (before the pivot, the pivot, after it) is another thing than its
kind. A kind that no participant runs has nothing to undo, so nobody asks for its compensation; and it can never be the pivot.
"""

from __future__ import annotations

from typing import Protocol

from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.kinds import call, child, delay, growth, repeat, savepoint, value, wait
from goconductor.saga.definition import Step


class Kind(Protocol):
    """What a kind's file has; that of a kind that a participant runs also has ``compensate``."""

    def begin(self, fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
        """Begin the action, and return why it cannot begin, or None. Some have succeeded at once.

        Args:
            fold: the saga.
            name: the step; its condition holds.
            cause: why it begins: its turn has come, or somebody asked for it again.
        """


def kind_of(step: Step) -> Kind:
    """Return of which kind a step is."""
    if step.wait is not None:
        return wait
    if step.value is not None:
        return value
    if step.map is not None:
        return growth
    if step.repeat is not None:
        return repeat
    if step.saga is not None:
        return child
    if step.savepoint is not None:
        return savepoint
    return call if step.delay is None else delay
