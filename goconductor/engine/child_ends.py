"""What the end of a sub-saga means to the saga of its step, and what one that is held hears of that saga.

All of it follows from the two states. Who asks, and when, is said in :mod:`goconductor.engine.children`.
"""

from __future__ import annotations

from goconductor.engine.facts.log import View
from goconductor.errors import PayloadError
from goconductor.lifecycle.facts.events import (
    ActionFailed,
    ActionSettled,
    ActionSucceeded,
    CompensationFailed,
    CompensationSettled,
    CompensationSucceeded,
    Event,
    OutputRejected,
    Released,
    SettleUnavailable,
    UndoRequested,
)
from goconductor.lifecycle.facts.parent import Parent
from goconductor.lifecycle.facts.state import Failure, SagaState, Side, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus, SagaStatus
from goconductor.saga.data import values
from goconductor.saga.ids import Direction
from goconductor.saga.plan import Plan

COMPENSATED, TERMINATED = "SagaCompensatedError", "SagaTerminatedError"
"""Types of the failure of a step whose saga was undone, or has ended with effects that may stand."""


def heard(parent: View | None, of: Parent) -> Event | None:
    """Return what a child that is held hears of its parent: that it is over, or to be undone; None while it is to wait."""
    if parent is None or parent.state.phase.ended:
        return Released()
    step = parent.state.step(of.step)
    if (step.round, step.action.attempt) != (of.round, of.attempt):
        return None
    if step.compensation.status is CompensationStatus.FENCING:  # the parent is to end, or goes on, without having it undone
        return Released()
    if step.compensation.status is CompensationStatus.SENT and not parent.state.paused:
        return UndoRequested(reason=f"step {of.step!r} of saga {of.saga_id} goes back")
    return None


def _undone(child: SagaState, parent: Parent, compensation: Side[CompensationStatus]) -> Event | None:
    """Return what the end of a child means to the compensation of its step, which the child itself is."""
    if not child.phase.ended:  # it is held, and its parent is paused: it hears later that it is to be undone
        return None
    if compensation.status is CompensationStatus.FENCING:
        return CompensationSettled(parent.step, compensation.attempt, parent.round, happened=_is_clean(child))
    if compensation.status is not CompensationStatus.SENT:
        return None
    about = parent.step, compensation.attempt, parent.round
    if _is_clean(child):
        return CompensationSucceeded(*about)
    return CompensationFailed(*about, failure=Failure(TERMINATED, _may_stand(child), retryable=False))


def _undone_by(child: View, parent: Parent, state: SagaState) -> Event | None:
    """Return what the end of a saga that undoes a step means to that step's saga; None where nothing of it is waited for."""
    compensation, ended = state.step(parent.step).compensation, child.state
    if state.phase.ended or (state.step(parent.step).round, compensation.attempt) != (parent.round, parent.attempt):
        return None
    about, completed = (parent.step, parent.attempt, parent.round), ended.phase is SagaStatus.COMPLETED
    if compensation.status is CompensationStatus.FENCING_UNDO:
        if completed or _is_clean(ended):
            return CompensationSettled(*about, happened=completed)
        reason = _may_stand(ended)
        return SettleUnavailable(*about, reason=reason, late_effects=ended.late_effects, direction=Direction.SETTLE_UNDO)
    if compensation.status is not CompensationStatus.SENT:
        return None
    if completed:
        return CompensationSucceeded(*about)
    why = f"saga {ended.saga_id} was {ended.phase}" + (f" ({ended.reason})" if ended.reason else "")
    clean, never_began = _is_clean(ended), child.seq == 1  # one whose input was refused would be refused again
    return CompensationFailed(
        *about, failure=Failure(COMPENSATED if clean else TERMINATED, why, retryable=clean and not never_began)
    )


def attempt_of(step: StepState, parent: Parent) -> int:
    """Return the attempt that a saga is about now, as its step stands."""
    return step.compensation.attempt if parent.undoes else step.action.attempt


def _is_clean(child: SagaState) -> bool:
    return child.phase is SagaStatus.COMPENSATED and not child.left_standing and not child.late_effects


def _may_stand(child: SagaState) -> str:
    return f"saga {child.saga_id} was {child.phase}, and effects of it may stand"


def outcome(plan: Plan, ended: View, parent: Parent, state: SagaState, *, output_bytes_max: int) -> Event | None:
    """Return what a child's end means to its parent, as it stands; None where nothing of this child is waited for.

    Args:
        plan: the child's.
        ended: where it stands.
        parent: the run of the step that has started it.
        state: that of the step's saga.
        output_bytes_max: greatest size of the child's output, in bytes.
    """
    if parent.undoes:
        return _undone_by(ended, parent, state) if ended.state.phase.ended else None
    step, child = state.step(parent.step), ended.state
    if state.phase.ended or (step.round, step.action.attempt) != (parent.round, parent.attempt):
        return None
    if parent.held and step.compensation.status is not CompensationStatus.NONE:
        return _undone(child, parent, step.compensation)
    settles = step.action.status is ActionStatus.SETTLING or step.compensation.status is CompensationStatus.SETTLING
    if not settles and step.action.status is not ActionStatus.SENT:
        return None
    about = parent.step, parent.attempt, parent.round
    if child.phase in (SagaStatus.COMPLETED, SagaStatus.HELD):
        try:
            output = plan.output(child.input, child.referable())
            values.written(output, bytes_max=output_bytes_max)
        except PayloadError as error:
            if settles:
                return ActionSettled(*about, happened=True)
            what = f"the output of saga {child.saga_id} cannot be taken: {error}"
            return OutputRejected(*about, failure=Failure("PayloadError", what, retryable=False))
        return ActionSettled(*about, happened=True, output=output) if settles else ActionSucceeded(*about, output=output)
    clean = _is_clean(child)
    if settles:
        what = _may_stand(child)
        return ActionSettled(*about) if clean else SettleUnavailable(*about, reason=what, late_effects=child.late_effects)
    why = f"saga {child.saga_id} was {child.phase}" + (f" ({child.reason})" if child.reason else "")
    failure = Failure(COMPENSATED if clean else TERMINATED, why, retryable=False)
    return ActionFailed(*about, failure=failure, proven=clean, late_effects=child.late_effects)
