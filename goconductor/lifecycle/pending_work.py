"""What a state still asks to be done. The log is the outbox: all that was ever to be sent can be derived from it again.

Resume, the sweep and a restarted participant ask for all of it. Who acquires a lease asks whether its work is still pending.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, SetTimer, Settle, SettleUndo
from goconductor.lifecycle.facts.events import Event, TimerFired
from goconductor.lifecycle.facts.lock import Wish
from goconductor.lifecycle.facts.state import SagaState, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.lifecycle.grown import lost_around
from goconductor.saga.growth import outermost
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan


def pending_work(steps: Mapping[str, StepState]) -> Iterator[RunAction | RunCompensation | Settle | SetTimer]:
    """Return all work and timers that the steps wait for, whether or not an instance is at it."""
    return _pending(steps.items())


def _pending(
    steps: Iterable[tuple[str, StepState]],
) -> Iterator[RunAction | RunCompensation | Settle | SetTimer]:
    for name, step in steps:
        action, compensation, round = step.action, step.compensation, step.round
        if action.status is ActionStatus.SENT:
            yield RunAction(name, action.attempt, round)
        elif action.due_at is not None:
            yield SetTimer(name, Direction.ACTION, action.attempt, round, action.due_at)
        elif action.status is ActionStatus.SETTLING:
            yield Settle(name, round)
        if compensation.status is CompensationStatus.SENT:
            yield RunCompensation(name, compensation.attempt, round)
        elif compensation.due_at is not None:
            yield SetTimer(name, Direction.COMPENSATION, compensation.attempt, round, compensation.due_at)
        elif compensation.status is CompensationStatus.FENCING or compensation.status is CompensationStatus.SETTLING:
            yield Settle(name, round)
        elif compensation.status is CompensationStatus.FENCING_UNDO:
            yield SettleUndo(name, round)


def is_of_child(plan: Plan, work: RunAction | RunCompensation | Settle) -> bool:
    """Return whether work is about a saga that a step has started or will start, or that undoes a step.

    Args:
        plan: the saga's compiled definition.
        work: of any step.
    """
    if work.direction in _OF_ACTION:
        return work.step in plan.children
    if work.direction is Direction.COMPENSATION and work.step in plan.holds:
        return True
    return bool(plan.undo_sagas) and work.step in plan.undo_sagas


_OF_ACTION = (Direction.ACTION, Direction.SETTLE)


def work_of_children(plan: Plan, steps: Mapping[str, StepState]) -> Iterator[RunAction | RunCompensation | Settle]:
    """Return what of the pending work is about sagas that steps have started or will start."""
    for work in pending_work(steps) if plan.starts_sagas else ():
        if not isinstance(work, SetTimer) and is_of_child(plan, work):
            yield work


def children_at_work(plan: Plan, steps: Mapping[str, StepState]) -> bool:
    """Return whether the end of a saga that a step has started is awaited."""
    return any(True for _ in work_of_children(plan, steps))


def looked_at(state: SagaState) -> float | None:
    """Return when a leader is to look at a saga, as far as the log knows.

    The end of a saga that a step has started may be untold. Whoever has told it lets the saga rest. One that is held looks at the
    saga of that step until that one ends.
    """
    if state.parent is None or not state.phase.done:
        return state.wake_at
    return state.at + state.patience_seconds


def is_without_end(step: StepState) -> bool:
    """Return whether a step waits for somebody outside, and no time ends that."""
    waits = step.action.status is ActionStatus.WAITING and not step.wishes
    return (waits or step.compensation.status is CompensationStatus.WAITING) and step.due_at is None


def wishes_of(state: SagaState) -> dict[str, tuple[Wish, ...]]:
    """Return the locks that steps wait for, by step, in the order in which they are taken."""
    return {
        name: tuple(wish for wish in step.wishes if wish.key not in state.locks)
        for name, step in state.steps.items()
        if step.wishes
    }


def waits(state: SagaState) -> bool:
    """Return whether a saga wants nothing but that time passes: all that is pending are timers.

    The steps that began last are looked at first. Where there are thousands, one of them is most likely out.
    """
    return all(isinstance(each, SetTimer) for each in _pending(reversed(state.steps.items())))


def is_pending(state: SagaState, step: str, direction: Direction, attempt: int, round: int) -> bool:
    """Return whether this work is still to be done. A pause holds actions and compensations back, not settlements."""
    now = state.step(step)
    if now.round != round or state.phase.ended:
        return False
    action, compensation = now.action, now.compensation
    match direction:
        case Direction.ACTION:
            sent = action.status is ActionStatus.SENT and action.attempt == attempt
            return sent and not state.paused and not goes_back(state, step)
        case Direction.COMPENSATION:
            return compensation.status is CompensationStatus.SENT and compensation.attempt == attempt and not state.paused
        case Direction.SETTLE:
            asked = (CompensationStatus.FENCING, CompensationStatus.SETTLING)
            return action.status is ActionStatus.SETTLING or compensation.status in asked
        case Direction.SETTLE_UNDO:  # pragma: no branch
            return compensation.status is CompensationStatus.FENCING_UNDO


def is_superseded(state: SagaState, step: str, attempt: int, round: int) -> bool:
    """Return whether this action was sent, and it, or the saga as a whole, goes back since.

    It must not begin any more. The holder of its lease can report at once that its outcome is unknown, which the saga waits for.
    """
    if not goes_back(state, step):
        return False
    now = state.step(step)
    return now.action.status is ActionStatus.SENT and now.action.attempt == attempt and now.round == round


def is_backward(state: SagaState) -> bool:
    """Return whether the saga is on its way back as a whole, paused or not."""
    return state.phase is SagaStatus.COMPENSATING


def goes_back(state: SagaState, step: str) -> bool:
    """Return whether a step is on its way back: with the whole saga, in a rewind, or with an item that is lost."""
    if state.phase is SagaStatus.COMPENSATING or (state.rewind is not None and outermost(step) in state.rewind.steps):
        return True
    return "[" in step and lost_around(state.steps, step) is not None


def timer_due_at(state: SagaState, event: Event) -> float | None:
    """Return the moment before which this event must not be appended; None for events that are no timers."""
    if not isinstance(event, TimerFired):
        return None
    return state.step(event.step).side(event.direction).due_at
