"""What a state still asks to be done: the log is the outbox, so all that was ever to be sent can be derived from it again.

Resume, the sweep and a restarted participant ask here; an acquirer asks whether what it was told to do is still due.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from goconductor.lifecycle.effects import RunAction, RunCompensation, SetTimer, Settle
from goconductor.lifecycle.events import Event, TimerFired
from goconductor.lifecycle.state import ActionStatus, CompensationStatus, SagaState, StepState
from goconductor.saga.ids import Direction


def owed(steps: Mapping[str, StepState], round: int) -> Iterator[RunAction | RunCompensation | Settle | SetTimer]:
    """All work and timers that the steps wait for, whether or not somebody is at it."""
    for name, step in steps.items():
        action, compensation = step.action, step.compensation
        if action.status is ActionStatus.SENT:
            yield RunAction(name, action.attempt, round)
        elif action.status is ActionStatus.BACKOFF and action.due_at is not None:
            yield SetTimer(name, Direction.ACTION, action.attempt, round, action.due_at)
        elif action.status is ActionStatus.SETTLING:
            yield Settle(name, round)
        if compensation.status is CompensationStatus.SENT:
            yield RunCompensation(name, compensation.attempt, round)
        elif compensation.status is CompensationStatus.BACKOFF and compensation.due_at is not None:
            yield SetTimer(name, Direction.COMPENSATION, compensation.attempt, round, compensation.due_at)
        elif compensation.status is CompensationStatus.FENCING:
            yield Settle(name, round)


def is_due(state: SagaState, step: str, direction: Direction, attempt: int, round: int) -> bool:
    """Whether this work is still to be done. A pause holds actions and compensations back, not settlements."""
    if state.round != round or state.phase.ended:
        return False
    action, compensation = state.step(step).action, state.step(step).compensation
    match direction:
        case Direction.ACTION:
            sent = action.status is ActionStatus.SENT and action.attempt == attempt
            return sent and not state.paused and not is_backward(state)
        case Direction.COMPENSATION:
            return compensation.status is CompensationStatus.SENT and compensation.attempt == attempt and not state.paused
        case Direction.SETTLE:  # pragma: no branch
            return action.status is ActionStatus.SETTLING or compensation.status is CompensationStatus.FENCING


def is_overtaken(state: SagaState, step: str, attempt: int, round: int) -> bool:
    """Whether this action was sent and the saga has turned back since: it must not begin any more, and whoever holds its lease
    can say at once that its outcome is unknown, which the saga waits for.
    """
    action = state.step(step).action
    return is_backward(state) and state.round == round and action.status is ActionStatus.SENT and action.attempt == attempt


def is_backward(state: SagaState) -> bool:
    """Whether the saga is on its way back, paused or not."""
    return state.phase == "compensating"


def timer_due_at(state: SagaState, event: Event) -> float | None:
    """The moment before which this event must not be appended; None for events that are no timers."""
    if not isinstance(event, TimerFired):
        return None
    return state.step(event.step).side(event.direction).due_at
