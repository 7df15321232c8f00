"""What is true of a saga after every event.

``check`` runs in production, after each event, and looks at the steps that the event has touched, or at all when the saga has
ended; ``violations`` looks at all
of them and recounts what a draft has counted, for checkers and tests.
"""

from __future__ import annotations

from collections.abc import Iterator

from goconductor.errors import InvariantError
from goconductor.lifecycle.draft import (
    CLOSED_COMPENSATIONS,
    DONE_ACTIONS,
    MAY_HAVE_RUN,
    OPEN_ACTIONS,
    OPEN_COMPENSATIONS,
    Draft,
)
from goconductor.lifecycle.state import ActionStatus, CompensationStatus, SagaState, SagaStatus, StepState
from goconductor.saga.definition import StepKind
from goconductor.saga.graph import Plan

_NEVER_SENT = (ActionStatus.PENDING, ActionStatus.SKIPPED, ActionStatus.PREVENTED, ActionStatus.STUCK)
_GOING_FORWARD = (SagaStatus.QUEUED, SagaStatus.RUNNING, SagaStatus.COMPLETED)


def check(draft: Draft) -> None:
    """Refuse a state that must not exist.

    Raises:
        InvariantError: naming everything that is wrong with it.
    """
    plan, state = draft.plan, draft.state
    found = list(_of_saga(plan, state, draft.done, draft.open_actions + draft.open_compensations, draft.stuck))
    for name in state.steps if state.phase.ended else draft.touched:
        found += _of_step(plan, state, name, draft.steps[name])
    draft.touched.clear()
    if found:
        raise InvariantError(f"saga {state.saga_id} ({plan.name}): " + "; ".join(found))


def violations(plan: Plan, state: SagaState) -> Iterator[str]:
    """What is wrong with a state, in words."""
    steps = state.steps.values()
    done = sum(step.action in DONE_ACTIONS for step in steps)
    open_work = sum((step.action in OPEN_ACTIONS) + (step.compensation in OPEN_COMPENSATIONS) for step in steps)
    yield from _of_saga(plan, state, done, open_work, len(state.stuck_steps))
    for name, step in state.steps.items():
        yield from _of_step(plan, state, name, step)


def _of_saga(plan: Plan, state: SagaState, done: int, open_work: int, stuck: int) -> Iterator[str]:
    ended = state.phase.ended
    if state.phase in _GOING_FORWARD and len(plan.order) - done != state.remaining:
        yield f"{state.remaining} steps are said to remain, {len(plan.order) - done} do"
    if state.phase is SagaStatus.COMPLETED and done != len(plan.order):
        yield "completed, but not every step succeeded or was skipped"
    if state.phase in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED) and open_work:
        yield f"{state.phase}, but work is open"
    if (state.wake_at is not None) != (not ended and not state.paused and open_work > 0):
        yield f"{state.status} with {'open' if open_work else 'no'} work, but wake_at is {state.wake_at}"
    if not ended and not state.paused and not open_work and not stuck:
        yield f"{state.phase}, but nothing will ever happen to it"


def _of_step(plan: Plan, state: SagaState, name: str, step: StepState) -> Iterator[str]:
    kind = plan.kinds[name]
    if step.attempt == 0 and step.action not in _NEVER_SENT:
        yield f"step {name!r} is {step.action} without an attempt"
    if step.action in OPEN_ACTIONS or step.action in MAY_HAVE_RUN:
        for before in plan.predecessors[name]:
            if state.step(before).action not in DONE_ACTIONS:
                yield f"step {name!r} was sent before {before!r} was done"
    if step.action is ActionStatus.STUCK and kind is StepKind.COMPENSATABLE:
        yield f"compensatable step {name!r} is stuck, it should be compensated"
    if (step.due_at is not None) != (step.action is ActionStatus.BACKOFF or step.compensation is CompensationStatus.BACKOFF):
        yield f"step {name!r} is {step.action}/{step.compensation} with due_at {step.due_at}"
    if state.phase in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED):
        if kind is StepKind.PIVOT and step.action is ActionStatus.SUCCEEDED:
            yield f"compensating after its pivot {name!r} succeeded"
        if kind is StepKind.RETRIABLE and step.attempt:
            yield f"compensating after the retriable step {name!r} was sent"
    if step.compensation is not CompensationStatus.NONE:
        yield from _of_compensation(plan, state, name, step)
    elif state.phase is SagaStatus.COMPENSATED and kind is StepKind.COMPENSATABLE and step.action in MAY_HAVE_RUN:
        yield f"compensated, but step {name!r} is not"


def _of_compensation(plan: Plan, state: SagaState, name: str, step: StepState) -> Iterator[str]:
    if plan.kinds[name] is not StepKind.COMPENSATABLE or step.action not in MAY_HAVE_RUN:
        yield f"step {name!r} ({plan.kinds[name]}, {step.action}) is being compensated"
    if state.phase not in (SagaStatus.COMPENSATING, SagaStatus.COMPENSATED, SagaStatus.TERMINATED):
        yield f"step {name!r} is being compensated while the saga is {state.phase}"
    if state.phase is SagaStatus.COMPENSATED and step.compensation not in CLOSED_COMPENSATIONS:
        yield f"compensated, but the compensation of step {name!r} is {step.compensation}"
    for after in plan.successors[name]:
        later = state.step(after)
        if (
            plan.kinds[after] is StepKind.COMPENSATABLE
            and later.action in MAY_HAVE_RUN
            and later.compensation not in CLOSED_COMPENSATIONS
        ):
            yield f"step {name!r} is being compensated before {after!r}, which came after it"
