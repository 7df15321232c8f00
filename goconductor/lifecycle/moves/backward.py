"""Getting back: compensate what may have been done, in the reverse order of the graph.

Every step that was sent and has no outcome in the log may have run: it is waited for while it is leased, then it is unknown,
and compensated. "Never started" is never inferred. A step that reported failure is compensated as well, since an exception
can come after the effect; exempt is only one whose failure stands in its journal (PREVENTED).
"""

from __future__ import annotations

from typing import Never, assert_never

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.facts.effects import EndSaga
from goconductor.lifecycle.facts.events import (
    BackwardEvent,
    CompensationFailed,
    CompensationSettled,
    CompensationSucceeded,
    OutcomeUnknown,
    SettleUnavailable,
    SideEvent,
    TimerFired,
)
from goconductor.lifecycle.facts.state import ActionStatus, CompensationStatus, Failure, SagaStatus, Side, StepState
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import CLOSED_COMPENSATIONS, COMPENSATION_DONE, NO_COMPENSATION, Fold
from goconductor.lifecycle.moves.kinds import kind_of
from goconductor.lifecycle.moves.retrying import COMPENSATIONS
from goconductor.saga.definition import StepRole
from goconductor.saga.retry import COMPENSATION_RETRY, LAST_PATIENCE, patience


def apply(fold: Fold, event: BackwardEvent | SideEvent) -> None:
    """Decide about an event of a compensation.

    Raises:
        UnexpectedEventError: the event is late or repeated.
    """
    match event:
        case CompensationSucceeded():
            succeeded(fold, event)
        case CompensationFailed():
            failed(fold, event)
        case OutcomeUnknown():
            unknown(fold, event)
        case TimerFired():
            COMPENSATIONS.due(fold, event)
        case CompensationSettled():
            settled(fold, event)
        case SettleUnavailable():
            settle_unavailable(fold, event)
        case _:  # pragma: no cover
            assert_never(event)


def turn_back(fold: Fold, reason: str) -> None:
    """Let the saga only compensate from here on. A step in backoff was sent before, so it may have run."""
    if not fold.backward:
        fold.phase = SagaStatus.COMPENSATING
        fold.reason = reason
        for name, step in list(fold.steps.items()):
            if step.action.status is ActionStatus.BACKOFF and fold.role(name) is not StepRole.PIVOT:
                fold.set_action(name, Advance, step.action.to(ActionStatus.FAILED))
    advance(fold)


def advance(fold: Fold, closed: str | None = None) -> None:
    """Begin the compensations whose turn has come; end the saga when none is left.

    A step is *closed* when it and all after it need no compensation any more. The first look goes over the whole graph, the
    later ones of the same fold only from the step that has just been closed; while it is paused each look is a first one.
    """
    if fold.open_actions:
        return
    waiting = [closed] if closed is not None else []
    if fold.unclosed is None:
        fold.unclosed = {name: len(after) for name, after in fold.plan.successors.items()}
        waiting = [name for name in fold.plan.order if not fold.unclosed[name]]
    unclosed = fold.unclosed
    while waiting:
        name = waiting.pop()
        status = fold.step(name).compensation.status
        if status in CLOSED_COMPENSATIONS or not fold.needs_compensation(name):
            del unclosed[name]
            for before in fold.plan.predecessors[name]:
                unclosed[before] -= 1
                if not unclosed[before]:
                    waiting.append(before)
        elif status is NO_COMPENSATION and not fold.paused:
            kind_of(fold.plan.steps[name]).compensate(fold, name)
    if fold.paused:
        fold.unclosed = None
    if not unclosed:
        fold.phase = SagaStatus.COMPENSATED
        fold.effects.append(EndSaga(SagaStatus.COMPENSATED))


def late_success(name: str, step: StepState) -> Never:
    """Refuse a success that arrives after its compensation has begun: the compensation reports it itself."""
    raise UnexpectedEventError(
        f"the compensation of step {name!r} is {step.compensation.status}; its action's success comes too late"
    )


def succeeded(fold: Fold, event: CompensationSucceeded) -> None:
    """Close the compensation. A success counts for any attempt, also when stuck or being skipped."""
    before = fold.step(event.step).compensation
    closed = Side(COMPENSATION_DONE, before.attempt, before.unknowns, before.lost_at, None, before.failure)
    fold.set_compensation(event.step, CompensationSucceeded, closed)
    advance(fold, event.step)


def failed(fold: Fold, event: CompensationFailed) -> None:
    """Try again with backoff; when the policy is spent the saga is stuck."""
    name, side = event.step, COMPENSATIONS.expect(fold, event)
    policy = fold.plan.steps[name].compensation_retry or event.retry or COMPENSATION_RETRY
    if not COMPENSATIONS.failed(fold, event, policy):
        stuck = side.to(CompensationStatus.STUCK, failure=event.failure)
        fold.set_compensation(name, CompensationFailed, stuck)


def unknown(fold: Fold, event: OutcomeUnknown) -> None:
    """Try a lost compensation again under its key, with a maximum of its own."""
    limit = patience(fold.plan.steps[event.step].unknowns_max, LAST_PATIENCE)
    if (lost := COMPENSATIONS.lost(fold, event, limit)) is not None:
        fold.set_compensation(event.step, OutcomeUnknown, lost.to(CompensationStatus.STUCK))


def settled(fold: Fold, event: CompensationSettled) -> None:
    """End a skip: both keys are written. Where the compensation had happened, it counts as compensated."""
    status = CompensationStatus.DONE if event.happened else CompensationStatus.SKIPPED
    fold.set_compensation(event.step, CompensationSettled, fold.step(event.step).compensation.to(status))
    advance(fold, event.step)


def settle_unavailable(fold: Fold, event: SettleUnavailable) -> None:
    """Leave a skip to an operator: without a journal it cannot be fenced, so it must be forced."""
    failure = Failure("SkipRefused", f"{event.reason}: skip it by force, and late effects are possible")
    stuck = fold.step(event.step).compensation.to(CompensationStatus.STUCK, failure=failure)
    fold.set_compensation(event.step, SettleUnavailable, stuck)
