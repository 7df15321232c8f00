"""Getting on: what an outcome of an action means, and which steps may begin now."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle import backward
from goconductor.lifecycle.answers import CONDITION_ERROR
from goconductor.lifecycle.draft import DONE_ACTIONS, Draft
from goconductor.lifecycle.effects import EndSaga, RunAction, SetTimer, Settle
from goconductor.lifecycle.events import (
    ActionFailed,
    ActionSettled,
    ActionSucceeded,
    OutcomeDeclared,
    OutcomeUnknown,
    OutputRejected,
    SettleUnavailable,
    TimerFired,
)
from goconductor.lifecycle.state import ActionStatus, CompensationStatus, Failure, SagaStatus, StepState
from goconductor.lifecycle.transitions import Advance
from goconductor.saga.definition import StepKind
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.saga.policies import ACTION_PATIENCE, ACTION_RETRY, LAST_PATIENCE, LOST_RETRY, RETRIABLE_RETRY, patience


def advance(draft: Draft, steps: Iterable[str]) -> None:
    """Begin those of ``steps`` whose predecessors are done, skip those whose condition is false, and end what is at its end."""
    if not draft.paused:
        waiting = [*steps][::-1]
        while waiting:
            name = waiting.pop()
            if draft.has_its_turn(name) and _begin(draft, name):
                waiting.extend(draft.plan.successors[name])
            if draft.backward or draft.phase.ended:
                return
    if draft.remaining == 0:
        draft.phase = SagaStatus.COMPLETED
        draft.effects.append(EndSaga(SagaStatus.COMPLETED))


def _begin(draft: Draft, name: str) -> bool:
    """Send a step whose turn has come. True if it was skipped, so that its successors may have their turn."""
    condition = draft.plan.conditions.get(name)
    wanted = condition is None or draft.answer(name, condition, partial(_seen_by_conditions, draft))
    if isinstance(wanted, str):
        _without_condition(draft, name, Failure(CONDITION_ERROR, wanted, retryable=False))
        return False
    if wanted:
        draft.set_action(name, Advance, ActionStatus.SENT, attempt=1)
        draft.ask(RunAction(name, 1, draft.state.round))
        return False
    draft.set_action(name, Advance, ActionStatus.SKIPPED)
    draft.remaining -= 1
    return True


def _seen_by_conditions(draft: Draft) -> dict[str, object]:
    return {
        "input": draft.input,
        "steps": {
            name: {"output": step.output, "skipped": step.action is ActionStatus.SKIPPED}
            for name, step in draft.steps.items()
            if step.action in DONE_ACTIONS
        },
    }


def _without_condition(draft: Draft, name: str, failure: Failure) -> None:
    """A condition that cannot be evaluated is a step that cannot run. It was never sent, so it has no effect."""
    if draft.kind(name) is StepKind.RETRIABLE:
        draft.set_action(name, Advance, ActionStatus.STUCK, failure=failure)
    else:
        draft.set_action(name, Advance, ActionStatus.PREVENTED, failure=failure)
        backward.turn_back(draft, f"step {name!r}: {failure}")


def succeeded(draft: Draft, event: ActionSucceeded | ActionSettled | OutcomeDeclared) -> None:
    """A success counts for any attempt of its round. Once the pivot has happened nothing turns the saga back any more."""
    step = draft.step(event.step)
    if not step.attempt and not isinstance(event, OutcomeDeclared):
        raise UnexpectedEventError(f"the action of step {event.step!r} was never sent; it cannot have succeeded")
    if step.compensation is not CompensationStatus.NONE:
        backward.late_success(event.step, step)
    draft.set_action(
        event.step,
        type(event),
        ActionStatus.SUCCEEDED,
        attempt=max(step.attempt, 1),
        output=event.output,
        failure=None,
        due_at=None,
        skipping=False,
    )
    if draft.backward:
        backward.advance(draft)
    else:
        draft.reason = ""
        draft.remaining -= 1
        advance(draft, draft.plan.successors[event.step])


def failed(draft: Draft, event: ActionFailed) -> None:
    """Try again while its policy allows; else turn back, settle a pivot, or give a retriable step to the operator."""
    name, step, kind = event.step, draft.step(event.step), draft.kind(event.step)
    if step.action is ActionStatus.SENT:
        draft.expect(event, step.attempt)
    policy = draft.plan.steps[name].retry or event.retry or (RETRIABLE_RETRY if kind is StepKind.RETRIABLE else ACTION_RETRY)
    if not draft.backward and event.failure.retryable and not event.proven and policy.allows(event.attempt):
        wait = policy.wait_seconds(event.attempt, _key(draft, name))
        wait = max(wait, event.delay_seconds or 0.0)
        _back_off(draft, event, step, wait_seconds=wait, failure=event.failure, unknowns=step.unknowns)
    elif kind is StepKind.RETRIABLE:
        draft.set_action(name, ActionFailed, ActionStatus.STUCK, failure=event.failure)
    elif kind is StepKind.PIVOT and not event.proven:
        draft.set_action(name, ActionFailed, ActionStatus.SETTLING, failure=event.failure)
        draft.effects.append(Settle(name, draft.state.round))
    else:
        after = ActionStatus.PREVENTED if event.proven else ActionStatus.FAILED
        draft.set_action(name, ActionFailed, after, failure=event.failure)
        backward.turn_back(draft, f"step {name!r}: {event.failure}")


def output_rejected(draft: Draft, event: OutputRejected) -> None:
    """It happened, but has no output. Undo it; where that cannot be, a person says what the output should have been."""
    name, step, failure = event.step, draft.step(event.step), event.failure
    if step.action is ActionStatus.SENT:
        draft.expect(event, step.attempt)
    if draft.kind(name) is StepKind.COMPENSATABLE:
        draft.set_action(name, OutputRejected, ActionStatus.FAILED, failure=failure)
        backward.turn_back(draft, f"step {name!r}: {failure}")
    else:
        remedy = "its effect stands, so declare that it happened, with the output that it should have had"
        failure = Failure(failure.type, f"{failure.message}; {remedy}", retryable=False)
        once = max(step.unknowns, 1)  # if a person has it run again, a failure will not mean that it never happened
        draft.set_action(name, OutputRejected, ActionStatus.STUCK, failure=failure, unknowns=once)


def unknown(draft: Draft, event: OutcomeUnknown) -> None:
    """Nobody knows whether it ran. Try again under the same key, but not for ever; then compensate, settle or give up."""
    name, step, kind = event.step, draft.step(event.step), draft.kind(event.step)
    if step.action is ActionStatus.SENT:
        draft.expect(event, step.attempt)
    losses, lost_at = draft.losses(event)
    lost = {"unknowns": losses, "lost_at": lost_at, "failure": Failure("OutcomeUnknown", event.reason)}
    fitting = LAST_PATIENCE if kind is StepKind.RETRIABLE else ACTION_PATIENCE
    limit = patience(draft.plan.steps[name].unknowns_max, fitting)
    if not draft.backward and not limit.is_over(losses, draft.time_of(event) - lost_at):
        if losses == 1:  # most often a restart: no reason to wait
            draft.set_action(name, OutcomeUnknown, ActionStatus.SENT, attempt=step.attempt + 1, **lost)
            draft.ask(RunAction(name, step.attempt + 1, draft.state.round))
        else:
            _back_off(draft, event, step, wait_seconds=LOST_RETRY.wait_seconds(losses, _key(draft, name)), **lost)
    elif kind is StepKind.RETRIABLE:
        draft.set_action(name, OutcomeUnknown, ActionStatus.STUCK, **lost)
    elif kind is StepKind.PIVOT:
        draft.set_action(name, OutcomeUnknown, ActionStatus.SETTLING, **lost)
        draft.effects.append(Settle(name, draft.state.round))
    else:
        draft.set_action(name, OutcomeUnknown, ActionStatus.UNKNOWN, **lost)
        backward.turn_back(draft, f"step {name!r}: its outcome is unknown ({event.reason})")


def settled(draft: Draft, event: ActionSettled) -> None:
    """The journal has spoken: forward if it had happened, else it never will."""
    name, step = event.step, draft.step(event.step)
    if event.happened:
        succeeded(draft, event)
    elif step.skipping:
        skip(draft, name, ActionSettled)
    else:
        draft.set_action(name, ActionSettled, ActionStatus.PREVENTED)
        backward.turn_back(draft, draft.reason or f"step {name!r}: {step.failure}")


def settle_unavailable(draft: Draft, event: SettleUnavailable) -> None:
    """Without a journal a reported failure is all that can be known; a lost outcome needs a person."""
    name, step = event.step, draft.step(event.step)
    if step.failure is not None and not step.unknowns and not step.skipping:
        draft.set_action(name, SettleUnavailable, ActionStatus.FAILED)
        backward.turn_back(draft, draft.reason or f"step {name!r}: {step.failure}")
    else:
        failure = Failure("OutcomeUnknown", f"{event.reason}: find out whether it happened and declare its outcome")
        draft.set_action(name, SettleUnavailable, ActionStatus.STUCK, failure=failure, skipping=False)


def skip(draft: Draft, name: str, cause: type[object]) -> None:
    """Go on without a step."""
    draft.set_action(name, cause, ActionStatus.SKIPPED, skipping=False, due_at=None)
    draft.remaining -= 1
    advance(draft, draft.plan.successors[name])


def _back_off(
    draft: Draft, event: ActionFailed | OutcomeUnknown, step: StepState, *, wait_seconds: float, **changes: Any
) -> None:
    due_at = draft.time_of(event) + wait_seconds
    attempt = step.attempt + 1
    draft.set_action(event.step, type(event), ActionStatus.BACKOFF, attempt=attempt, due_at=due_at, **changes)
    draft.effects.append(SetTimer(event.step, Direction.ACTION, attempt, draft.state.round, due_at))


def _key(draft: Draft, name: str) -> str:
    return idempotency_key(draft.state.saga_id, name, Direction.ACTION, draft.state.round)


def due(draft: Draft, name: str, event: TimerFired) -> None:
    """The wait before an attempt is over."""
    draft.set_action(name, TimerFired, ActionStatus.SENT, due_at=None)
    draft.ask(RunAction(name, event.attempt, draft.state.round))
