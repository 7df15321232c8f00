"""What conditions see of a saga."""

from __future__ import annotations

from goconductor.lifecycle.facts.state import DONE_ACTIONS, ActionStatus
from goconductor.lifecycle.fold import Fold


def seen_by_conditions(fold: Fold) -> dict[str, object]:
    """Return the input, and the steps that are done, as conditions name them."""
    return {
        "input": fold.input,
        "steps": {
            name: {"output": step.output, "skipped": step.action.status is ActionStatus.SKIPPED}
            for name, step in fold.steps.items()
            if step.action.status in DONE_ACTIONS
        },
    }
