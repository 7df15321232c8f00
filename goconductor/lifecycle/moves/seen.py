"""What conditions see of a saga."""

from __future__ import annotations

from goconductor.lifecycle.facts.state import Referable, StepState
from goconductor.lifecycle.facts.status import DONE_ACTIONS, ActionStatus
from goconductor.lifecycle.fold import Fold
from goconductor.saga.expressions.conditions import Expression
from goconductor.saga.growth import split


def seen_by_conditions(fold: Fold, name: str, asking: Expression) -> dict[str, object]:
    """Return the input, and the steps that are done, as the conditions of a step name them. Those that go back are absent.

    Args:
        fold: the saga.
        name: the step. In a map it sees its siblings, the steps around the map, its item and that one's place; in a repeat also
            what the turn before has given.
        asking: the condition. Only where it asks for the output of a step for which a map stands in, the outputs of that map's
            items are put together.
    """
    if fold.plan.data is not None:
        return _seen_in_growth(fold, name, asking)
    steps: dict[str, dict[str, object]] = {
        each: {"output": step.output, "skipped": step.action.status is ActionStatus.SKIPPED}
        for each, step in fold.steps.items()
        if step.action.status in DONE_ACTIONS and each not in fold.rewound
    }
    for each in fold.plan.tolerated & steps.keys():
        steps[each] |= _of_tolerated(fold, each, each, asking)
    return {"input": fold.input, "steps": steps}


def _of_tolerated(fold: Fold, name: str, called: str, asking: Expression) -> dict[str, object]:
    """Return what a condition sees of a step that may fail: whether it has, why, and the output that stands for its own.

    Args:
        fold: the saga.
        name: the step.
        called: its name in the condition.
        asking: the condition.
    """
    failed, side = fold.steps[name].action.status is ActionStatus.GIVEN_UP, fold.steps[name].action
    failure = {"type": side.failure.type, "message": side.failure.message} if failed and side.failure is not None else None
    joins = asking.may_read("steps", called, "output")
    outputs = (_output(fold, each, joins=joins) for each in fold.plan.chain(name))
    return {"failed": failed, "failure": failure, "output": next((each for each in outputs if each is not None), None)}


def _output(fold: Fold, name: str, *, joins: bool = False) -> object:
    """Return what a step has given; of a map, which may stand in for another step, only with ``joins``."""
    data, outputs = fold.plan.data, Referable(fold.steps)
    if data is None or not (name in fold.plan.untils or (joins and fold.plan.steps[name].map is not None)):
        return fold.step(name).output
    return data.given(name, outputs.get(name), outputs)


def _size(map: StepState) -> int:
    """Return how many items a map has; one that never grew has those that a person gave as its output, else none."""
    if map.length is not None:
        return map.length
    return len(map.output) if isinstance(map.output, list) else 0


def _seen_in_growth(fold: Fold, name: str, asking: Expression) -> dict[str, object]:
    data, steps, outputs = fold.plan.data, dict[str, dict[str, object]](), Referable(fold.steps)
    assert data is not None  # noqa: S101  (it has maps or repeats)
    scope: str | None = name
    while scope is not None:  # from the inside out: the nearest step of a name is seen
        within = split(scope)
        around = data.around(scope if within is None else within.template)
        for each in around:
            full = each if within is None else within.item + each
            if each not in steps and (step := fold.step(full)).action.status in DONE_ACTIONS and not fold.rewinds(full):
                skipped = step.action.status is ActionStatus.SKIPPED
                steps[each] = {"skipped": skipped}
                if fold.plan.steps[full].map is not None:
                    steps[each]["size"] = _size(step)
                elif full in fold.plan.untils:
                    steps[each] |= {"output": _output(fold, full), "turns": step.length or 0}
                else:
                    steps[each]["output"] = step.output
                if full in fold.plan.tolerated:
                    steps[each] |= _of_tolerated(fold, full, each, asking)
        scope = None if within is None else within.map
    seen: dict[str, object] = {"input": fold.input, "steps": steps}
    if (found := split(name)) is not None:
        seen |= data.here(found, fold.input, outputs)
    return seen
