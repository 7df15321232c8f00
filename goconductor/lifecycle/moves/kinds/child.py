"""A child: a saga of its own that a step starts, and whose end is the step's (a sub-saga).

The step's action is *sent*, as that of a participant is. But nobody holds a lease on it, and no message is sent. Whoever has
appended the decision starts the child, and whoever appends the child's end tells the parent. Both may be done twice, and by
anybody: the child's start key is made of the parent, the step, its round and its attempt, and the parent takes an outcome once
(:mod:`goconductor.engine.children`).

What the end of the child means:

- completed: the step has succeeded, and the child's output is its output;
- compensated: the step has failed, and has no effect;
- terminated, or compensated with effects left standing: the step has failed, and may have had an effect.

There is no other attempt by itself. A step behind the pivot is stuck then, and an operator's retry starts another child.

*Settling* a child means to have it end. It is asked to turn back, or to terminate where the parent terminates. If it completes
all the same, since it was past its pivot, the step has happened. If no child has begun, the key is taken by a saga that has
ended before it began. So a process that was stopped in the middle of a start cannot start it any more.

The parent goes back: a child that has completed is over, so the definition must say what undoes the step. A child at work is
settled first, in the step's turn, as before each declared undo (:mod:`goconductor.lifecycle.moves.returning.undoing`). So
"sent" becomes "unknown" at once, and is not awaited: the child would go on, for days perhaps.
"""

from __future__ import annotations

from goconductor.errors import PayloadError
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.lifecycle.facts.state import ActionStatus, Failure, Referable, Side
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold

NO_INPUT = "NoInputError"
"""Type of the failure of a step whose saga cannot be given its input."""


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Have the child started."""
    step = fold.step(name)
    try:
        fold.plan.inputs(name, fold.input, Referable(fold.steps), step.edited)
    except PayloadError as error:
        return Failure(NO_INPUT, str(error), retryable=False)
    attempt = step.action.attempt + 1
    fold.set_action(name, cause, Side(ActionStatus.SENT, attempt))
    fold.ask(RunAction(name, attempt, step.round))
    return None
