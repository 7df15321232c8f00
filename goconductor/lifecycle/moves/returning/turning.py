"""Turning back: compensate what may have been done, in the reverse order of the graph.

Every step that was sent and has no outcome in the log may have run. It is awaited while it is leased. Then it is unknown, and
compensated. "Never started" is never inferred. A step that reported failure is compensated as well, since an exception can come
after the effect. The only exception is a step whose failure is written in its journal (PREVENTED).

The whole saga is undone, or the steps of a rewind; both by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.facts.effects import EndSaga, SetTimer
from goconductor.lifecycle.facts.status import (
    CLOSED_COMPENSATIONS,
    NO_COMPENSATION,
    OPEN_ACTIONS,
    ActionStatus,
    CompensationStatus,
    SagaStatus,
)
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import Unclosed, before, unclosed, unclosed_in, with_items
from goconductor.lifecycle.moves import outside, slots
from goconductor.lifecycle.moves.kinds import call
from goconductor.saga.definition import StepRole


def turn_back(fold: Fold, reason: str) -> None:
    """Let the saga only compensate from here on. A step in backoff was sent before, so it may have run. One that waits ends."""
    if not fold.backward:
        fold.phase = SagaStatus.COMPENSATING
        fold.reason = reason
        if fold.rewound:
            fold.set_rewind(None)
        withdraw(fold, list(fold.steps))
    advance(fold)


def pivot_stands(fold: Fold) -> ActionStatus:
    """Return where the pivot stands: pending where there is none, or where it waits for the saga's locks before it begins."""
    pivot = fold.plan.pivot
    if pivot is None or fold.step(pivot).wishes:
        return ActionStatus.PENDING
    return fold.step(pivot).action.status


def deadline_passed(fold: Fold) -> None:
    """Turn back, unless the pivot was sent; then a deadline is only reported. A paused saga begins nothing until resumed."""
    if fold.state.deadline_passed:
        raise UnexpectedEventError("the deadline has passed before")
    fold.fields["deadline_passed"] = True
    standing = pivot_stands(fold)
    takes_another_way = standing is ActionStatus.PREVENTED and bool(fold.plan.savepoints)  # a pivot that never happened
    if not fold.backward and (standing is ActionStatus.PENDING or takes_another_way):
        turn_back(fold, "its deadline has passed")


def end_unbegun(fold: Fold, reason: str) -> None:
    """End a saga that must never begin."""
    fold.phase = SagaStatus.COMPENSATED
    fold.reason = reason
    fold.effects.append(EndSaga(SagaStatus.COMPENSATED))


def withdraw(fold: Fold, steps: Iterable[str]) -> None:
    """Let no step that waits wait any longer, as they go back. A stuck one among them was never sent, or its saga has ended.
    One that was handed out may have happened.

    A saga that a step has started may be at work still. Nobody waits for it before its turn to be undone: then it is asked to
    turn back, and its end says what there is to undo (:mod:`goconductor.lifecycle.moves.kinds.child`).
    """
    withdrawn: set[str] = set()
    for name in steps:
        action = fold.step(name).action
        if action.status is ActionStatus.BACKOFF and fold.role(name) is not StepRole.PIVOT:
            fold.set_action(name, Advance, action.to(ActionStatus.FAILED))
        elif action.status is ActionStatus.SENT and name in fold.plan.children:
            fold.set_action(name, Advance, action.to(ActionStatus.UNKNOWN))
        elif outside.is_outside(fold, name):
            fold.set_action(name, Advance, action.to(ActionStatus.UNKNOWN))
            withdrawn.add(name)
        elif action.status in (ActionStatus.WAITING, ActionStatus.GROWN, ActionStatus.STUCK):
            fold.set_action(name, Advance, action.to(ActionStatus.PREVENTED))
            withdrawn.add(name)
    if withdrawn:  # some may have begun by the same event
        fold.effects = [each for each in fold.effects if not (isinstance(each, SetTimer) and each.step in withdrawn)]


def advance(fold: Fold, closed: str | None = None) -> bool:
    """Begin the compensations whose turn has come. When none is left, end the saga, or return that a rewind is to end.

    A step is *closed* when it and all after it need no compensation any more. The first look goes over the whole graph, the
    later ones of the same fold only from the step that has just been closed; while it is paused each look is a first one.
    All that comes after a step of a rewind is in the rewind too, so its look stays within it.
    """
    if fold.open_actions and (fold.backward or any(fold.step(name).action.status in OPEN_ACTIONS for name in rewound(fold))):
        return False
    waiting = [closed] if closed is not None else []
    if fold.unclosed is None:
        if fold.rewound:
            fold.unclosed = unclosed_in(fold.plan, fold.steps, [*rewound(fold)])
        else:
            fold.unclosed = unclosed(fold.plan, fold.steps)
        if fold.plan.bounded:
            fold.unclosed = Unclosed(fold.unclosed)
        waiting = [name for name, after in fold.unclosed.items() if not after]
    still = fold.unclosed
    compensate(fold, still, waiting)
    if fold.paused:
        fold.unclosed = None
    if still:
        return False
    if not fold.backward:
        return True
    fold.phase = SagaStatus.COMPENSATED
    fold.effects.append(EndSaga(SagaStatus.COMPENSATED))
    return False


def rewound(fold: Fold) -> Iterable[str]:
    """Return all steps that a rewind takes back, those that its maps have grown included, in their order."""
    return with_items(fold.plan, fold.steps, [name for name in fold.plan.order if name in fold.rewound])


def compensate(fold: Fold, still: dict[str, int], waiting: list[str]) -> None:
    """Begin the compensations whose turn has come, and take away what is closed.

    Args:
        fold: the saga.
        still: the places of the graph that are not closed, each with how many must be closed before it.
        waiting: those without any.
    """
    bounded = still if isinstance(still, Unclosed) else None
    closed, at_work, turns = list[str](), list[str](), list[str]()
    while waiting:
        name = waiting.pop()
        status = fold.step(name).compensation.status
        if status in CLOSED_COMPENSATIONS or not fold.needs_compensation(name):
            del still[name]
            if bounded is not None:
                closed.append(name)
            for earlier in before(fold.plan, fold.steps, name):
                if earlier not in still:
                    continue
                still[earlier] -= 1
                if not still[earlier]:
                    waiting.append(earlier)
        elif status is not NO_COMPENSATION:
            at_work.append(name)
        elif bounded is not None:
            turns.append(name)
        elif not fold.paused:
            call.compensate(fold, name)
    if bounded is not None:
        slots.compensate(fold, bounded, closed, at_work, () if fold.paused else turns)


def late_success(fold: Fold, name: str) -> None:
    """Allow the success of an action whose outcome was taken as failed or unknown.

    Its compensation, which has its turn now or later, gets the output. If it has begun, the attempt that is under way may not
    have met the effect: that is noted.

    Raises:
        UnexpectedEventError: it has succeeded before, or it is the pivot, whose failure was believed.
    """
    step = fold.step(name)
    if step.action.status is ActionStatus.SUCCEEDED or fold.role(name) is not StepRole.COMPENSATABLE:
        raise UnexpectedEventError(
            f"the action of step {name!r} is {step.action.status} and its saga turns back; it comes too late"
        )
    if step.compensation.status not in (NO_COMPENSATION, CompensationStatus.SETTLING):
        fold.fields["late_effects"] = True
