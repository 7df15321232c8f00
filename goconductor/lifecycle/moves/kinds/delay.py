"""A delay: a step that lets time pass. Nobody runs it; the timer's event is its success. There is nothing to undo."""

from __future__ import annotations

from goconductor.errors import PayloadError
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.state import Failure, Referable, Side
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.saga.data.moments import SECONDS_MAX
from goconductor.saga.ids import Direction

NO_MOMENT = "NoMomentError"
"""Type of the failure of a delay whose time cannot be read in the saga's data."""


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Let the time begin. A time in the past is due at once."""
    try:
        due_at = min(_due_at(fold, name), SECONDS_MAX)
    except PayloadError as error:
        return Failure(NO_MOMENT, str(error), retryable=False)
    step = fold.set_action(name, cause, Side(ActionStatus.WAITING, 1, due_at=due_at, since=fold.at))
    fold.set_timer(SetTimer(name, Direction.ACTION, 1, step.round, due_at))
    return None


def _due_at(fold: Fold, name: str) -> float:
    delay, moment = fold.plan.steps[name].delay, fold.plan.moment(name, fold.input, Referable(fold.steps))
    if moment is not None:
        return max(fold.at, moment)
    seconds = delay.seconds if delay is not None else None
    return fold.at + (seconds or 0.0)
