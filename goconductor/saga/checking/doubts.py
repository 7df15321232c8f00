"""Definitions that can run, but hardly as their writer meant it. ``definition check`` refuses them. Registering one warns, or is
refused as well where ``definitions.strict`` is set.

Each doubt names a path on which it shows, and the remedy. There is no doubt about what only the owner of a step knows: where
a document does not say whether a step has a compensation, it may have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from goconductor.errors import ConditionError
from goconductor.saga.checking.fault import Fault, within
from goconductor.saga.definition import Definition, Step, StepRole, each_saga, every_step
from goconductor.saga.expressions.conditions import IN_MAP, IN_REPEAT, compile_condition
from goconductor.saga.graph import reachable
from goconductor.saga.plan import Plan, plan


def doubts(definition: Definition) -> list[str]:
    """Return what is doubtful about a definition, each with its remedy.

    Args:
        definition: one that can run.
    """
    return [within(where, doubt) for where, saga in each_saga(definition) for doubt in _of_saga(saga)]


def _of_saga(definition: Definition) -> Iterator[str]:
    compiled = plan(definition)
    before_pivot = [step for step in definition.steps if compiled.roles[step.id] is StepRole.COMPENSATABLE]
    yield from _never(every_step(definition.steps))
    yield from _left_standing(compiled, before_pivot)


def _never(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the steps whose condition reads nothing, and is false; and the repeats that so never come to their end."""
    for step in steps:
        what = f"step {step.id!r} never runs: its condition {step.when!r} is false on any data; remove the step, or correct it."
        yield from _false(step, step.when, what)
        if step.repeat is not None and step.repeat.at_max == "fail":
            until = step.repeat.until
            what = f"repeat {step.id!r} fails whenever it runs: its 'until' {until!r} is false on any data; correct it."
            yield from _false(step, until, what)


def _false(step: Step, source: str | None, what: str) -> Iterator[str]:
    """Yield what a condition means that reads nothing, and is false."""
    if source is None or (condition := compile_condition(source, IN_MAP | IN_REPEAT)).named:
        return
    try:
        if not condition.holds({}):
            yield what
    except ConditionError as error:
        yield Fault(
            f"step {step.id!r} fails whenever it has its turn: {error}; correct its condition.",
            f"{step.id} has its turn",
            "its condition cannot be evaluated",
            "the saga turns back, or after the pivot is stuck",
        )


def _left_standing(plan: Plan, steps: Iterable[Step]) -> Iterator[str]:
    """Yield the steps that nothing undoes, and that do not say so."""
    for top in steps:
        for step in every_step([top]):
            if not step.run or step.compensation is not False or step.undo is not None:
                continue
            if (path := _path(plan, top.id)) is None:
                continue  # no other step can turn the saga back
            yield Fault(
                f"what step {step.id!r} does stays where the saga turns back, as nothing undoes it; say undo: none (in Python "
                "undo='none') if nothing needs to, else give it an undo, or its service a compensation.",
                *path,
                f"what {step.id} has done stays",
            )


def _path(plan: Plan, step: str) -> tuple[str, str] | None:
    """Return a path on which the saga turns back after a step has run; None where no other step can fail then."""
    if (later := next(iter(plan.successors[step]), None)) is not None:
        return f"{step} succeeds", f"{later} fails"
    before = reachable(plan.predecessors, step)
    beside = next((name for name in plan.order if name != step and name not in before), None)
    return None if beside is None else (f"{step} succeeds", f"{beside} fails beside it")
