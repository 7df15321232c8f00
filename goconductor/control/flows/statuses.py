"""How executions of flows, and their steps, are doing, in the seven words of flows.

The words are fewer than ours (:class:`~goconductor.lifecycle.facts.status.SagaStatus`, :class:`StepStatus`), and say less: an
operator looks at the saga itself. *Pending* is all that is on its way, also on its way back. *Unknown* is what a person has to
decide; it is never said of what has ended, nor of what is not there.
"""

from __future__ import annotations

import enum

from goconductor.control.models import StepStatus
from goconductor.lifecycle.facts.status import SagaStatus


class FlowStatus(enum.StrEnum):
    """How an execution of a flow, or a step of it, is doing."""

    UNKNOWN = "unknown"
    """Nobody knows how it ends: it is stuck, and a person must decide."""
    PENDING = "pending"
    """It is on its way, forward or back."""
    FAILURE = "failure"
    """It failed. An execution is compensated then."""
    SUCCESS = "success"
    PAUSED = "paused"
    """Nothing new begins until it is resumed."""
    ABORTED = "aborted"
    """It was turned back by a request, and is compensated; a step: it was undone, or did not begin."""
    STOPPED = "stopped"
    """It was ended as it stood."""


OVER = frozenset({FlowStatus.SUCCESS, FlowStatus.FAILURE, FlowStatus.ABORTED, FlowStatus.STOPPED})
"""Of what has ended."""

_OF_SAGA = {
    SagaStatus.QUEUED: FlowStatus.PENDING,
    SagaStatus.RUNNING: FlowStatus.PENDING,
    SagaStatus.WAITING: FlowStatus.PENDING,
    SagaStatus.COMPENSATING: FlowStatus.PENDING,
    SagaStatus.TERMINATING: FlowStatus.PENDING,
    SagaStatus.PAUSED: FlowStatus.PAUSED,
    SagaStatus.STUCK: FlowStatus.UNKNOWN,
    SagaStatus.COMPLETED: FlowStatus.SUCCESS,
    SagaStatus.HELD: FlowStatus.SUCCESS,
    SagaStatus.COMPENSATED: FlowStatus.FAILURE,
    SagaStatus.TERMINATED: FlowStatus.STOPPED,
}
_OF_STEP = {
    StepStatus.SUCCEEDED: FlowStatus.SUCCESS,
    StepStatus.SKIPPED: FlowStatus.SUCCESS,
    StepStatus.FAILED: FlowStatus.FAILURE,
    StepStatus.GIVEN_UP: FlowStatus.FAILURE,
    StepStatus.COMPENSATED: FlowStatus.ABORTED,
    StepStatus.UNKNOWN: FlowStatus.UNKNOWN,
    StepStatus.STUCK: FlowStatus.UNKNOWN,
}
_UNDER_WAY = {
    SagaStatus.PAUSED: FlowStatus.PAUSED,
    SagaStatus.COMPLETED: FlowStatus.ABORTED,
    SagaStatus.COMPENSATED: FlowStatus.ABORTED,
    SagaStatus.TERMINATED: FlowStatus.STOPPED,
}
"""Of a step that has not ended, by the saga's status: such a step of an ended saga never began, or was ended with it."""


def of_execution(status: SagaStatus, *, aborted: bool) -> FlowStatus:
    """Return the status of an execution.

    Args:
        status: the saga's.
        aborted: whether it was turned back by a request.
    """
    return FlowStatus.ABORTED if aborted and status is SagaStatus.COMPENSATED else _OF_SAGA[status]


def of_step(step: StepStatus, saga: SagaStatus, *, failed: bool = False) -> FlowStatus:
    """Return the status of a step.

    Args:
        step: the step's.
        saga: its saga's.
        failed: whether its last attempt failed.
    """
    if step is StepStatus.COMPENSATED and failed:  # what has failed may have had an effect, so it is compensated as well
        return FlowStatus.FAILURE
    if step in _OF_STEP:
        return _OF_STEP[step]
    if step in (StepStatus.RUNNING, StepStatus.COMPENSATING) and not saga.ended:
        return FlowStatus.PENDING  # a pause lets it end
    return _UNDER_WAY.get(saga, FlowStatus.PENDING)
