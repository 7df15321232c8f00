"""What a restart would do, told before it is asked for: which steps go back, which are undone, and what stands in its way."""

from __future__ import annotations

from typing import NamedTuple

from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.decide import decide
from goconductor.lifecycle.facts.events import RestartRequested
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import MAY_HAVE_RUN, OPEN_ACTIONS, ActionStatus, CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import with_items
from goconductor.lifecycle.moves.returning.rewinding import closed, problem_of
from goconductor.saga.definition import StepRole
from goconductor.saga.plan import Plan

_CLOSED = (CompensationStatus.DONE, CompensationStatus.SKIPPED)


class Preview(NamedTuple):
    """What a restart would do now.

    Attributes:
        steps: those that go back, in an order that the graph allows; of a map that has grown its items' as well.
        undone: those of them that may have had an effect, which is compensated, the last first.
        awaited: those of them that run, or whose journal is asked: what they say is waited for.
        hindrances: why a step cannot go back, by step.
        problem: why the restart would be refused; empty where it would be accepted.
    """

    steps: tuple[str, ...]
    undone: tuple[str, ...]
    awaited: tuple[str, ...]
    hindrances: dict[str, str]
    problem: str


def preview(plan: Plan, state: SagaState, asked: RestartRequested) -> Preview:
    """Tell what a restart would do, and change nothing.

    Args:
        plan: the saga's compiled definition.
        state: where it stands.
        asked: the request, with its reason.

    Raises:
        RequestRefusedError: the saga has no such step.
    """
    fold = Fold(plan, state)
    steps = tuple(with_items(plan, state.steps, closed(plan, asked.from_step)))
    undone: list[str] = []
    awaited: list[str] = []
    for name in steps:
        step = state.step(name)
        out = step.action.status in OPEN_ACTIONS and step.action.status is not ActionStatus.BACKOFF
        if out:
            awaited.append(name)
        may_have_run = out or step.action.status in MAY_HAVE_RUN or step.action.status is ActionStatus.BACKOFF
        is_undone = name in plan.undoable and plan.roles[name] is StepRole.COMPENSATABLE
        if may_have_run and is_undone and step.compensation.status not in _CLOSED:
            undone.append(name)
    try:
        decide(plan, state, asked)
    except RequestRefusedError as error:
        problem = str(error)
    else:
        problem = ""
    hindrances = {name: why for name in steps if (why := problem_of(fold, name)) is not None}
    return Preview(steps, tuple(undone[::-1]), tuple(awaited), hindrances, problem)
