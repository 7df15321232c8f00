"""Outcomes from outside: a step that its participant begins, and that somebody else ends (external task, task token).

A payment is begun in a second, and the bank says hours later what became of it. The step's code hands the work out, and its
attempt is over: the step *waits*, without a lease, a message or a process. It ends by a report of the outcome, from anybody.

- A report counts from the moment the step was sent, since the process may have died between handing out and the event of
  that.
- A success counts for any attempt of its round, as all act under one idempotency key.
- A failure counts for the attempt that it names, and for later attempts about the same work: those that asked, or that ran
  because an outcome was lost. The reporter may know the first token only. Once a failure of that work is known, the next
  attempt begins new work. A failure of the old work must not end that.
- A step that was handed out may have happened. So when the saga turns back, its outcome is unknown, and it is compensated.
- Once its compensation has begun, a report is refused: the reporter must undo the work. Otherwise perhaps neither side would.
- Silence has two ends. After ``ask_after_seconds`` the step's code runs again under the same key, to ask. Such an attempt
  does not count as a retry. When the step's total timeout is over, its outcome is lost for good.

Models: W16 in ``tests/protocol/waiting/outside.py``.
"""

from __future__ import annotations

import msgspec

from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.events import ActionHandedOut, OutcomeReported, Report
from goconductor.lifecycle.facts.state import Side, SideStatus
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.retrying import ACTIONS
from goconductor.saga.ids import Direction

NO_OUTCOME = "OutcomeTimedOutError"
"""Type of the failure of a step that was handed out, and of which nobody has reported in time."""

_ENDS_BY_FAILURE = (ActionStatus.SENT, ActionStatus.WAITING, ActionStatus.BACKOFF)
_ENDS_BY_SUCCESS = (
    *(*_ENDS_BY_FAILURE, ActionStatus.SETTLING),
    *(ActionStatus.FAILED, ActionStatus.UNKNOWN, ActionStatus.STUCK),
)


def is_outside(fold: Fold, name: str) -> bool:
    """Return whether a step was handed out, and is not back yet."""
    step = fold.step(name)
    return step.action.status is ActionStatus.WAITING and name in fold.plan.owners and not step.wishes


def handed_out(fold: Fold, event: ActionHandedOut) -> bool:
    """Let a step wait for its outcome. False where it goes back: then its outcome is unknown, and the caller goes on.

    Raises:
        UnexpectedEventError: the event is of another attempt.
    """
    name = event.step
    side = ACTIONS.expect(fold, event)
    fold.fields["handed_out"] = True
    if fold.goes_back(name):
        fold.set_action(name, ActionHandedOut, side.to(ActionStatus.UNKNOWN))
        return False
    ends = [] if side.ends_at is None else [side.ends_at]
    asks = [] if event.ask_after_seconds is None else [fold.at + event.ask_after_seconds]
    due_at = min((*ends, *asks), default=None)
    waiting = msgspec.structs.replace(side.to(ActionStatus.WAITING), due_at=due_at, since=fold.at)
    step = fold.set_action(name, ActionHandedOut, waiting)
    if due_at is not None:
        fold.set_timer(SetTimer(name, Direction.ACTION, side.attempt, step.round, due_at))
    return True


def is_too_late(fold: Fold, name: str) -> bool:
    """Return whether the time of a step that was handed out is over, so that nobody is asked any more."""
    ends_at = fold.step(name).action.ends_at
    return ends_at is not None and fold.at >= ends_at


def check(fold: Fold, event: OutcomeReported) -> None:
    """Refuse a report that comes too late, or is about nothing that was handed out.

    Raises:
        RequestRefusedError: its text says what to do outside.
    """
    name, step = event.step, fold.step(event.step)
    status, compensation = step.action.status, step.compensation.status
    if name not in fold.plan.owners or not step.action.attempt:
        raise RequestRefusedError(f"step {name!r} was not handed out: there is no outcome to report")
    if compensation not in (CompensationStatus.NONE, CompensationStatus.SETTLING):
        raise RequestRefusedError(f"the compensation of step {name!r} has begun: undo outside what still stands of it")
    if status not in (_ENDS_BY_SUCCESS if event.failure is None else _ENDS_BY_FAILURE):
        raise RequestRefusedError(f"the action of step {name!r} is {status}: its outcome is known, or an operator decides it")
    check_failure(step.action, event, f"step {name!r}", waits=status is ActionStatus.BACKOFF)


def check_failure(side: Side[SideStatus], event: Report, what: str, *, waits: bool) -> None:
    """Refuse a failure that is of work outside which is over, or that changes nothing. A success passes.

    Args:
        side: the side that was handed out.
        event: the report.
        what: names the side.
        waits: whether it waits for its next attempt.

    Raises:
        RequestRefusedError: its text says at which attempt the side is.
    """
    if event.failure is None:
        return
    if not side.over < event.attempt <= side.attempt - waits:
        raise RequestRefusedError(f"the failure is of attempt {event.attempt} of {what}, which is at {side.attempt}")
    if waits and event.failure.retryable:
        raise RequestRefusedError(f"another attempt of {what} comes anyway")
