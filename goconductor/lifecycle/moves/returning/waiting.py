"""A compensation that somebody outside ends: its code has handed the work out, and its attempt is over.

A bank accepts a refund today, and says next week what became of it. So a compensation waits like an action that was handed out
(:mod:`goconductor.lifecycle.moves.outside`), without a lease, a message or a process, and ends by a report. What differs:

- No time limit ends it: an effect must not stay because somebody was silent. An operator who cannot wait declares the outcome, or
  skips it.
- The saga's status stays compensating, or running in a rewind. The leader does not look at it before it is time to ask.
- Nothing withdraws it. An abort, a deadline or another rewind finds it at work, and the steps before its step wait for it.
- A success counts for any attempt of its round, also while an operator skips it, or when it is stuck. After a failure that is not
  final it is tried again by the policy of compensations; otherwise it is stuck.
- A skip has its key written first, where there is a journal. Where there is none the skip must be forced, as the outside may
  still do what it was given.

Models: T14 in ``tests/protocol/waiting/outside_undo.py``.
"""

from __future__ import annotations

from msgspec.structs import replace as _replace

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.events import CompensationHandedOut, CompensationReported, TimerFired
from goconductor.lifecycle.facts.status import CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import outside
from goconductor.lifecycle.moves.kinds import undo_wait
from goconductor.lifecycle.moves.retrying import COMPENSATIONS
from goconductor.saga.ids import Direction

_ENDS_BY_FAILURE = (CompensationStatus.SENT, CompensationStatus.WAITING, CompensationStatus.BACKOFF)
_ENDS_BY_SUCCESS = (
    *(*_ENDS_BY_FAILURE, CompensationStatus.STUCK),
    *(CompensationStatus.FENCING, CompensationStatus.FENCING_UNDO),
)
_NOT_BEGUN = (CompensationStatus.NONE, CompensationStatus.SETTLING)


def handed_out(fold: Fold, event: CompensationHandedOut) -> None:
    """Let a compensation wait for its outcome.

    Raises:
        UnexpectedEventError: the event is of another attempt, or the compensation is not out any more.
    """
    side = COMPENSATIONS.expect(fold, event)
    due_at = None if event.ask_after_seconds is None else fold.at + event.ask_after_seconds
    waits = side.to(CompensationStatus.WAITING)
    step = fold.set_compensation(event.step, CompensationHandedOut, _replace(waits, due_at=due_at, since=fold.at))
    fold.fields["undo_handed_out"] = True
    if due_at is not None:
        fold.set_timer(SetTimer(event.step, Direction.COMPENSATION, side.attempt, step.round, due_at))


def silent(fold: Fold, event: TimerFired) -> None:
    """Ask what became of a compensation that was handed out.

    Raises:
        UnexpectedEventError: the timer is of another attempt or another wait, or the saga is paused.
    """
    side = fold.step(event.step).compensation
    fold.expect(event, side.attempt)
    if fold.paused:
        raise UnexpectedEventError(f"the saga is paused; the compensation of step {event.step!r} is asked about on resume")
    if side.due_at is None or event.at < side.due_at:
        raise UnexpectedEventError(f"the timer is of the wait before attempt {event.attempt}, which was handed out meanwhile")
    if fold.plan.undo_waits and event.step in fold.plan.undo_waits:
        undo_wait.timed_out(fold, event.step, TimerFired)
    else:
        COMPENSATIONS.ask(fold, event)


def check(fold: Fold, event: CompensationReported) -> None:
    """Refuse a report that comes too late, or is about nothing that was handed out.

    Raises:
        RequestRefusedError: its text says what stands.
    """
    name, side = event.step, fold.step(event.step).compensation
    what, status = f"the compensation of step {name!r}", side.status
    if status in _NOT_BEGUN or name not in fold.plan.owners_of[Direction.COMPENSATION]:
        raise RequestRefusedError(f"{what} was not handed out: there is no outcome to report")
    if status not in (_ENDS_BY_SUCCESS if event.failure is None else _ENDS_BY_FAILURE):
        raise RequestRefusedError(f"{what} is {status}: its outcome is known, or an operator decides it")
    outside.check_failure(side, event, what, waits=status is CompensationStatus.BACKOFF)
