"""A call: a participant runs the code of the step, an attempt after the other, each under a lease."""

from __future__ import annotations

from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, Settle
from goconductor.lifecycle.facts.state import SENT_ONCE, Failure, Side
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.kinds import undo_wait

_COMPENSATION = Side(CompensationStatus.SENT, 1)
_SETTLING = Side(CompensationStatus.SETTLING)


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Send the first attempt of the action. That can always be done."""
    ends_at = fold.plan.ends_at(name, fold.at)
    sent = SENT_ONCE if ends_at is None else Side(ActionStatus.SENT, 1, ends_at=ends_at)
    step = fold.set_action(name, cause, sent)
    fold.ask(RunAction(name, 1, step.round))
    return None


def compensate(fold: Fold, name: str, cause: type[object] = Advance, *, settled: bool = False) -> None:
    """Send the first attempt of the compensation; or first have the action settled, where a declared undo has to know more.

    Args:
        fold: the saga.
        name: the step.
        cause: the event's class, or :class:`Advance` where its turn has come.
        settled: whether its owner has said already what there is to say.
    """
    if name in fold.plan.undoes and not settled and fold.step(name).action.status is not ActionStatus.SUCCEEDED:
        step = fold.set_compensation(name, cause, _SETTLING)
        fold.effects.append(Settle(name, step.round))
        return
    if fold.plan.undo_waits and name in fold.plan.undo_waits:
        undo_wait.begin(fold, name, cause)
        return
    step = fold.set_compensation(name, cause, _COMPENSATION)
    fold.ask(RunCompensation(name, 1, step.round))
