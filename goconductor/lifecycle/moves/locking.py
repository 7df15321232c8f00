"""Locks: a saga has been given keys that its steps wait for, or must give way, since it waits in a circle.

A table beside the logs says who holds a key and who waits for it. It sees all sagas (:mod:`goconductor.engine.locks`). The
log has what that table has decided, so a replay does not need the table. A key that was given counts for each step that
wishes it at that moment. Where the wish of a step was withdrawn, a late answer to it changes nothing.

A saga keeps its keys to its end, through rewinds and compensation, since these are about the same thing.

A saga that gives way turns back as a whole. No tolerated failure replaces that: when only a step that may fail, or an item
that is not needed, was given up, the saga would keep its other keys, and others would go on waiting for them.
"""

from __future__ import annotations

from goconductor.errors import UnexpectedEventError
from goconductor.lifecycle.facts.events import DeadlockFound, LocksGranted
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves import beginning
from goconductor.lifecycle.moves.kinds import kind_of, lock
from goconductor.lifecycle.moves.returning import joining, turning


def apply(fold: Fold, event: LocksGranted | DeadlockFound) -> None:
    """Begin the steps that have all they wish, or turn back.

    Raises:
        UnexpectedEventError: no step waits for this any more.
    """
    if isinstance(event, DeadlockFound):
        if not fold.locking:
            raise UnexpectedEventError(f"no step of saga {fold.state.saga_id} waits for a lock any more")
        turning.turn_back(fold, event.reason)
        return
    wished = {wish.key for name in fold.locking for wish in fold.step(name).wishes}
    given = {key: held for key, held in event.keys.items() if key in wished and key not in fold.locks}
    if not given:
        raise UnexpectedEventError(f"no step of saga {fold.state.saga_id} waits for {', '.join(event.keys)} any more")
    fold.locks = {**fold.locks, **given}
    if not fold.paused:
        go_on(fold)


def go_on(fold: Fold) -> None:
    """Begin the steps that have all they wish, and fail those that never can."""
    after: list[str] = []
    for name in sorted(fold.locking, key=fold.plan.position.__getitem__):
        if name not in fold.locking:  # one before it has failed, and the saga takes another way
            continue
        wishes = fold.step(name).wishes
        failure = lock.stronger(wishes, fold.locks)
        if failure is None:
            if any(wish.key not in fold.locks for wish in wishes):
                continue
            failure = kind_of(fold.plan.steps[name]).begin(fold, name)
        if failure is None:
            done = fold.step(name).action.status is ActionStatus.SUCCEEDED
        else:
            done = beginning.without_effect(fold, name, Advance, failure)
        if fold.backward or fold.phase.ended:
            fold.begun.clear()
            fold.grown.clear()
            return
        if done:
            after += joining.after(fold, name)
    beginning.advance(fold, after)
