"""What conditions see of a saga."""

from __future__ import annotations

from goconductor.lifecycle.facts.state import DONE_ACTIONS, ActionStatus
from goconductor.lifecycle.fold import Fold


def seen_by_conditions(fold: Fold) -> dict[str, object]:
    """Return the input, and the steps that are done, as conditions name them."""
    steps: dict[str, dict[str, object]] = {
        name: {"output": step.output, "skipped": step.action.status is ActionStatus.SKIPPED}
        for name, step in fold.steps.items()
        if step.action.status in DONE_ACTIONS
    }
    for name in fold.plan.tolerated & steps.keys():
        steps[name] |= _of_tolerated(fold, name)
    return {"input": fold.input, "steps": steps}


def _of_tolerated(fold: Fold, name: str) -> dict[str, object]:
    """Return what conditions see of a step that may fail: whether it has, why, and the output that stands for its own."""
    failed, side = fold.steps[name].action.status is ActionStatus.GIVEN_UP, fold.steps[name].action
    failure = {"type": side.failure.type, "message": side.failure.message} if failed and side.failure is not None else None
    outputs = (fold.step(each).output for each in fold.plan.chain(name))
    return {"failed": failed, "failure": failure, "output": next((each for each in outputs if each is not None), None)}
