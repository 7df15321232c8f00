"""Has a worker run an attempt, and says what came of it in the engine's words."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from goconductor.aio.recent import Recent
from goconductor.engine.running.attempt import Attempt
from goconductor.engine.running.runners import PLAIN
from goconductor.engine.steps.signature import ANY_INPUTS
from goconductor.errors import PermanentError, RefusedError, StepError, TemporaryError
from goconductor.gateway.desk import Desk
from goconductor.gateway.protocol import Failed, FailureKind, Outcome, Side, Task
from goconductor.gateway.session import Errand, Gone
from goconductor.gateway.steps import WorkerAction, fitted
from goconductor.lifecycle.facts.events import (
    CompensationSucceeded,
    Event,
    OutcomeUnknown,
    SettleUnavailable,
)
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.saga.data import values
from goconductor.saga.ids import Direction

_KINDS: dict[FailureKind, type[StepError]] = {
    FailureKind.PERMANENT: PermanentError,
    FailureKind.TEMPORARY: TemporaryError,
}
_classes: Recent[tuple[FailureKind, str], type[StepError]] = Recent(count_max=1_000)


class WorkerRunner:
    """Runs both sides of the steps of one participant, by its workers.

    Args:
        desk: gives tasks to workers.
        undoes: whether actions are run as declared undos.
    """

    def __init__(self, desk: Desk, *, undoes: bool = False) -> None:
        self._desk = desk
        self._undoes = undoes

    def as_undo(self) -> WorkerRunner:
        """Return what runs an action as the declared undo of another step."""
        return WorkerRunner(self._desk, undoes=True)

    def act(self, attempt: Attempt) -> Awaitable[Any]:
        """Have the action run; what is returned is awaited for the outcome."""
        return self._run(attempt, Side.ACTION, None)

    def acted(self, attempt: Attempt, answer: Outcome | Gone) -> Event:
        """Return the event of an outcome."""
        if isinstance(answer, Gone):
            return OutcomeUnknown(**attempt.names, reason=answer.reason)
        try:
            output = values.decode(answer.output or b"null")
        except BaseException as error:
            attempt.unkept = error
            raise
        return PLAIN.acted(attempt, output)

    async def compensate(self, attempt: Attempt) -> Event | None:
        """Have the compensation run, or the action where it is a declared undo."""
        if self._undoes:
            answer = await self._run(attempt, Side.ACTION, None)
        elif attempt.action.compensation_function is None:
            return CompensationSucceeded(**attempt.names, null=True)
        else:
            step = attempt.step
            known = values.encode(step.output) if step.action.status is ActionStatus.SUCCEEDED else None
            answer = await self._run(attempt, Side.COMPENSATION, known)
        if isinstance(answer, Gone):
            return OutcomeUnknown(**attempt.names, reason=answer.reason, direction=Direction.COMPENSATION)
        return CompensationSucceeded(**attempt.names)

    async def settle(self, attempt: Attempt) -> Event:
        """Answer that there is no journal to settle by."""
        if self._undoes:
            return SettleUnavailable(**attempt.names, reason="the undo has no journal", direction=Direction.SETTLE_UNDO)
        return await PLAIN.settle(attempt)

    async def prove(self, attempt: Attempt, failure: Failure) -> Event | None:
        """Prove nothing: a worker may have done what it did not tell."""
        del attempt, failure
        return None

    def has_not_begun(self, attempt: Attempt, error: BaseException) -> bool:
        """Return whether no worker was given this."""
        return not attempt.begun and isinstance(error, TimeoutError)

    def left_nothing(self, attempt: Attempt) -> bool:
        """Return whether the only attempt ended before a worker was given it."""
        return PLAIN.left_nothing(attempt)

    async def _run(self, attempt: Attempt, side: Side, output: bytes | None) -> Outcome | Gone:
        action = attempt.action
        assert isinstance(action, WorkerAction)  # noqa: S101  (nobody else has this runner)
        inputs = attempt.arguments(ANY_INPUTS)["inputs"]
        try:
            encoded = fitted(action, inputs)
        except BaseException as error:
            attempt.uncallable = error
            raise
        context, fence = attempt.context, fence_of(attempt.work.lease.token)

        def again() -> Task:
            return Task(
                fence=fence,
                step=action.name,
                side=side,
                saga_id=str(context.saga_id),
                saga=context.saga,
                saga_step=context.step,
                attempt=context.attempt,
                round=context.round,
                idempotency_key=context.idempotency_key,
                action_key=context.action_key,
                input=encoded,
                output=output,
                timeout_seconds=context.seconds_left,
                reason=context.reason,
                refused=context.refused,
                traceparent=context.traceparent,
            )

        def begin() -> Task:
            attempt.begun = True
            attempt.begins()
            return again()

        errand = Errand(fence, (action.name, side), begin, again)
        self._desk.put(errand)
        try:
            answer = await errand.answered
        except BaseException:  # an outcome may have come in the same turn, which is not what the log gets
            self._desk.kept(fence, taken=False)
            raise
        finally:
            self._desk.withdraw(errand, "its time limit is over, or its process stops")
        if isinstance(answer, Outcome) and answer.failure is not None:
            raise _raised(answer.failure)
        return answer


def fence_of(token: int) -> str:
    """Return the fence of an attempt, which has a lease of its own."""
    return f"{token:016x}"


def _raised(failure: Failed) -> StepError:
    """Return a failure as the exception that the same code would raise here."""
    if failure.kind is FailureKind.REFUSED:
        return RefusedError(failure.message or None)
    kind = _KINDS[failure.kind]
    if failure.type and failure.type != kind.__name__:
        named = _classes.use((failure.kind, failure.type))
        if named is None:
            named = type(failure.type, (kind,), {"__doc__": kind.__doc__})
            _classes.put((failure.kind, failure.type), named)
        kind = named
    error = kind(failure.message or None)
    if isinstance(error, TemporaryError):
        error.delay_seconds = failure.retry_after_seconds
    vars(error)["traceback_elsewhere"] = failure.traceback
    return error
