"""A value: a step that is computed from the saga's data, in the decision that begins it. Nobody runs it.

The expression is evaluated once, and its answer is kept with the event of the decision, so a replay reads it
(:mod:`goconductor.lifecycle.answers`). The step has succeeded at once, and there is nothing to undo. Where it cannot be
evaluated the step has failed; behind the pivot it is stuck. An operator can have it evaluated again, as its next attempt, or
declare the value.
"""

from __future__ import annotations

from goconductor.errors import ConditionError, PayloadError
from goconductor.lifecycle.facts.state import Answer, Computed, Failure, Referable, Side
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.lifecycle.facts.transitions import Advance
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.moves.seen import seen_by_conditions

NO_VALUE = "NoValueError"
"""Type of the failure of a value that cannot be worked out of the saga's data."""


def begin(fold: Fold, name: str, cause: type[object] = Advance) -> Failure | None:
    """Work the value out, and end the step."""
    step = fold.step(name)
    attempt = step.action.attempt + 1
    answer = fold.answered(f"{name}/{step.round}/{attempt}", lambda: _of(fold, name))
    if not isinstance(answer, Computed):
        return Failure(NO_VALUE, str(answer), retryable=False)
    fold.set_action(name, cause, Side(ActionStatus.SUCCEEDED, attempt), output=answer.value)
    fold.remaining -= 1
    return None


def _of(fold: Fold, name: str) -> Answer:
    try:
        inputs = fold.plan.inputs(name, fold.input, Referable(fold.steps), fold.step(name).edited)
        value = fold.plan.values[name]
        return Computed(value.of({**seen_by_conditions(fold, name, value), "inputs": inputs}))
    except (ConditionError, PayloadError) as error:
        return str(error)
