"""The context of a step whose function a test calls by itself."""

from __future__ import annotations

from uuid import UUID

from goconductor.engine.steps.context import StepContext
from goconductor.ports.clock import Clock
from goconductor.saga.ids import Direction
from goconductor.testing.clock import ManualClock
from goconductor.testing.scenario import SAGA_ID


def step_context(
    step: str = "step",
    *,
    saga: str = "saga",
    participant: str = "participant",
    direction: Direction = Direction.ACTION,
    attempt: int = 1,
    timeout_seconds: float = 300.0,
    saga_id: UUID | None = None,
    clock: Clock | None = None,
) -> StepContext:
    """Make a context to call a step's function with: ``await charge.function(step_context("charge"), cents=5)``.

    Args:
        step: the step's id.
        saga: the saga's name.
        participant: the step's participant.
        direction: whether the action or the compensation runs.
        attempt: the number of the attempt, from 1.
        timeout_seconds: its time limit.
        saga_id: the saga's id; always the same one, if none is given, so that the idempotency key is the same as well.
        clock: the clock of the context; one that stands still, if none is given.
    """
    clock = clock or ManualClock()
    return StepContext(
        saga_id=saga_id or SAGA_ID,
        saga=saga,
        step=step,
        direction=direction,
        attempt=attempt,
        round=0,
        deadline=clock.monotonic() + timeout_seconds,
        clock=clock,
        participant=participant,
    )
