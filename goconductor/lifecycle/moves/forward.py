"""Forward: what an outcome of an action means. :mod:`goconductor.lifecycle.moves.beginning` says which steps begin by it."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.facts.effects import Settle
from goconductor.lifecycle.facts.events import (
    ActionFailed,
    ActionHandedOut,
    ActionSettled,
    ActionSucceeded,
    DeadlinePassed,
    ForwardEvent,
    OutcomeDeclared,
    OutcomeReported,
    OutcomeUnknown,
    OutputRejected,
    SettleUnavailable,
    SideEvent,
    TimerFired,
)
from goconductor.lifecycle.facts.state import Failure, Side
from goconductor.lifecycle.facts.status import ACTION_SUCCEEDED, MAY_HAVE_RUN, ActionStatus, CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import outside
from goconductor.lifecycle.moves.beginning import advance, fails, without_effect
from goconductor.lifecycle.moves.kinds import call, repeat, wait
from goconductor.lifecycle.moves.retrying import ACTIONS
from goconductor.lifecycle.moves.returning import joining, rewinding, tolerated, turning, undoing
from goconductor.saga.definition import StepRole
from goconductor.saga.retry import ACTION_PATIENCE, LAST_PATIENCE, patience

_AFTER_LOST = {
    StepRole.COMPENSATABLE: ActionStatus.UNKNOWN,
    StepRole.PIVOT: ActionStatus.SETTLING,
    StepRole.RETRIABLE: ActionStatus.STUCK,
}
"""The status of a step after its last lost outcome."""


def apply(fold: Fold, event: ForwardEvent | SideEvent) -> None:
    """Decide about an event of an action, or about the saga's deadline.

    Raises:
        UnexpectedEventError: the event is late or repeated.
    """
    match event:
        case ActionSucceeded():
            succeeded(fold, event)
        case ActionFailed():
            failed(fold, event, event.failure)
        case ActionHandedOut():
            if not outside.handed_out(fold, event):
                has_failed(fold, event.step, "it was handed out")
        case OutcomeReported():
            reported(fold, event)
        case OutcomeUnknown():
            unknown(fold, event)
        case TimerFired():
            due(fold, event)
        case OutputRejected():
            output_rejected(fold, event)
        case ActionSettled():
            settled(fold, event)
        case SettleUnavailable():
            settle_unavailable(fold, event)
        case DeadlinePassed():
            turning.deadline_passed(fold)
        case _:  # pragma: no cover
            assert_never(event)


def due(fold: Fold, event: TimerFired) -> None:
    """End a delay, give up a wait whose time is over, or begin the next attempt of a step that backed off.

    While the saga is paused neither a delay nor a wait ends by its time: it does on resume, unless a signal came before.
    """
    step = fold.step(event.step)
    waits = step.action
    if step.wishes:
        raise UnexpectedEventError(f"step {event.step!r} waits for locks, and no time ends that")
    if waits.status is not ActionStatus.WAITING:
        ACTIONS.due(fold, event)
        return
    fold.expect(event, waits.attempt)
    if fold.paused:
        raise UnexpectedEventError(f"the saga is paused; step {event.step!r} ends its waiting on resume")
    if outside.is_outside(fold, event.step):
        silent(fold, event)
        return
    if fold.plan.steps[event.step].wait is not None:
        done = without_effect(fold, event.step, TimerFired, wait.timed_out(fold, event.step), attempt=waits.attempt)
        if done or fold.joins:
            advance(fold, joining.after(fold, event.step) if done else ())
        return
    if event.step in fold.plan.untils:
        failure = repeat.begin(fold, event.step, TimerFired)
        if failure is not None:
            without_effect(fold, event.step, TimerFired, failure, attempt=waits.attempt)
        if failure is None or fold.joins:
            advance(fold, ())
        return
    fold.set_action(event.step, TimerFired, waits.to(ActionStatus.SUCCEEDED))
    fold.reason = ""
    _go_on(fold, event.step)


def silent(fold: Fold, event: TimerFired) -> None:
    """Ask what became of a step that was handed out; where its time is over, take its outcome for lost."""
    name, side = event.step, fold.step(event.step).action
    if side.due_at is None or event.at < side.due_at:
        raise UnexpectedEventError(f"the timer is of the wait before attempt {event.attempt}, which was handed out meanwhile")
    if not outside.is_too_late(fold, name):
        ACTIONS.ask(fold, event)
        return
    total = fold.plan.steps[name].total_timeout_seconds
    failure = Failure(outside.NO_OUTCOME, f"nobody reported its outcome within its total timeout of {total:g} s", retryable=False)
    _lost(fold, event, replace(side, failure=failure, unknowns=side.unknowns + 1), str(failure))


def reported(fold: Fold, event: OutcomeReported) -> None:
    """Take an outcome that somebody outside reports.

    Raises:
        RequestRefusedError: it comes too late, or is about nothing that was handed out.
    """
    outside.check(fold, event)
    if event.failure is None:
        succeeded(fold, event)
    else:
        failed(fold, replace(event, attempt=fold.step(event.step).action.attempt), event.failure)


def succeeded(fold: Fold, event: ActionSucceeded | ActionSettled | OutcomeDeclared | OutcomeReported) -> None:
    """Take a success; it counts for any attempt of its round. After the pivot's nothing turns the saga back any more."""
    step = fold.step(event.step)
    before = step.action
    was_sent = before.attempt > 0 and event.step in fold.plan.sent
    if not was_sent and not isinstance(event, OutcomeDeclared):
        raise UnexpectedEventError(f"the action of step {event.step!r} was never sent; it cannot have succeeded")
    goes_back = fold.goes_back(event.step)
    if before.status in MAY_HAVE_RUN and goes_back:
        turning.late_success(fold, event.step)
    elif before.status in MAY_HAVE_RUN:
        raise UnexpectedEventError(
            f"the failure of step {event.step!r} is tolerated, and its compensation is {step.compensation.status}; "
            "its action's success comes too late"
        )
    action = Side(ACTION_SUCCEEDED, before.attempt or 1, before.unknowns, before.lost_at)
    fold.set_action(event.step, type(event), action, output=event.output, skipping=False)
    if not goes_back:
        fold.remaining -= 1
        fold.reason = ""
        advance(fold, joining.after(fold, event.step))
        return
    if undoing.is_settled_first(fold, event.step):
        call.compensate(fold, event.step, type(event))
    if not fold.backward:  # it goes back by a rewind, or with its item
        fold.remaining -= 1
    back(fold, event.step)


def failed(fold: Fold, event: ActionFailed | OutcomeReported, failure: Failure) -> None:
    """Try again while its policy allows; else turn back, settle a pivot or a tolerated step, or leave it to an operator."""
    name, side, role = event.step, ACTIONS.expect(fold, event), fold.role(event.step)
    if isinstance(event, ActionFailed) and event.late_effects:
        fold.fields["late_effects"] = True
    if not fold.goes_back(name) and not event.proven:
        last = ACTIONS.failed(fold, event, failure, fold.plan.retry_of(name, event.retry))
        if last is None:
            return
        failure = last
    if role is StepRole.RETRIABLE:
        after = ActionStatus.STUCK
    elif not event.proven and (role is StepRole.PIVOT or fold.tolerates(name)):
        after = ActionStatus.SETTLING
    elif fold.tolerates(name):
        after = ActionStatus.GIVEN_UP
    else:
        after = ActionStatus.PREVENTED if event.proven else ActionStatus.FAILED
    over = event.attempt if isinstance(event, OutcomeReported) else side.over
    fold.set_action(name, type(event), side.to(after, failure=failure, over=over))
    _given_up(fold, name, after, str(failure))


def _lost(fold: Fold, event: OutcomeUnknown | TimerFired, side: Side[ActionStatus], why: str) -> None:
    """Take the outcome of an action for lost for good: nobody tries it, or asks, again."""
    name = event.step
    after = ActionStatus.SETTLING if fold.tolerates(name) else _AFTER_LOST[fold.role(name)]
    fold.set_action(name, type(event), side.to(after))
    _given_up(fold, name, after, why)


def _given_up(fold: Fold, name: str, status: ActionStatus, why: str) -> None:
    """Go on after the last attempt: have the step settled, go on without it, leave it to an operator, or turn back."""
    if status is ActionStatus.SETTLING:
        fold.effects.append(Settle(name, fold.step(name).round))
    elif status is ActionStatus.GIVEN_UP:
        _go_on(fold, name)
    elif status is not ActionStatus.STUCK:
        has_failed(fold, name, f"step {name!r}: {why}")


def has_failed(fold: Fold, name: str, reason: str) -> None:
    """Turn back, or lose the step's item, as it has failed for good. Of a step that goes back already a failure is none."""
    if fold.rewinds(name):
        back(fold, name)
    elif fold.plan.loses and not fold.backward and fold.is_lost(name):
        joining.undo(fold, name)
    else:
        fails(fold, name, reason)
    if fold.joins:
        advance(fold, ())


def back(fold: Fold, name: str = "", *, closed: bool = False) -> None:
    """Go on with what goes back: a step's lost item, else a rewind or the saga. A rewind that ends lets its steps begin again.

    Args:
        fold: the saga.
        name: the step; none where the request was about more.
        closed: whether its compensation has just been closed.
    """
    if fold.plan.loses and not fold.backward and not fold.rewinds(name) and fold.is_lost(name):
        joining.undo(fold, name)
        if fold.joins:
            advance(fold, ())
    elif turning.advance(fold, name if closed else None):
        advance(fold, rewinding.end(fold))


def output_rejected(fold: Fold, event: OutputRejected) -> None:
    """Undo what happened without a usable output; where that cannot be, an operator declares the output."""
    name, side, failure = event.step, ACTIONS.expect(fold, event), event.failure
    if fold.role(name) is StepRole.COMPENSATABLE:
        tolerates = fold.tolerates(name)
        if tolerates and name not in fold.plan.undoable:
            give_up(fold, name, OutputRejected, failure)
            return
        fold.set_action(name, OutputRejected, side.to(ActionStatus.FAILED, failure=failure))
        if tolerates:
            tolerated.undo(fold, name)
        else:
            has_failed(fold, name, f"step {name!r}: {failure}")
    else:
        remedy = "its effect stands, so declare that it happened, with the output that it should have had"
        failure = Failure(failure.type, f"{failure.message}; {remedy}", retryable=False)
        once = max(side.unknowns, 1)  # if a person has it run again, a failure will not mean that it never happened
        fold.set_action(name, OutputRejected, side.to(ActionStatus.STUCK, failure=failure, unknowns=once))


def unknown(fold: Fold, event: OutcomeUnknown) -> None:
    """Try an action with a lost outcome again under the same key, but not for ever; then compensate, settle or give up."""
    name, role = event.step, fold.role(event.step)
    fitting = LAST_PATIENCE if role is StepRole.RETRIABLE else ACTION_PATIENCE
    limit = None if fold.goes_back(name) else patience(fold.plan.steps[name].unknowns_max, fitting)
    if (lost := ACTIONS.lost(fold, event, limit)) is not None:
        _lost(fold, event, lost, f"its outcome is unknown ({event.reason})")


def settled(fold: Fold, event: ActionSettled) -> None:
    """Take the journal's answer: go forward if the action had happened; else it never will."""
    name, step = event.step, fold.step(event.step)
    if undoing.is_settled_first(fold, name):
        undoing.settled(fold, event)
        if not event.happened:
            back(fold, name, closed=True)
        elif not fold.backward:
            fold.remaining -= 1
    elif step.action.status is not ActionStatus.SETTLING:
        raise UnexpectedEventError(f"the action of step {name!r} is {step.action.status}; it is not to be settled")
    elif event.happened:
        succeeded(fold, event)
    elif step.skipping:
        skip(fold, name, ActionSettled)
    elif fold.tolerates(name):
        give_up(fold, name, ActionSettled)
    else:
        fold.set_action(name, ActionSettled, step.action.to(ActionStatus.PREVENTED))
        has_failed(fold, name, fold.reason or f"step {name!r}: {step.action.failure}")


def settle_unavailable(fold: Fold, event: SettleUnavailable) -> None:
    """Without a journal, undo what may have happened. Of a pivot believe a failure, and leave a lost outcome to an operator."""
    name, step = event.step, fold.step(event.step)
    side = step.action
    if fold.tolerates(name) and name not in fold.plan.undoable:
        give_up(fold, name, SettleUnavailable)
    elif name in fold.plan.tolerated:
        fold.set_action(name, SettleUnavailable, side.to(ActionStatus.UNKNOWN if side.unknowns else ActionStatus.FAILED))
        if fold.goes_back(name):
            back(fold, name)
        else:
            tolerated.undo(fold, name)
    elif side.failure is not None and not side.unknowns and not step.skipping:
        fold.set_action(name, SettleUnavailable, side.to(ActionStatus.FAILED))
        has_failed(fold, name, fold.reason or f"step {name!r}: {side.failure}")
    else:
        failure = Failure("OutcomeUnknown", f"{event.reason}: find out whether it happened and declare its outcome")
        stuck = side.to(ActionStatus.STUCK, failure=failure)
        fold.set_action(name, SettleUnavailable, stuck, skipping=False)


def skip(fold: Fold, name: str, cause: type[object]) -> None:
    """Go on without a step that is not wanted."""
    skipped = fold.step(name).action.to(ActionStatus.SKIPPED)
    fold.set_action(name, cause, skipped, skipping=False)
    _go_on(fold, name)


def give_up(fold: Fold, name: str, cause: type[object], failure: Failure | None = None) -> None:
    """Go on without a step that has failed, is tolerated, and is settled or undone.

    Args:
        fold: the saga.
        name: the step.
        cause: the event's class.
        failure: why it failed, where its last attempt does not say it.
    """
    side = fold.step(name).action
    fold.set_action(name, cause, side.to(ActionStatus.GIVEN_UP, failure=side.failure or failure))
    _go_on(fold, name)


def undone(fold: Fold, name: str, cause: type[object]) -> None:
    """Go on after a compensation has been closed: back, or forward without the step, whose failure is tolerated.

    Where a step of a rewind keeps an effect that its compensation was to undo, the new round would add another one to it.
    """
    if not fold.goes_back(name):
        give_up(fold, name, cause)
    elif fold.rewinds(name) and fold.step(name).compensation.status is CompensationStatus.SKIPPED:
        turning.turn_back(fold, f"the compensation of step {name!r} was skipped in a rewind")
    else:
        back(fold, name, closed=True)


def _go_on(fold: Fold, name: str) -> None:
    """Begin what comes after a step that is done."""
    fold.remaining -= 1
    advance(fold, joining.after(fold, name))
