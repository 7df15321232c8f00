"""Getting back: compensate what may have been done, in the reverse order of the graph.

Every step that was sent and has no outcome in the log may have run: it is waited for while it is leased, then it is unknown,
and compensated. "Never started" is never inferred. A step that reported failure is compensated as well, since an exception
can come after the effect; exempt is only one whose failure stands in its journal (PREVENTED).
"""

from __future__ import annotations

from typing import Any, Never

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.draft import CLOSED_COMPENSATIONS, Draft
from goconductor.lifecycle.effects import EndSaga, RunCompensation, SetTimer
from goconductor.lifecycle.events import (
    CompensationFailed,
    CompensationSettled,
    CompensationSucceeded,
    OutcomeUnknown,
    SettleUnavailable,
    TimerFired,
)
from goconductor.lifecycle.state import ActionStatus, CompensationStatus, Failure, SagaStatus, StepState
from goconductor.lifecycle.transitions import Advance
from goconductor.saga.definition import StepKind
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.saga.policies import COMPENSATION_RETRY, LAST_PATIENCE, LOST_RETRY, patience


def turn_back(draft: Draft, reason: str) -> None:
    """From here on the saga only compensates. A step in backoff was sent before, so it may have run."""
    if not draft.backward:
        draft.phase = SagaStatus.COMPENSATING
        draft.reason = reason
        for name, step in list(draft.steps.items()):
            if step.action is ActionStatus.BACKOFF and draft.kind(name) is not StepKind.PIVOT:
                draft.set_action(name, Advance, ActionStatus.FAILED, due_at=None)
    advance(draft)


def advance(draft: Draft, closed: str | None = None) -> None:
    """Begin the compensations whose turn has come; end the saga when none is left.

    A step is *closed* when it and all after it need no compensation any more. The first look goes over the whole graph, the
    later ones of the same draft only from the step that has just been closed; while it is paused each look is a first one.
    """
    if draft.open_actions:
        return
    waiting = [closed] if closed is not None else []
    if draft.unclosed is None:
        draft.unclosed = {name: len(after) for name, after in draft.plan.successors.items()}
        waiting = [name for name in draft.plan.order if not draft.unclosed[name]]
    unclosed = draft.unclosed
    while waiting:
        name = waiting.pop()
        step = draft.step(name)
        if not draft.needs_compensation(name) or step.compensation in CLOSED_COMPENSATIONS:
            del unclosed[name]
            for before in draft.plan.predecessors[name]:
                unclosed[before] -= 1
                if not unclosed[before]:
                    waiting.append(before)
        elif step.compensation is CompensationStatus.NONE and not draft.paused:
            draft.set_compensation(name, Advance, CompensationStatus.SENT, compensation_attempt=1, unknowns=0, lost_at=None)
            draft.ask(RunCompensation(name, 1, draft.state.round))
    if draft.paused:
        draft.unclosed = None
    if not unclosed:
        draft.phase = SagaStatus.COMPENSATED
        draft.effects.append(EndSaga(SagaStatus.COMPENSATED))


def late_success(name: str, step: StepState) -> Never:
    """A success that arrives once its compensation has begun is told by the compensation itself."""
    raise UnexpectedEventError(f"the compensation of step {name!r} is {step.compensation}; its action's success comes too late")


def succeeded(draft: Draft, event: CompensationSucceeded) -> None:
    """A success counts for any attempt, also when stuck or being skipped."""
    draft.set_compensation(event.step, CompensationSucceeded, CompensationStatus.DONE, due_at=None)
    advance(draft, event.step)


def failed(draft: Draft, event: CompensationFailed) -> None:
    """Try again with backoff; when the policy is spent the saga is stuck."""
    name, step = event.step, draft.step(event.step)
    if step.compensation is CompensationStatus.SENT:
        draft.expect(event, step.compensation_attempt)
    policy = draft.plan.steps[name].compensation_retry or event.retry or COMPENSATION_RETRY
    if event.failure.retryable and policy.allows(event.attempt):
        wait = max(policy.wait_seconds(event.attempt, _key(draft, name)), event.delay_seconds or 0.0)
        _back_off(draft, event, step, wait_seconds=wait, failure=event.failure, unknowns=step.unknowns)
    else:
        draft.set_compensation(name, CompensationFailed, CompensationStatus.STUCK, failure=event.failure)


def unknown(draft: Draft, event: OutcomeUnknown) -> None:
    """Lost outcomes of a compensation are tried again under its key, with their own maximum."""
    name, step = event.step, draft.step(event.step)
    if step.compensation is CompensationStatus.SENT:
        draft.expect(event, step.compensation_attempt)
    losses, lost_at = draft.losses(event)
    lost = {"unknowns": losses, "lost_at": lost_at, "failure": Failure("OutcomeUnknown", event.reason)}
    attempt = step.compensation_attempt + 1
    if patience(draft.plan.steps[name].unknowns_max, LAST_PATIENCE).is_over(losses, draft.time_of(event) - lost_at):
        draft.set_compensation(name, OutcomeUnknown, CompensationStatus.STUCK, **lost)
    elif losses == 1:
        draft.set_compensation(name, OutcomeUnknown, CompensationStatus.SENT, compensation_attempt=attempt, **lost)
        draft.ask(RunCompensation(name, attempt, draft.state.round))
    else:
        _back_off(draft, event, step, wait_seconds=LOST_RETRY.wait_seconds(losses, _key(draft, name)), **lost)


def settled(draft: Draft, event: CompensationSettled) -> None:
    """A skip is done: both keys are written. Had the compensation happened, it counts as compensated."""
    status = CompensationStatus.DONE if event.happened else CompensationStatus.SKIPPED
    draft.set_compensation(event.step, CompensationSettled, status)
    advance(draft, event.step)


def settle_unavailable(draft: Draft, event: SettleUnavailable) -> None:
    """Without a journal a skip cannot be fenced: it must be forced."""
    failure = Failure("SkipRefused", f"{event.reason}: skip it by force, and late effects are possible")
    draft.set_compensation(event.step, SettleUnavailable, CompensationStatus.STUCK, failure=failure)


def _back_off(
    draft: Draft, event: CompensationFailed | OutcomeUnknown, step: StepState, *, wait_seconds: float, **changes: Any
) -> None:
    due_at = draft.time_of(event) + wait_seconds
    attempt = step.compensation_attempt + 1
    draft.set_compensation(
        event.step, type(event), CompensationStatus.BACKOFF, compensation_attempt=attempt, due_at=due_at, **changes
    )
    draft.effects.append(SetTimer(event.step, Direction.COMPENSATION, attempt, draft.state.round, due_at))


def _key(draft: Draft, name: str) -> str:
    return idempotency_key(draft.state.saga_id, name, Direction.COMPENSATION, draft.state.round)


def due(draft: Draft, name: str, event: TimerFired) -> None:
    """The wait before an attempt is over."""
    draft.set_compensation(name, TimerFired, CompensationStatus.SENT, due_at=None)
    draft.ask(RunCompensation(name, event.attempt, draft.state.round))
