"""Requests of operators: pause, resume, abort, restart, terminate, retry, skip, an outcome, other inputs, a dropped signal.

A refusal (:class:`RequestRefusedError`) names what is allowed instead; an accepted request is an event like any other.

A step that waits for an unknown time can be mended like a stuck one. This is so for a step that waits for its next attempt,
and for one that was sent while nobody has its code. The step's status alone allows both requests here. Whether somebody runs the
step meanwhile is decided by leases, not by the state. Who requests something about a step that was sent takes its lease first, as
the leader does before it declares an outcome unknown; the append ends that lease (:mod:`goconductor.control.sagas.attended`). So
there are two cases, and both are safe. The former holder keeps the lease, and the request is refused. Or the request has the
lease; a message that comes later finds another state and is dropped. A process that was stopped for longer than its lease may
still have its effect, as after any unknown outcome. A skip asks the journal to prevent that; a forced one notes it in
``late_effects``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from goconductor.errors import RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.facts.effects import EndSaga, RunAction, SeeToChildren, Settle, SettleUndo
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    InputEdited,
    OperatorRequest,
    OutcomeDeclared,
    PausedWithParent,
    PauseRequested,
    RestartRequested,
    ResumedWithParent,
    ResumeRequested,
    RetryRequested,
    SagaMigrated,
    SignalDropped,
    SkipRequested,
    TerminationRequested,
)
from goconductor.lifecycle.facts.state import Failure, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, PausedWith
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import in_order
from goconductor.lifecycle.moves import beginning, forward, locking, outside, signals, slots, terminating
from goconductor.lifecycle.moves.kinds import kind_of, undo_wait
from goconductor.lifecycle.moves.retrying import ACTIONS, COMPENSATIONS
from goconductor.lifecycle.moves.returning import joining, rewinding, turning
from goconductor.lifecycle.pending_work import pending_work
from goconductor.saga.definition import Binding, StepRole
from goconductor.saga.plan import Plan

_WAITING = (ActionStatus.STUCK, ActionStatus.BACKOFF, ActionStatus.WAITING, ActionStatus.SENT, ActionStatus.SETTLING)
_SETTLED_BACK = (CompensationStatus.FENCING, CompensationStatus.FENCING_UNDO, CompensationStatus.SETTLING)
_ASKS_AGAIN = (CompensationStatus.STUCK, CompensationStatus.WAITING)
_WAITING_BACK = (
    *(CompensationStatus.STUCK, CompensationStatus.BACKOFF, CompensationStatus.SENT, CompensationStatus.WAITING),
    *_SETTLED_BACK,
)


def apply(fold: Fold, event: OperatorRequest) -> None:
    """Decide about a request.

    Raises:
        RequestRefusedError: the state does not allow it; its text has what is allowed.
    """
    match event:
        case PauseRequested():
            pause(fold, event)
        case ResumeRequested():
            resume(fold, event)
        case AbortRequested():
            abort(fold, event)
        case RestartRequested():
            rewinding.requested(fold, event)
            forward.back(fold)
        case TerminationRequested():
            terminating.terminate(fold, event)
        case SignalDropped():
            signals.dropped(fold, event)
        case SagaMigrated():
            fold.fields["migrated"] = True
        case RetryRequested():
            retry(fold, event)
        case SkipRequested():
            skip(fold, event)
        case OutcomeDeclared():
            declare(fold, event)
        case InputEdited():
            edit(fold, event)
        case _:  # pragma: no cover
            assert_never(event)


def pause(fold: Fold, event: PauseRequested | PausedWithParent) -> None:
    """Let nothing new start. What runs goes on, and its outcome is recorded. Children go on, unless they are meant as well."""
    fold.paused = True
    fold.fields["pause_reason"] = event.reason
    if isinstance(event, PausedWithParent):
        fold.fields["paused_with"] = PausedWith.PARENT
    elif event.children and fold.plan.starts_sagas:
        fold.fields["paused_with"] = PausedWith.CHILDREN
    if fold.plan.starts_sagas and fold.fields.get("paused_with"):
        fold.effects.append(SeeToChildren())


def resume(fold: Fold, event: ResumeRequested | ResumedWithParent) -> None:
    """Lift the pause, and ask for all work that is pending by now.

    Raises:
        RequestRefusedError: the saga was paused with the one whose step has started it.
        UnexpectedEventError: it was not, and that one is to resume it.
    """
    with_parent = fold.state.paused_with is PausedWith.PARENT
    if isinstance(event, ResumedWithParent) and not with_parent:
        raise UnexpectedEventError(f"saga {fold.state.saga_id} was not paused with the saga whose step has started it")
    if isinstance(event, ResumeRequested) and with_parent and (parent := fold.state.parent) is not None:
        raise RequestRefusedError(
            f"saga {fold.state.saga_id} is paused with saga {parent.saga_id}, whose step {parent.step!r} has started it: resume "
            "that one"
        )
    fold.paused = False
    fold.fields["pause_reason"] = ""
    if fold.backward or fold.rewound:
        forward.back(fold)
    if fold.plan.loses and not fold.backward:
        joining.resume(fold)
    if not fold.backward and not fold.phase.ended:
        names = in_order(fold.plan, fold.steps)
        beginning.advance(fold, slots.with_slots(fold, names) if fold.plan.bounded else names)
        if fold.locking:
            locking.go_on(fold)
    ends = [effect for effect in fold.effects if isinstance(effect, EndSaga)]
    work = pending_work(fold.steps)  # an action that is still out when it goes back is not begun again
    fold.effects = [*(w for w in work if not (isinstance(w, RunAction) and fold.goes_back(w.step))), *ends]


def abort(fold: Fold, event: AbortRequested) -> None:
    """Compensate. Refused from the moment when the pivot is due; while it waits for a retry, it is settled first."""
    if fold.backward:
        raise RequestRefusedError(f"saga {fold.state.saga_id} is compensating already; resume it if it is paused")
    pivot = fold.plan.pivot
    standing = turning.pivot_stands(fold)
    reason = f"aborted: {event.reason}" if event.reason else "aborted"
    if standing in (ActionStatus.PENDING, ActionStatus.PREVENTED):  # prevented and not backward: it is being rewound
        fold.paused = False
        turning.turn_back(fold, reason)
    elif standing is ActionStatus.BACKOFF and pivot is not None:
        fold.paused = False
        fold.reason = reason
        fold.set_action(pivot, AbortRequested, fold.step(pivot).action.to(ActionStatus.SETTLING))
        fold.effects.append(Settle(pivot, fold.step(pivot).round))
    else:
        raise RequestRefusedError(
            f"saga {fold.state.saga_id} cannot be aborted: its pivot {pivot!r} is {standing}, from here it only goes forward; "
            "where nobody can run it, declare that it did not happen"
        )


def retry(fold: Fold, event: RetryRequested) -> None:
    """Begin another attempt of a step that is stuck or waits to try again, at once, in the same round and under the same key.

    That an outcome was lost once is not forgotten: without a journal, a later failure would else count as "it never happened".
    """
    name, step = event.step, fold.step(event.step)
    if step.action.status is ActionStatus.STUCK and name not in fold.plan.owners:
        if (failure := kind_of(fold.plan.steps[name]).begin(fold, name, RetryRequested)) is not None:
            raise RequestRefusedError(f"step {name!r} still cannot begin: {failure}; skip it, or declare its outcome")
        ended = fold.step(name).action.status is ActionStatus.SUCCEEDED
        beginning.advance(fold, fold.plan.successors[name] if ended else ())
    elif step.action.status in (ActionStatus.STUCK, ActionStatus.BACKOFF):
        ACTIONS.again(fold, event, unknowns=min(step.action.unknowns, 1))
    elif outside.is_outside(fold, name):
        ACTIONS.ask(fold, event)
    elif step.compensation.status in _ASKS_AGAIN and name in fold.plan.undo_waits:
        undo_wait.begin(fold, name, RetryRequested)
    elif step.compensation.status in (CompensationStatus.STUCK, CompensationStatus.BACKOFF):
        COMPENSATIONS.again(fold, event, unknowns=0)
    elif step.compensation.status is CompensationStatus.WAITING:
        COMPENSATIONS.ask(fold, event)
    else:
        raise _does_not_wait(fold, name, "retried")


def skip(fold: Fold, event: SkipRequested) -> None:
    """Go on without a step: its owner first writes its keys, unless the skip is forced."""
    name, step = event.step, fold.step(event.step)
    if not event.reason:
        raise RequestRefusedError(f"skipping step {name!r} leaves its work undone: give a reason")
    if step.compensation.status in _WAITING_BACK:
        asked = name in fold.plan.undo_waits and step.compensation.status not in _SETTLED_BACK
        if event.forced or asked:
            if not asked:
                fold.fields["late_effects"] = True
            fold.set_compensation(name, SkipRequested, step.compensation.to(CompensationStatus.SKIPPED))
            forward.undone(fold, name, SkipRequested)
        elif step.compensation.status in _SETTLED_BACK:
            raise _is_being_settled(fold, name)
        elif name in fold.plan.undoes:
            fold.set_compensation(name, SkipRequested, step.compensation.to(CompensationStatus.FENCING_UNDO))
            fold.effects.append(SettleUndo(name, step.round))
        else:
            fold.set_compensation(name, SkipRequested, step.compensation.to(CompensationStatus.FENCING))
            fold.effects.append(Settle(name, step.round))
    elif step.action.status not in _WAITING or step.compensation.status is not CompensationStatus.NONE:
        raise _does_not_wait(fold, name, "skipped")
    elif fold.role(name) is StepRole.PIVOT:
        raise RequestRefusedError(f"step {name!r} is the pivot: find out whether it happened and declare its outcome")
    elif fold.role(name) is not StepRole.RETRIABLE:
        raise RequestRefusedError(f"step {name!r} comes before the point of no return: abort the saga, or declare its outcome")
    elif name not in fold.plan.sent:
        forward.skip(fold, name, SkipRequested)
    elif event.forced or not step.action.attempt:
        fold.fields["late_effects"] = fold.state.late_effects or step.action.attempt > 0
        forward.skip(fold, name, SkipRequested)
    elif step.action.status is ActionStatus.SETTLING:
        raise _is_being_settled(fold, name)
    else:
        fold.set_action(name, SkipRequested, step.action.to(ActionStatus.SETTLING), skipping=True)
        fold.effects.append(Settle(name, step.round))


def declare(fold: Fold, event: OutcomeDeclared) -> None:
    """Take the outcome that an operator found out by hand."""
    name, step = event.step, fold.step(event.step)
    if not event.reason:
        raise RequestRefusedError(f"declaring the outcome of step {name!r} stands in for its own word: give a reason")
    if name in fold.plan.children and (
        step.action.status in (ActionStatus.SENT, ActionStatus.SETTLING)
        or step.compensation.status is CompensationStatus.SETTLING
        or (name in fold.plan.holds and step.compensation.status in (CompensationStatus.SENT, CompensationStatus.FENCING))
    ):
        raise RequestRefusedError(f"step {name!r} ends with the saga that it has started: see to that one")
    if name in fold.plan.undo_sagas and step.compensation.status in (CompensationStatus.SENT, CompensationStatus.FENCING_UNDO):
        raise RequestRefusedError(f"step {name!r} is undone by a saga that is at work: see to that one")
    if step.compensation.status in _WAITING_BACK:
        if not event.happened:
            raise RequestRefusedError(f"the compensation of step {name!r} did not happen: retry it, or skip it with a reason")
        fold.set_compensation(name, OutcomeDeclared, step.compensation.to(CompensationStatus.DONE))
        forward.undone(fold, name, OutcomeDeclared)
    elif step.action.status not in _WAITING or step.compensation.status is not CompensationStatus.NONE:
        raise _does_not_wait(fold, name, "declared")
    elif event.happened:
        forward.succeeded(fold, event)
    elif fold.role(name) is StepRole.RETRIABLE:
        forward.skip(fold, name, OutcomeDeclared)
    elif fold.tolerates(name):
        failure = Failure("DeclaredError", f"declared as not happened: {event.reason}", retryable=False)
        forward.give_up(fold, name, OutcomeDeclared, failure)
    else:
        fold.set_action(name, OutcomeDeclared, step.action.to(ActionStatus.PREVENTED))
        forward.has_failed(fold, name, f"step {name!r} declared as not happened: {event.reason}")


def edit(fold: Fold, event: InputEdited) -> None:
    """Give other values to some inputs of a step that gave up or waits to try again; they add to those given before.

    An action that succeeded did so with the inputs it had then; edited afterwards are its compensation's only.
    """
    name, step = event.step, fold.step(event.step)
    if not event.reason:
        raise RequestRefusedError(f"editing the input of step {name!r} departs from its saga's definition: give a reason")
    if name in fold.plan.holds and step.compensation.status is not CompensationStatus.NONE:
        raise RequestRefusedError(f"the saga that step {name!r} has started undoes itself: see to that one")
    known, before = editable(fold.plan, name, step)
    if unknown := sorted(set(event.inputs) - set(known)):
        there = ", ".join(sorted(known)) or "none"
        raise RequestRefusedError(f"step {name!r} has no input {unknown[0]!r}; its inputs are: {there}")
    refuse_locked(fold.plan, name, event.inputs)
    edited = {**before, **event.inputs}
    waits_back = step.compensation.status in (CompensationStatus.STUCK, CompensationStatus.BACKOFF)
    if not waits_back and step.action.status not in (ActionStatus.STUCK, ActionStatus.BACKOFF):
        raise RequestRefusedError(
            f"the input of step {name!r} cannot be edited: its {_standing(step)}; "
            "it can while one of them is stuck or waits to try again"
        )
    if edited == before:
        raise RequestRefusedError(f"step {name!r} has these inputs already; retry it")
    if waits_back and name in fold.plan.undoes:
        fold.set_compensation(name, InputEdited, step.compensation, undo_edited=edited)
    elif waits_back:
        fold.set_compensation(name, InputEdited, step.compensation, edited=edited)
    else:
        fold.set_action(name, InputEdited, step.action, edited=edited)


def refuse_locked(plan: Plan, step: str, inputs: Iterable[str]) -> None:
    """Refuse other values for inputs that a key of a step's locks is made of: it would act on something else than is locked.

    Raises:
        RequestRefusedError: one is among them.
    """
    if locked := sorted(plan.inputs_locked.get(step, frozenset()) & set(inputs)):
        raise RequestRefusedError(
            f"input {locked[0]!r} of step {step!r} cannot be edited: a lock is made of it, and the saga keeps that lock; "
            "abort the saga, and start one with another input"
        )


def editable(plan: Plan, name: str, step: StepState) -> tuple[Mapping[str, Binding], Mapping[str, Any]]:
    """Return the inputs that an edit can be about now, and those that were given before; a declared undo has its own.

    Args:
        plan: the saga's compiled definition.
        name: the step's id.
        step: where it stands.
    """
    if name in plan.undoes and step.compensation.status is not CompensationStatus.NONE:
        return plan.undoes[name].inputs, step.undo_edited or {}
    return plan.steps[name].editable, step.edited or {}


def _is_being_settled(fold: Fold, name: str) -> RequestRefusedError:
    if name in fold.plan.undo_sagas and fold.step(name).compensation.status is CompensationStatus.FENCING_UNDO:
        return RequestRefusedError(
            f"the saga that undoes step {name!r} is asked to turn back: see to that one, or skip the step by force"
        )
    if name in fold.plan.children and fold.step(name).compensation.status is not CompensationStatus.FENCING_UNDO:
        return RequestRefusedError(
            f"step {name!r} ends with the saga that it has started: see to that one, or skip the step by force"
        )
    return RequestRefusedError(
        f"step {name!r} is being settled: its owner is asked to write its keys. If nobody can, skip it by force, or declare it"
    )


def _standing(step: StepState) -> str:
    return f"action is {step.action.status}, its compensation {step.compensation.status}"


def _does_not_wait(fold: Fold, name: str, what: str) -> RequestRefusedError:
    step = fold.step(name)
    stuck = ", ".join(sorted(fold.state.stuck_steps)) if fold.stuck else "none"
    return RequestRefusedError(f"step {name!r} cannot be {what}: its {_standing(step)}; stuck steps: {stuck}")
