"""Declared undo: the definition says what undoes a step, in place of the compensation that its service has.

A service's own compensation meets the effect or prevents it, since it uses the journal of the action. A declared undo may be
another participant's code, whose journal knows nothing of the action. So a step without a success in the log is *settled*
first: its own service writes the action's key, and answers what had happened.

- It had happened: that is its success, and the undo runs with its output.
- It had not, and never will now: the step is closed, and no undo runs.
- There is no journal: the undo runs, and its output is null, so it must find out for itself.

Only then the undo is sent, to the owner of its code, under the key of the step's compensation. So there are two journals with a
key: that of the action where the action ran, that of the undo where the undo runs. A skip has to be fenced in the second one.
Otherwise an attempt of the undo that was stopped for long could wake up there and run after the skip.

A tolerated step has been settled before it is undone, so nobody asks again
(:mod:`goconductor.lifecycle.moves.returning.tolerated`).
"""

from __future__ import annotations

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.facts.events import ActionSettled, SettleUnavailable
from goconductor.lifecycle.facts.state import NOT_COMPENSATED, Side
from goconductor.lifecycle.facts.status import ACTION_SUCCEEDED, ActionStatus, CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.kinds import call
from goconductor.saga.ids import Direction


def is_settled_first(fold: Fold, name: str) -> bool:
    """Return whether a step's own service is asked what had happened, before the declared undo."""
    return fold.step(name).compensation.status is CompensationStatus.SETTLING


def settled(fold: Fold, event: ActionSettled) -> None:
    """Take the answer of the action's journal: undo what had happened, or close a step that has no effect."""
    name, action = event.step, fold.step(event.step).action
    if event.happened:
        succeeded = Side(ACTION_SUCCEEDED, action.attempt, action.unknowns, action.lost_at)
        fold.set_action(name, ActionSettled, succeeded, output=event.output)
        call.compensate(fold, name, ActionSettled)
    else:
        fold.set_compensation(name, ActionSettled, NOT_COMPENSATED)
        fold.set_action(name, ActionSettled, action.to(ActionStatus.PREVENTED))
        if fold.plan.bounded:
            fold.unclosed = None  # who has a slot is told from the statuses, and this one is as if it had not begun


def check_asked(fold: Fold, event: SettleUnavailable) -> None:
    """Refuse the word of an owner that is not asked now.

    Raises:
        UnexpectedEventError: the other owner is asked, or was asked earlier.
    """
    fencing = fold.step(event.step).compensation.status is CompensationStatus.FENCING_UNDO
    if event.direction is not (Direction.SETTLE_UNDO if fencing else Direction.SETTLE):
        raise UnexpectedEventError(f"the {event.direction} of step {event.step!r} is not asked for now")
