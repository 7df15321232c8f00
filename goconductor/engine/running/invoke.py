"""One run of one side of a step: user code in, an event out. Any exception of user code, even a ``BaseException``, becomes an
event.

A runner decides how the code is run, plain or inside a journal (:mod:`goconductor.engine.running.runners`). This module has the
time limit, and the meaning of an error. The failure of a retriable step is never proven, or an operator's retry would only read
it again.

Two errors of a plain step are ours and not its code's. The first: what it *returned* cannot be kept. Then it has had its effect,
and must not run again. The second: it cannot be called with its *arguments*. That proves that this run has had no effect, and
proves nothing about another run: a process may have been stopped in the middle of the same attempt, with other code that fits the
inputs. So the failure is no proof in the log; the step is compensated like any other that failed. There is one exception. If the
compensation cannot be called either, as it takes the same inputs, and if that failed attempt was the only one, there is nothing
to compensate, and nobody who could. A second attempt is enough to leave it to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

from msgspec.structs import replace

from goconductor.aio.cancellation import is_ours
from goconductor.engine.running.attempt import Attempt, NotBegunError
from goconductor.engine.running.runners import Runner, runner_of
from goconductor.engine.running.undoing import undo_runner_of
from goconductor.engine.steps.context import HandedOut, StepContext
from goconductor.engine.steps.failures import delay_of, failure_of, names_of, text_of
from goconductor.engine.work.deadlines import Deadlines, Limit
from goconductor.engine.work.granted import Granted
from goconductor.errors import JournalError, PermanentError
from goconductor.lifecycle.facts.events import (
    ActionFailed,
    ActionHandedOut,
    ActionSettled,
    ActionSucceeded,
    CompensationFailed,
    CompensationHandedOut,
    CompensationSucceeded,
    Event,
    OutputRejected,
)
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import CompensationStatus
from goconductor.lifecycle.pending_work import goes_back
from goconductor.saga.definition import StepRole
from goconductor.saga.ids import Direction
from goconductor.saga.retry import Retry

_NOT_IN_A_TRANSACTION = (
    "a transactional step cannot be handed out, as its journal says that it happened once its transaction is committed: "
    "make it a plain step, or let a step of its own hand out what this one has written"
)

OnError = Callable[[Granted, StepContext, BaseException], Coroutine[Any, Any, None]]


def without_output(work: Granted, event: Event, error: Exception) -> Event | None:
    """Return what is kept of a success whose output is refused; None of another event.

    A declared undo takes null where nobody has the output.
    """
    if isinstance(event, ActionSettled) and work.view.state.step(event.step).compensation.status is CompensationStatus.SETTLING:
        return replace(event, output=None) if event.output is not None else None
    if not isinstance(event, ActionSucceeded):
        return None
    return OutputRejected(event.step, event.attempt, event.round, span=event.span, failure=_without_output(failure_of(error)))


def too_late(work: Granted) -> ActionFailed:
    """Return what is kept of an attempt that is not begun, as the time of all attempts of its step is over."""
    total = work.plan.steps[work.step].total_timeout_seconds
    problem = f"its total timeout of {total:g} s was over before this attempt could begin"
    failure = Failure(TimeoutError.__name__, problem, retryable=False, called=False)
    return ActionFailed(work.step, work.attempt, work.lease.key.round, failure=failure)


def _without_output(failure: Failure) -> Failure:
    return replace(failure, message=f"it ran, but its output cannot be kept: {failure.message}", retryable=False)


def _chosen(failure: Failure, policy: Retry, error: BaseException) -> Failure:
    """Return a failure that is final where the policy does not try its error again. One of the journal is none of the step's."""
    if not policy.chooses or not failure.retryable or isinstance(error, JournalError) or policy.covers(names_of(error)):
        return failure
    return replace(failure, retryable=False)


class Invocation:
    """One attempt, its time limit, and the meaning of its errors.

    Args:
        attempt: the attempt to run.
        deadlines: the time limits.
        on_error: called with what user code raised.
    """

    __slots__ = ("_deadlines", "_is_cut", "_on_error", "_runner", "attempt")

    def __init__(self, attempt: Attempt, *, deadlines: Deadlines, on_error: OnError) -> None:
        self.attempt = attempt
        self._runner: Runner = undo_runner_of(attempt.action) if attempt.undoes else runner_of(attempt.action)
        self._deadlines = deadlines
        self._on_error = on_error
        self._is_cut = False

    def run(self, seconds: float) -> Coroutine[Any, Any, Event | None]:
        """Do the work, and return its event; None if another process decides.

        Args:
            seconds: the time of the attempt; the waits before it may take as much again.

        Raises:
            NotBegunError: no code of the step was called, since the journal could not be used; this is no attempt.
        """
        match self.attempt.work.direction:
            case Direction.ACTION:
                return self._act(seconds)
            case Direction.COMPENSATION:
                return self._compensate(seconds)
            case Direction.SETTLE | Direction.SETTLE_UNDO:
                return self._settle()

    async def _act(self, seconds: float) -> Event:
        attempt, limit = self.attempt, self._limit(seconds)
        try:
            with limit:
                return self._runner.acted(attempt, await self._runner.act(attempt))
        except BaseException as error:
            if is_ours(error):
                raise
            if isinstance(error, HandedOut):
                if attempt.action.journal is None:
                    return ActionHandedOut(**attempt.names, ask_after_seconds=error.ask_after_seconds)
                error = PermanentError(_NOT_IN_A_TRANSACTION)
            self._name(error, limit)
            self._check_begun(error)
            await self._on_error(attempt.work, attempt.context, error)
            return await self._failed(error)

    async def _failed(self, error: BaseException) -> Event:
        attempt = self.attempt
        action, work = attempt.action, attempt.work
        failure = failure_of(error, action.function)
        if error is attempt.unkept:
            return OutputRejected(**attempt.names, failure=_without_output(failure))
        if error is attempt.uncallable:
            failure = replace(failure, called=False, retryable=False)
        policy = work.plan.retry_of(work.step, action.retry)
        failure = _chosen(failure, policy, error)
        tries = work.attempt - attempt.step.action.asked
        is_last = not failure.retryable or goes_back(work.view.state, work.step) or not policy.allows(tries)
        if is_last and work.plan.roles[work.step] is not StepRole.RETRIABLE and not isinstance(error, JournalError):
            try:
                proof = await self._runner.prove(attempt, failure)
            except Exception as unwritten:  # noqa: BLE001  (then the failure is reported without proof, and compensated)
                await self._on_error(work, attempt.context, unwritten)
            else:
                if proof is not None:
                    return proof
        own = action.retry and action.retry.counts_only()
        return ActionFailed(**attempt.names, failure=failure, retry=own, delay_seconds=delay_of(error))

    async def _compensate(self, seconds: float) -> Event | None:
        attempt, limit = self.attempt, self._limit(seconds)
        try:
            with limit:
                return await self._runner.compensate(attempt)
        except BaseException as error:
            if is_ours(error):
                raise
            if isinstance(error, HandedOut):
                if attempt.action.journal is None:
                    return CompensationHandedOut(**attempt.names, ask_after_seconds=error.ask_after_seconds)
                error = PermanentError(_NOT_IN_A_TRANSACTION)
            self._name(error, limit)
            self._check_begun(error)
            if error is attempt.uncallable and self._runner.left_nothing(attempt):
                message = "the action of step %r was never called, and its compensation cannot be: %s"
                attempt.context.logger.warning(message, attempt.work.step, text_of(error))
                return CompensationSucceeded(**attempt.names, null=True)
            await self._on_error(attempt.work, attempt.context, error)
            action = attempt.action
            own, code = (
                (action.retry, action.function) if attempt.undoes else (action.compensation_retry, action.compensation_function)
            )
            policy = attempt.work.plan.compensation_retry_of(attempt.work.step, own)
            return CompensationFailed(
                **attempt.names,
                failure=_chosen(failure_of(error, code), policy, error),
                retry=own and own.counts_only(),
                delay_seconds=delay_of(error),
            )

    async def _settle(self) -> Event:
        try:
            return await self._runner.settle(self.attempt)
        except Exception as error:
            raise NotBegunError(text_of(error) or type(error).__name__) from error

    def _limit(self, seconds: float) -> Limit:
        self._is_cut = seconds != self.attempt.timeout_seconds
        limit = self.attempt.limit = self._deadlines.within(seconds, once=self._is_cut)
        return limit

    def _name(self, error: BaseException, limit: Limit) -> None:
        """Give an error of our time limit a message; the step's own code names its own limits."""
        if limit.expired and type(error) is TimeoutError and not error.args:
            attempt = self.attempt
            what, seconds = "its time limit", attempt.timeout_seconds
            if self._is_cut and (total := attempt.work.plan.steps[attempt.work.step].total_timeout_seconds) is not None:
                what, seconds = "what was left of its total timeout", total
            message = f"the {attempt.work.direction} took longer than {what} of {seconds:g} s"
            error.args = (f"{message}; give step {attempt.action.target!r} a longer one, or find what it waits for",)

    def _check_begun(self, error: BaseException) -> None:
        if isinstance(error, NotBegunError):
            raise error
        if self._runner.has_not_begun(self.attempt, error):
            raise NotBegunError(text_of(error) or "the journal did not answer in time") from error


_RUNS = (Invocation._act.__code__, Invocation._compensate.__code__)  # noqa: SLF001  (our own)


def step_in(frame: FrameType) -> str:
    """Return the step whose code is called from a frame of some stack; empty where it calls none."""
    run = frame.f_locals.get("self") if frame.f_code in _RUNS else None
    return run.attempt.action.target if isinstance(run, Invocation) else ""
