"""Getting on: what an outcome of an action means, and which steps may begin now."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import assert_never

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle import backward
from goconductor.lifecycle.answers import CONDITION_ERROR
from goconductor.lifecycle.draft import ACTION_SUCCEEDED, NO_COMPENSATION, Draft
from goconductor.lifecycle.effects import EndSaga, RunAction, Settle
from goconductor.lifecycle.events import (
    ActionFailed,
    ActionSettled,
    ActionSucceeded,
    DeadlinePassed,
    ForwardEvent,
    OutcomeDeclared,
    OutcomeUnknown,
    OutputRejected,
    SettleUnavailable,
    SideEvent,
    TimerFired,
)
from goconductor.lifecycle.retrying import ACTIONS
from goconductor.lifecycle.state import DONE_ACTIONS, ActionStatus, Failure, SagaStatus, Side
from goconductor.lifecycle.transitions import Advance
from goconductor.saga.definition import StepKind
from goconductor.saga.policies import ACTION_PATIENCE, ACTION_RETRY, LAST_PATIENCE, RETRIABLE_RETRY, patience

_FIRST_ATTEMPT = Side(ActionStatus.SENT, 1)
_AFTER_LOST = {
    StepKind.COMPENSATABLE: ActionStatus.UNKNOWN,
    StepKind.PIVOT: ActionStatus.SETTLING,
    StepKind.RETRIABLE: ActionStatus.STUCK,
}
"""What a step becomes after its last lost outcome."""


def apply(draft: Draft, event: ForwardEvent | SideEvent) -> None:
    """Decide about an event of an action, or about the saga's deadline.

    Raises:
        UnexpectedEventError: the event is late or repeated.
    """
    match event:
        case ActionSucceeded():
            succeeded(draft, event)
        case ActionFailed():
            failed(draft, event)
        case OutcomeUnknown():
            unknown(draft, event)
        case TimerFired():
            ACTIONS.due(draft, event)
        case OutputRejected():
            output_rejected(draft, event)
        case ActionSettled():
            settled(draft, event)
        case SettleUnavailable():
            settle_unavailable(draft, event)
        case DeadlinePassed():
            deadline_passed(draft)
        case _:  # pragma: no cover
            assert_never(event)


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
        step = draft.set_action(name, Advance, _FIRST_ATTEMPT)
        draft.ask(RunAction(name, 1, step.round))
        return False
    draft.set_action(name, Advance, Side(ActionStatus.SKIPPED))
    draft.remaining -= 1
    return True


def _seen_by_conditions(draft: Draft) -> dict[str, object]:
    return {
        "input": draft.input,
        "steps": {
            name: {"output": step.output, "skipped": step.action.status is ActionStatus.SKIPPED}
            for name, step in draft.steps.items()
            if step.action.status in DONE_ACTIONS
        },
    }


def _without_condition(draft: Draft, name: str, failure: Failure) -> None:
    """A condition that cannot be evaluated is a step that cannot run. It was never sent, so it has no effect."""
    if draft.kind(name) is StepKind.RETRIABLE:
        draft.set_action(name, Advance, Side(ActionStatus.STUCK, failure=failure))
    else:
        draft.set_action(name, Advance, Side(ActionStatus.PREVENTED, failure=failure))
        backward.turn_back(draft, f"step {name!r}: {failure}")


def succeeded(draft: Draft, event: ActionSucceeded | ActionSettled | OutcomeDeclared) -> None:
    """A success counts for any attempt of its round. Once the pivot has happened nothing turns the saga back any more."""
    step = draft.step(event.step)
    before = step.action
    if not before.attempt and not isinstance(event, OutcomeDeclared):
        raise UnexpectedEventError(f"the action of step {event.step!r} was never sent; it cannot have succeeded")
    if step.compensation.status is not NO_COMPENSATION:
        backward.late_success(event.step, step)
    action = Side(ACTION_SUCCEEDED, before.attempt or 1, before.unknowns, before.lost_at)
    draft.set_action(event.step, type(event), action, output=event.output, skipping=False)
    if draft.backward:
        backward.advance(draft)
    else:
        draft.reason = ""
        draft.remaining -= 1
        advance(draft, draft.plan.successors[event.step])


def failed(draft: Draft, event: ActionFailed) -> None:
    """Try again while its policy allows; else turn back, settle a pivot, or give a retriable step to the operator."""
    name, side, kind = event.step, ACTIONS.expect(draft, event), draft.kind(event.step)
    policy = draft.plan.steps[name].retry or event.retry or (RETRIABLE_RETRY if kind is StepKind.RETRIABLE else ACTION_RETRY)
    if not draft.backward and not event.proven and ACTIONS.failed(draft, event, policy):
        return
    if kind is StepKind.RETRIABLE:
        after = ActionStatus.STUCK
    elif kind is StepKind.PIVOT and not event.proven:
        after = ActionStatus.SETTLING
    else:
        after = ActionStatus.PREVENTED if event.proven else ActionStatus.FAILED
    draft.set_action(name, ActionFailed, side.to(after, failure=event.failure))
    _given_up(draft, name, after, str(event.failure))


def _given_up(draft: Draft, name: str, status: ActionStatus, why: str) -> None:
    """Go on after the last attempt: settle a pivot, leave a stuck step to an operator, else turn back."""
    if status is ActionStatus.SETTLING:
        draft.effects.append(Settle(name, draft.step(name).round))
    elif status is not ActionStatus.STUCK:
        backward.turn_back(draft, f"step {name!r}: {why}")


def output_rejected(draft: Draft, event: OutputRejected) -> None:
    """It happened, but has no output. Undo it; where that cannot be, a person says what the output should have been."""
    name, side, failure = event.step, ACTIONS.expect(draft, event), event.failure
    if draft.kind(name) is StepKind.COMPENSATABLE:
        draft.set_action(name, OutputRejected, side.to(ActionStatus.FAILED, failure=failure))
        backward.turn_back(draft, f"step {name!r}: {failure}")
    else:
        remedy = "its effect stands, so declare that it happened, with the output that it should have had"
        failure = Failure(failure.type, f"{failure.message}; {remedy}", retryable=False)
        once = max(side.unknowns, 1)  # if a person has it run again, a failure will not mean that it never happened
        draft.set_action(name, OutputRejected, side.to(ActionStatus.STUCK, failure=failure, unknowns=once))


def unknown(draft: Draft, event: OutcomeUnknown) -> None:
    """Nobody knows whether it ran. Try again under the same key, but not for ever; then compensate, settle or give up."""
    name, kind = event.step, draft.kind(event.step)
    fitting = LAST_PATIENCE if kind is StepKind.RETRIABLE else ACTION_PATIENCE
    limit = None if draft.backward else patience(draft.plan.steps[name].unknowns_max, fitting)
    if (lost := ACTIONS.lost(draft, event, limit)) is not None:
        after = _AFTER_LOST[kind]
        draft.set_action(name, OutcomeUnknown, lost.to(after))
        _given_up(draft, name, after, f"its outcome is unknown ({event.reason})")


def settled(draft: Draft, event: ActionSettled) -> None:
    """The journal has spoken: forward if it had happened, else it never will."""
    name, step = event.step, draft.step(event.step)
    if event.happened:
        succeeded(draft, event)
    elif step.skipping:
        skip(draft, name, ActionSettled)
    else:
        draft.set_action(name, ActionSettled, step.action.to(ActionStatus.PREVENTED))
        backward.turn_back(draft, draft.reason or f"step {name!r}: {step.action.failure}")


def settle_unavailable(draft: Draft, event: SettleUnavailable) -> None:
    """Without a journal a reported failure is all that can be known; a lost outcome needs a person."""
    name, step = event.step, draft.step(event.step)
    side = step.action
    if side.failure is not None and not side.unknowns and not step.skipping:
        draft.set_action(name, SettleUnavailable, side.to(ActionStatus.FAILED))
        backward.turn_back(draft, draft.reason or f"step {name!r}: {side.failure}")
    else:
        failure = Failure("OutcomeUnknown", f"{event.reason}: find out whether it happened and declare its outcome")
        stuck = side.to(ActionStatus.STUCK, failure=failure)
        draft.set_action(name, SettleUnavailable, stuck, skipping=False)


def skip(draft: Draft, name: str, cause: type[object]) -> None:
    """Go on without a step."""
    skipped = draft.step(name).action.to(ActionStatus.SKIPPED)
    draft.set_action(name, cause, skipped, skipping=False)
    draft.remaining -= 1
    advance(draft, draft.plan.successors[name])


def deadline_passed(draft: Draft) -> None:
    """Turn back, unless the pivot was sent; then a deadline is only reported. A paused saga begins nothing until resumed."""
    if draft.state.deadline_passed:
        raise UnexpectedEventError("the deadline has passed before")
    draft.fields["deadline_passed"] = True
    pivot = draft.plan.pivot
    if not draft.backward and (pivot is None or draft.step(pivot).action.status is ActionStatus.PENDING):
        backward.turn_back(draft, "its deadline has passed")
