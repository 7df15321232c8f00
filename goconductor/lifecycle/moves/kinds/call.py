"""A call: a participant runs the code of the step, an attempt after the other, each under a lease."""

from __future__ import annotations

from goconductor.lifecycle.facts.effects import RunAction, RunCompensation
from goconductor.lifecycle.facts.state import ActionStatus, CompensationStatus, Failure, Side
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold

_ACTION = Side(ActionStatus.SENT, 1)
_COMPENSATION = Side(CompensationStatus.SENT, 1)


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Send the first attempt of the action. That can always be done."""
    ends_at = fold.plan.ends_at(name, fold.at)
    sent = _ACTION if ends_at is None else Side(ActionStatus.SENT, 1, ends_at=ends_at)
    step = fold.set_action(name, cause, sent)
    fold.ask(RunAction(name, 1, step.round))
    return None


def compensate(fold: Fold, name: str) -> None:
    """Send the first attempt of the compensation: its turn has come."""
    step = fold.set_compensation(name, Advance, _COMPENSATION)
    fold.ask(RunCompensation(name, 1, step.round))
