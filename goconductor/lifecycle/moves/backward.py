"""What an outcome of a compensation means."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from goconductor.lifecycle.facts.events import (
    BackwardEvent,
    CompensationFailed,
    CompensationHandedOut,
    CompensationReported,
    CompensationSettled,
    CompensationSucceeded,
    OutcomeUnknown,
    SettleUnavailable,
    SideEvent,
    TimerFired,
)
from goconductor.lifecycle.facts.state import Failure, Side
from goconductor.lifecycle.facts.status import COMPENSATION_DONE, CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import forward
from goconductor.lifecycle.moves.kinds import call
from goconductor.lifecycle.moves.retrying import COMPENSATIONS
from goconductor.lifecycle.moves.returning import undoing, waiting
from goconductor.saga.retry import LAST_PATIENCE, patience


def apply(fold: Fold, event: BackwardEvent | SideEvent) -> None:
    """Decide about an event of a compensation.

    Raises:
        UnexpectedEventError: the event is late or repeated.
    """
    match event:
        case CompensationSucceeded():
            succeeded(fold, event)
        case CompensationFailed():
            failed(fold, event, event.failure)
        case CompensationHandedOut():
            waiting.handed_out(fold, event)
        case CompensationReported():
            reported(fold, event)
        case OutcomeUnknown():
            unknown(fold, event)
        case TimerFired() if fold.step(event.step).compensation.status is CompensationStatus.WAITING:
            waiting.silent(fold, event)
        case TimerFired():
            COMPENSATIONS.due(fold, event)
        case CompensationSettled():
            settled(fold, event)
        case SettleUnavailable():
            settle_unavailable(fold, event)
        case _:  # pragma: no cover
            assert_never(event)


def succeeded(fold: Fold, event: CompensationSucceeded | CompensationReported) -> None:
    """Close the compensation. A success counts for any attempt, also when stuck or being skipped."""
    before = fold.step(event.step).compensation
    closed = Side(COMPENSATION_DONE, before.attempt, before.unknowns, before.lost_at, None, before.failure)
    fold.set_compensation(event.step, type(event), closed)
    forward.undone(fold, event.step, type(event))


def failed(fold: Fold, event: CompensationFailed | CompensationReported, failure: Failure) -> None:
    """Try again with backoff; when the policy is spent the saga is stuck."""
    name, side = event.step, COMPENSATIONS.expect(fold, event)
    last = COMPENSATIONS.failed(fold, event, failure, fold.plan.compensation_retry_of(name, event.retry))
    if last is not None:
        over = event.attempt if isinstance(event, CompensationReported) else side.over
        stuck = side.to(CompensationStatus.STUCK, failure=last, over=over)
        fold.set_compensation(name, type(event), stuck)


def reported(fold: Fold, event: CompensationReported) -> None:
    """Take an outcome that somebody outside reports.

    Raises:
        RequestRefusedError: it comes too late, or is about nothing that was handed out.
    """
    waiting.check(fold, event)
    fold.fields["undo_handed_out"] = True  # it may have been reported before its process could say that it was handed out
    if event.failure is None:
        succeeded(fold, event)
    else:
        failed(fold, replace(event, attempt=fold.step(event.step).compensation.attempt), event.failure)


def unknown(fold: Fold, event: OutcomeUnknown) -> None:
    """Try a lost compensation again under its key, with a maximum of its own."""
    limit = patience(fold.plan.steps[event.step].unknowns_max, LAST_PATIENCE)
    if (lost := COMPENSATIONS.lost(fold, event, limit)) is not None:
        fold.set_compensation(event.step, OutcomeUnknown, lost.to(CompensationStatus.STUCK))


def settled(fold: Fold, event: CompensationSettled) -> None:
    """End a skip: both keys are written. Where the compensation had happened, it counts as compensated."""
    status = CompensationStatus.DONE if event.happened else CompensationStatus.SKIPPED
    fold.set_compensation(event.step, CompensationSettled, fold.step(event.step).compensation.to(status))
    forward.undone(fold, event.step, CompensationSettled)


def settle_unavailable(fold: Fold, event: SettleUnavailable) -> None:
    """Begin a declared undo about whose action nobody knows more; else leave a skip to an operator, as it cannot be fenced."""
    undoing.check_asked(fold, event)
    if undoing.is_settled_first(fold, event.step):
        call.compensate(fold, event.step, SettleUnavailable, settled=True)
        return
    failure = Failure("SkipRefused", f"{event.reason}: skip it by force, and late effects are possible")
    stuck = fold.step(event.step).compensation.to(CompensationStatus.STUCK, failure=failure)
    fold.set_compensation(event.step, SettleUnavailable, stuck)
