"""A wait: a step that ends when a signal comes, or a person approves. Nobody runs it. There is nothing to undo.

A signal may come before its step's turn. It is kept, and the step that begins to wait for it first takes it. Among steps that
begin by one event, the order of the definition decides; therefore signals are handed out when all of them have begun
(:func:`hand_out`).

``where`` is evaluated at two times. When the step begins, the question is whether the *saga's* data that it names are there. If
not, it could never be evaluated on any signal, and the step has failed. Later it is evaluated for each signal. Where that is not
possible, the signal was meant for another step, or is not ours: it stays where it is, with the reason beside it. All answers are
kept in the log, by the step, its round, its attempt and the signal's id.

An operator may let a wait behind the pivot that is late wait again. That is its next attempt. It evaluates ``where`` again, since
the saga's data may have changed. The timer of the attempt before means nothing to it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

import msgspec

from goconductor.lifecycle.facts.effects import SetTimer
from goconductor.lifecycle.facts.signal import Signal
from goconductor.lifecycle.facts.state import Answer, Failure, Side
from goconductor.lifecycle.facts.status import ACTION_WAITING, ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.seen import seen_by_conditions
from goconductor.saga.growth import split
from goconductor.saga.ids import Direction

RECEIVED_MAX = 10_000
"""Number of signals in a saga's life. It is read again in each replay, so it never changes."""
UNREADABLE = "WhereUnreadableError"
"""Type of the failure of a wait whose ``where`` names what the saga's data does not have."""
TIMED_OUT = "WaitTimedOutError"
"""Type of the failure of a wait that no signal has ended in time."""


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Begin to wait; :func:`hand_out` then gives it a signal that has come before."""
    wait, where, step = fold.plan.steps[name].wait, fold.plan.wheres.get(name), fold.step(name)
    attempt = step.action.attempt + 1
    if where is not None and any(path[0] != "payload" for path in where.named):
        problem = fold.answered(
            f"{name}/{step.round}/{attempt}", lambda: where.unreadable(seen_by_conditions(fold, name, where)) or True
        )
        if isinstance(problem, str):
            return Failure(UNREADABLE, problem, retryable=False)
    limit = None if wait is None else wait.timeout_seconds
    due_at = None if limit is None else fold.at + limit
    fold.set_action(name, cause, Side(ActionStatus.WAITING, attempt, due_at=due_at, since=fold.at))
    fold.begun.append(name)
    if fold.awaiting is not None:
        _note(fold, name)
    return None


def in_turn(fold: Fold, signal: str) -> Iterator[str]:
    """Yield the steps that wait for a signal, those first that began first, and of one event those first in the definition.

    A fold looks at all steps once, and only where a signal comes. From then on it notes who begins to wait. Who waits no more is
    forgotten where it is met: thousands of steps may wait for one signal each, and none of them is looked at for another one.

    Args:
        fold: the saga.
        signal: the signal's name; of an approval the name of its step.
    """
    if split(signal) is not None:  # the approval of an item's step: no event has such a name, so nobody else waits for it
        step = fold.step(signal)
        if step.action.status is ACTION_WAITING and not step.wishes:
            yield signal
        return
    if fold.awaiting is None:
        fold.awaiting = {}
        for name, step in fold.steps.items():
            if step.action.status is ACTION_WAITING:
                _note(fold, name)
    turns, place = fold.awaiting.get(signal, []), 0
    while place < len(turns):
        since, _, name = turns[place]
        step = fold.step(name)
        if step.action.status is ACTION_WAITING and (step.action.since or 0.0) == since and not step.wishes:
            place += 1
            yield name
        else:
            del turns[place]


def _note(fold: Fold, name: str) -> None:
    wait, action = fold.plan.steps[name].wait, fold.step(name).action
    if wait is None or fold.awaiting is None:
        return
    turns = fold.awaiting.setdefault(wait.event or name, [])
    turn = (action.since or 0.0, fold.plan.order_of_wait(name), name)
    place = bisect_left(turns, turn)
    if turns[place : place + 1] != [turn]:
        turns.insert(place, turn)


def hand_out(fold: Fold) -> list[str]:
    """Give signals that have come before to the steps that have begun to wait, and return those that have ended by that."""
    begun = [name for name in fold.begun if fold.step(name).action.status is ActionStatus.WAITING]  # it may be lost by now
    fold.begun = []
    if len(begun) > 1:
        begun.sort(key=fold.plan.order_of_wait)
    ended = []
    for name in begun:
        step = fold.step(name)
        if (taken := _first_that_fits(fold, name)) is not None:
            end(fold, name, Advance, taken)
            ended.append(name)
        elif step.action.due_at is not None:
            fold.set_timer(SetTimer(name, Direction.ACTION, step.action.attempt, step.round, step.action.due_at))
    return ended


def _first_that_fits(fold: Fold, name: str) -> Signal | None:
    """Take the first signal that has come before and fits, and note on those before it why they could not be read."""
    kept = fold.signals
    for place, signal in enumerate(kept):
        answer = fits(fold, name, signal)
        if answer is True:
            fold.fields["signals"] = tuple(each for each in fold.signals if each.id != signal.id)
            return signal
        if isinstance(answer, str):
            fold.fields["signals"] = (*fold.signals[:place], noted(signal, (answer,)), *kept[place + 1 :])
    return None


def fits(fold: Fold, name: str, signal: Signal) -> Answer:
    """Return whether a step may take a signal; a text says why that cannot be found out."""
    wait, where, step = fold.plan.steps[name].wait, fold.plan.wheres.get(name), fold.step(name)
    if wait is None or signal.name != (wait.event or name):
        return False
    if wait.approval is not None and (signal.approves, signal.round) != (name, step.round):
        return False
    if where is None:
        return True
    key = f"{name}/{step.round}/{step.action.attempt}/{signal.id}"
    return fold.answer(key, where, lambda: {**seen_by_conditions(fold, name, where), "payload": signal.said})


def end(fold: Fold, name: str, cause: type[object], signal: Signal) -> None:
    """End a wait by a signal."""
    action = fold.step(name).action.to(ActionStatus.SUCCEEDED)
    fold.set_action(name, cause, action, output=signal.said)
    fold.remaining -= 1


def timed_out(fold: Fold, name: str) -> Failure:
    """Return the failure of a wait whose time is over."""
    wait = fold.plan.steps[name].wait
    assert wait is not None  # noqa: S101  (it has begun to wait)
    what = f"no signal {wait.event!r}" if wait.event is not None else "no approval"
    return Failure(TIMED_OUT, f"{what} came within {wait.timeout_seconds:g} s", retryable=False)


def noted(signal: Signal, answers: Iterable[Answer]) -> Signal:
    """Return a signal that is to be kept, with the last reason why a step could not read it."""
    reasons = [answer for answer in answers if isinstance(answer, str)]
    if not reasons:
        return signal
    return msgspec.structs.replace(signal, why=reasons[-1], size=signal.size + len(reasons[-1]) - len(signal.why))
