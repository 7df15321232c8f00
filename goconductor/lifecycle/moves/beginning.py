"""Which steps may begin now, and what it means that one cannot."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from goconductor.lifecycle.answers import CONDITION_ERROR, asked_as
from goconductor.lifecycle.facts.state import Answer, Failure, Side
from goconductor.lifecycle.facts.status import ACTION_GROWN, ACTION_SUCCEEDED, ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import slots
from goconductor.lifecycle.moves.kinds import child, kind_of, lock, repeat, wait
from goconductor.lifecycle.moves.returning import joining, savepoints
from goconductor.lifecycle.moves.seen import seen_by_conditions
from goconductor.saga.definition import StepRole


def advance(fold: Fold, steps: Iterable[str]) -> None:
    """Begin those of ``steps`` whose predecessors are done, skip those whose condition is false, and end what is at its end.

    Steps that have begun to wait by this event are given the signals that have come before, and those after them may begin. Of
    maps that have grown the items' first steps begin.
    """
    waiting, ends_items = _may_go_on(fold, steps) if fold.paused else [*steps][::-1], fold.plan.ends_items
    while waiting or fold.begun or fold.grown or fold.joins:
        if fold.grown:
            waiting += _unfolded(fold)
            continue
        if fold.joins:
            waiting += _may_go_on(fold, fold.joins) if fold.paused else fold.joins
            fold.joins.clear()
            continue
        if not waiting:
            ended = wait.hand_out(fold)
            begin = [after for name in ended for after in joining.after(fold, name)]
            waiting = _may_go_on(fold, begin) if fold.paused else begin[::-1]
            continue
        name = waiting.pop()
        if fold.has_its_turn(name) and _begin(fold, name):
            after = joining.after(fold, name) if ends_items else fold.plan.successors[name]
            waiting.extend(_may_go_on(fold, after) if fold.paused else after)
        if fold.backward or fold.phase.ended:
            fold.begun.clear()
            fold.grown.clear()
            fold.joins.clear()
            return
    if fold.remaining == 0 and not fold.rewound:
        child.complete(fold)


def _may_go_on(fold: Fold, steps: Iterable[str]) -> list[str]:
    """Return the steps that may go on while the saga is paused, the last first: none may begin, but a map may end."""
    grown = [] if fold.plan.data is None else [each for each in steps if fold.step(each).action.status is ACTION_GROWN]
    return grown[::-1]


def _unfolded(fold: Fold) -> list[str]:
    """Return what may begin in maps that have grown by this event, the last first: of one without items that is its end."""
    grown, fold.grown = fold.grown, []
    if fold.paused:
        return []
    return [name for map in grown for name in slots.first(fold, map) or [map]][::-1]


def _begin(fold: Fold, name: str) -> bool:
    """Begin a step whose turn has come. True if it is done by that, so that its successors may have their turn."""
    if fold.plan.data is not None and fold.step(name).action.status is ACTION_GROWN:
        if name in fold.plan.untils and (ends := repeat.ends(fold, name)) is not True:
            return ends is not False and without_effect(fold, name, Advance, ends, attempt=fold.step(name).action.attempt)
        fold.set_action(name, Advance, fold.step(name).action.to(ActionStatus.SUCCEEDED))
        fold.remaining -= 1
        return True
    first = fold.plan.stands_for.get(name)
    if first is not None and fold.step(first).action.status is not ActionStatus.GIVEN_UP:
        return _skipped(fold, name)
    condition = fold.plan.conditions.get(name)
    wanted: Answer = True
    if condition is not None:
        key = asked_as(name, fold.step(name).round)
        wanted = fold.answer(key, condition, partial(seen_by_conditions, fold, name, condition))
    if isinstance(wanted, str):
        return without_effect(fold, name, Advance, Failure(CONDITION_ERROR, wanted, retryable=False))
    if wanted:
        held = name not in fold.plan.locks or lock.wish(fold, name)
        failure = kind_of(fold.plan.steps[name]).begin(fold, name) if held is True else held or None
        if failure is not None:
            return without_effect(fold, name, Advance, failure, attempt=int(held is True))
        return fold.steps[name].action.status is ACTION_SUCCEEDED
    return _skipped(fold, name)


def _skipped(fold: Fold, name: str) -> bool:
    fold.set_action(name, Advance, Side(ActionStatus.SKIPPED))
    fold.remaining -= 1
    return True


def without_effect(fold: Fold, name: str, cause: type[object], failure: Failure, *, attempt: int = 0) -> bool:
    """Give up a step that was never sent, so that it has no effect. True if that is tolerated, so that the saga goes on.

    Behind the pivot an operator must decide; else the saga turns back.

    Args:
        fold: the saga.
        name: the step.
        cause: the event's class, or :class:`Advance`.
        failure: why it failed.
        attempt: which attempt that was; 0 where its condition could not be evaluated.
    """
    if fold.tolerates(name):
        fold.set_action(name, cause, Side(ActionStatus.GIVEN_UP, attempt, failure=failure))
        fold.remaining -= 1
        return True
    if fold.role(name) is StepRole.RETRIABLE:
        fold.set_action(name, cause, Side(ActionStatus.STUCK, attempt, failure=failure))
    else:
        fold.set_action(name, cause, Side(ActionStatus.PREVENTED, attempt, failure=failure))
        fails(fold, name, f"step {name!r}: {failure}")
    return False


def fails(fold: Fold, name: str, reason: str) -> None:
    """Let the item be lost that a step has failed in for good, where its map can do without; else go another way, or back."""
    if fold.backward or not (fold.plan.loses and joining.failed(fold, name, reason)):
        savepoints.failed(fold, name, reason)
