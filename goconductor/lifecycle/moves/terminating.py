"""Terminate: end a saga as it stands, once no step of it can have a late effect.

An operator ends a saga without compensation. Some of its steps may be *out*: an attempt runs, or an outcome was lost. If the
saga ended at once, such an attempt could have its effect later, when nobody expects it any more. So terminate is a request.
Nothing new starts. The owner of each step that is out writes the step's keys in its journal, as for a skip; from then on no
run of it can have an effect. What had happened by then stays, and is recorded. The saga is *terminating* meanwhile, and
*terminated* after the last answer.

- The request lifts a pause, since there is nothing left to hold back. The saga's deadline and its timers have no effect any
  more.
- A step that waits, or has grown, ends, since nobody runs it.
- Outcomes that come meanwhile are recorded. Every request is refused but one: terminate by force.
- Where a step has no journal, its keys cannot be written: the saga ends without them. If an attempt of that step was out, its
  effect may still come, and the saga says so (``late_effects``).
- A saga that a step has started is terminated as well, and its end is awaited.
- A rewind ends where it stands.
- By force the saga ends at once, and no key is written. This is for owners that do not come back.
  A saga that a step has started goes on then, and one that was about to start may begin yet: a late effect. What was held is
  released. Where locks are held for a saga at work, the request is refused.

A failure that an attempt reports while its keys are being written is dropped: the journal will say the same.

Versions before this rule ended each saga at once (:class:`TerminateRequested`). Their logs are read as they were meant.
"""

from __future__ import annotations

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.facts.effects import EndSaga, Settle, SettleUndo
from goconductor.lifecycle.facts.events import (
    ActionSettled,
    ActionSucceeded,
    CompensationReported,
    CompensationSettled,
    CompensationSucceeded,
    Event,
    OutcomeReported,
    SettleUnavailable,
    TerminateRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.state import NOT_COMPENSATED, Side, SideStatus, StepState
from goconductor.lifecycle.facts.status import (
    CLOSED_COMPENSATIONS,
    MAY_HAVE_RUN,
    NO_COMPENSATION,
    ActionStatus,
    CompensationStatus,
    SagaStatus,
)
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import outside
from goconductor.lifecycle.moves.returning import turning, undoing, waiting
from goconductor.lifecycle.pending_work import children_at_work

_UNSURE = (ActionStatus.BACKOFF, ActionStatus.STUCK, ActionStatus.FAILED, ActionStatus.UNKNOWN)
"""Statuses of an action whose attempts are over, as far as the log knows; an outcome may have been lost before."""
_AT_WORK = (
    *(ActionStatus.SENT, ActionStatus.SETTLING, ActionStatus.WAITING),
    *(CompensationStatus.SENT, CompensationStatus.WAITING, CompensationStatus.FENCING, CompensationStatus.FENCING_UNDO),
)
_OUT = (ActionStatus.SENT, ActionStatus.WAITING, CompensationStatus.SENT, CompensationStatus.WAITING)
"""Statuses in which an attempt is out, here or with somebody outside."""
_NOT_BEGUN = (NO_COMPENSATION, CompensationStatus.SETTLING)
"""Statuses in which no attempt of the compensation has been sent; before a declared undo the action is settled."""


def ended_at_once(fold: Fold, event: TerminateRequested) -> None:
    """End the saga at once, as versions before did."""
    fold.reason = f"terminated: {event.reason}"
    _end(fold)


def terminate(fold: Fold, event: TerminationRequested) -> None:
    """Let nothing new start, and have the keys written of all that is out; or end the saga at once, by force.

    Raises:
        RequestRefusedError: there is no reason, or the saga is terminating already.
    """
    if not event.reason:
        raise RequestRefusedError("terminating leaves effects standing: give a reason")
    if event.forced:
        if fold.locks and children_at_work(fold.plan, fold.steps):
            raise RequestRefusedError(
                f"saga {fold.state.saga_id} holds locks for a saga that a step of it has started, which would go on without "
                "them: terminate that one first"
            )
        if any(_may_land(fold, name) for name in fold.steps if name in fold.plan.sent):
            fold.fields["late_effects"] = True
        fold.reason = f"terminated: {event.reason}"
        _end(fold)
        return
    if fold.phase is SagaStatus.TERMINATING:
        raise RequestRefusedError(
            f"saga {fold.state.saga_id} is terminating: the owners of what is out are asked to write its keys. "
            "If one of them cannot, terminate it by force, and late effects are possible"
        )
    fold.phase, fold.paused = SagaStatus.TERMINATING, False
    if fold.rewound:
        fold.set_rewind(None)
    fold.reason = f"terminated: {event.reason}"
    fold.fields["pause_reason"] = ""
    for name, step in list(fold.steps.items()):
        _close(fold, name, step)
    _end_if_closed(fold)


def apply(fold: Fold, event: Event) -> None:
    """Record what comes while the saga terminates, and end it after the last answer.

    Raises:
        UnexpectedEventError: the event is late or repeated.
    """
    match event:
        case ActionSettled() if fold.step(event.step).action.status is not ActionStatus.SETTLING:
            raise UnexpectedEventError(f"the action of step {event.step!r} is not to be settled now")
        case ActionSucceeded() | ActionSettled(happened=True):
            _happened(fold, event)
        case OutcomeReported(failure=None):
            outside.check(fold, event)
            _happened(fold, event)
        case ActionSettled():
            settled = fold.step(event.step).action.to(ActionStatus.PREVENTED)
            fold.set_action(event.step, ActionSettled, settled)
        case CompensationSucceeded() | CompensationReported(failure=None):
            if isinstance(event, CompensationReported):
                waiting.check(fold, event)
            done = fold.step(event.step).compensation.to(CompensationStatus.DONE)
            fold.set_compensation(event.step, type(event), done)
        case CompensationSettled():
            status = CompensationStatus.DONE if event.happened else CompensationStatus.SKIPPED
            fold.set_compensation(event.step, CompensationSettled, fold.step(event.step).compensation.to(status))
        case SettleUnavailable():
            _unavailable(fold, event)
        case _:  # pragma: no cover  (the table has no other)
            raise UnexpectedEventError(f"saga {fold.state.saga_id} is terminating; it cannot see {type(event).__name__}")
    _end_if_closed(fold)


def _close(fold: Fold, name: str, step: StepState) -> None:
    """Have a step's keys written, or end its waiting."""
    action, compensation = step.action, step.compensation
    waits = action.status is ActionStatus.WAITING and not outside.is_outside(fold, name)
    if action.status is ActionStatus.GROWN or waits:
        fold.set_action(name, TerminationRequested, action.to(ActionStatus.PREVENTED))
    elif name not in fold.plan.sent or compensation.status in CLOSED_COMPENSATIONS:
        return
    elif compensation.status not in _NOT_BEGUN and name in fold.plan.undo_waits:
        fold.set_compensation(name, TerminationRequested, compensation.to(CompensationStatus.SKIPPED))
    elif compensation.status not in _NOT_BEGUN:
        undone = name in fold.plan.undoes
        status = CompensationStatus.FENCING_UNDO if undone else CompensationStatus.FENCING
        unknowns = compensation.unknowns if name in fold.plan.undo_sagas else _lost(compensation)
        fenced = compensation.to(status, unknowns=unknowns)
        fold.set_compensation(name, TerminationRequested, fenced)
        fold.effects.append(SettleUndo(name, step.round) if undone else Settle(name, step.round))
    elif action.status in _AT_WORK or (action.status in _UNSURE and action.attempt):
        if compensation.status is not NO_COMPENSATION:
            fold.set_compensation(name, TerminationRequested, NOT_COMPENSATED)
        unknowns = action.unknowns if name in fold.plan.children else _lost(action)
        settling = action.to(ActionStatus.SETTLING, unknowns=unknowns)
        fold.set_action(name, TerminationRequested, settling, skipping=False)
        fold.effects.append(Settle(name, step.round))


def _lost(side: Side[SideStatus]) -> int:
    """Count an attempt that is out as lost: nobody waits for it, and without a journal its effect may come late."""
    return side.unknowns + (side.status in _OUT)


def _may_land(fold: Fold, name: str) -> bool:
    """Return whether an effect of a step may still come, if nobody writes its keys."""
    step = fold.step(name)
    action, compensation = step.action, step.compensation
    if compensation.status not in _NOT_BEGUN:
        if name in fold.plan.undo_waits:
            return False
        return compensation.status not in CLOSED_COMPENSATIONS and (compensation.status in _AT_WORK or compensation.unknowns > 0)
    return (action.status in _AT_WORK and not step.wishes) or (action.status in _UNSURE and action.unknowns > 0)


def _happened(fold: Fold, event: ActionSucceeded | ActionSettled | OutcomeReported) -> None:
    """Record a success. One that comes after its compensation has begun is noted, as on the way back.

    Raises:
        UnexpectedEventError: the step is not out, or its success is known.
    """
    before = fold.step(event.step).action
    if before.status in MAY_HAVE_RUN:
        turning.late_success(fold, event.step)
    elif before.status is not ActionStatus.SETTLING:
        raise UnexpectedEventError(f"the action of step {event.step!r} is {before.status}; it cannot have succeeded")
    succeeded = Side(ActionStatus.SUCCEEDED, before.attempt, before.unknowns, before.lost_at)
    fold.set_action(event.step, type(event), succeeded, output=event.output)


def _unavailable(fold: Fold, event: SettleUnavailable) -> None:
    """Go on without the keys of a step that has no journal.

    Raises:
        UnexpectedEventError: this owner is not asked now.
    """
    undoing.check_asked(fold, event)
    name, step = event.step, fold.step(event.step)
    if step.action.status is ActionStatus.SETTLING:
        lost = step.action.unknowns > 0
        after = ActionStatus.UNKNOWN if lost else ActionStatus.FAILED
        fold.set_action(name, SettleUnavailable, step.action.to(after))
    else:
        lost = step.compensation.unknowns > 0 or step.action.status is ActionStatus.UNKNOWN
        fold.set_compensation(name, SettleUnavailable, step.compensation.to(CompensationStatus.SKIPPED))
    if lost or event.late_effects:
        fold.fields["late_effects"] = True


def _end_if_closed(fold: Fold) -> None:
    if not (fold.open_actions or fold.open_compensations):
        _end(fold)


def _end(fold: Fold) -> None:
    fold.phase = SagaStatus.TERMINATED
    fold.effects.append(EndSaga(SagaStatus.TERMINATED))
