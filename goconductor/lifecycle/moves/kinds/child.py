"""A child: a saga of its own that a step starts, and whose end is the step's (a sub-saga).

The step's action is *sent*, as that of a participant is. But nobody holds a lease on it, and no message is sent. The process
that appended the decision starts the child, and the process that appends the child's end tells the parent. Both may be done
twice, and by any process: the child's start key is made of the parent, the step, its round and its attempt, and the parent
takes an outcome once (:mod:`goconductor.engine.children`).

What the end of the child means:

- completed: the step has succeeded, and the child's output is its output;
- compensated: the step has failed, and has no effect;
- terminated, or compensated with effects left standing: the step has failed, and may have had an effect.

No other attempt follows by itself. A step behind the pivot is stuck then, and an operator's retry starts another child.

*Settling* a child means to bring it to its end. It is asked to turn back, or to terminate where the parent terminates. If it
completes all the same, since it was past its pivot, the step has happened. If no child has begun, the key is taken by a saga
that has ended before it began. So a process that was stopped in the middle of a start cannot start it any more.

When the parent turns back, the step is undone as the definition says, or by the child itself.

- A *declared undo*: a child that has completed is over. A child at work is settled first, in the step's turn, as before each
  declared undo (:mod:`goconductor.lifecycle.moves.returning.undoing`).
- The child *itself*: it has no pivot. When its steps are done it is not over, but *held*: its parent takes its output, and
  may have it undone. The compensation of the step asks the child to turn back, whether it is at work or held, and is done
  when the child's log says compensated. No child has begun: none will, as its key is taken. When the parent has ended, or is
  gone, the child is *released*, and so is completed. A parent that is held itself has not ended: its own parent may have it
  turn back.

So "sent" becomes "unknown" at once, and is not awaited: the child might go on for days. Only its parent ends or undoes a
child that is held: anybody else would undo an effect on which the parent relies.
"""

from __future__ import annotations

from goconductor.errors import PayloadError
from goconductor.lifecycle.facts.effects import EndSaga, RunAction
from goconductor.lifecycle.facts.state import Failure, Referable, Side
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold

NO_INPUT = "NoInputError"
"""Type of the failure of a step whose saga cannot be given its input."""


def complete(fold: Fold) -> None:
    """End a saga whose steps are all done; one that is to be held until its parent ends is not over yet."""
    parent = fold.state.parent
    if parent is None or not parent.held:
        fold.phase = SagaStatus.COMPLETED
    else:
        fold.phase, fold.paused = SagaStatus.HELD, False
    fold.effects.append(EndSaga(fold.phase))


def release(fold: Fold) -> None:
    """Complete a saga that was held: its parent has ended."""
    fold.phase = SagaStatus.COMPLETED
    fold.effects.append(EndSaga(SagaStatus.COMPLETED))


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
