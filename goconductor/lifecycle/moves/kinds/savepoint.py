"""A savepoint: a step whose output is the way on which the saga goes on. Nobody runs it, and it has nothing to undo.

It has succeeded at once. When the next way is taken is another matter (:mod:`goconductor.lifecycle.moves.returning.savepoints`).
"""

from __future__ import annotations

from goconductor.lifecycle.facts.state import Failure, Side
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Go on by the first way."""
    fold.set_action(name, cause, Side(ActionStatus.SUCCEEDED, 1), output=fold.plan.savepoints[name][0])
    fold.remaining -= 1
    return None
