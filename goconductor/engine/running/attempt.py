"""One attempt at one side of a step: what its code is called with, and the call itself.

The time of an attempt begins where user code begins. What comes before, a connection of the journal, another run that holds the
key, a thread, is waiting: it is bounded by as much time again, and whoever waited in vain has not made an attempt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from goconductor.dataflow.transients import sealed
from goconductor.engine.steps.action import TIMEOUT_SECONDS, Action
from goconductor.engine.steps.builders import BuilderAction
from goconductor.engine.steps.context import Apart, HandedOut, StepContext
from goconductor.engine.steps.signature import Signature
from goconductor.engine.work.deadlines import Limit
from goconductor.engine.work.granted import Granted
from goconductor.engine.work.threads import Call, NotCalledError, Threads
from goconductor.errors import GoConductorError, JournalError, JournalUnavailableError, PayloadError, RefusedError
from goconductor.lifecycle.facts.state import Referable, StepState
from goconductor.lifecycle.facts.status import ActionStatus
from goconductor.ports.clock import Clock
from goconductor.ports.journal import ThreadTransaction
from goconductor.saga.data import values
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.types.encoding import to_json_value


class NotBegunError(JournalError):
    """The service's own database is away, or no thread was free: no code of the step was called, and no attempt is counted."""

    @property
    def of_journal(self) -> bool:
        """Whether the journal cannot be used by any step now."""
        return isinstance(self.__cause__, JournalUnavailableError)


def timeout_of(work: Granted, action: Action[..., Any]) -> float:
    """Return how long one attempt may take, in seconds: the definition's word, else the owner's. What undoes is its owner's."""
    if work.plan.undoes and work.undoes:
        return action.timeout_seconds or TIMEOUT_SECONDS
    return work.plan.steps[work.step].timeout_seconds or action.timeout_seconds or TIMEOUT_SECONDS


def seconds_of(work: Granted, timeout_seconds: float, clock: Clock) -> float:
    """Return how long an attempt that begins now may take, in seconds: what is left of the step's total time, if that is less.

    Args:
        work: the work.
        timeout_seconds: how long any attempt of it may take.
        clock: has the database's time, which only a total is compared with.
    """
    key = work.lease.key
    if work.plan.steps[key.step].total_timeout_seconds is None or key.direction is not Direction.ACTION:
        return timeout_seconds
    ends_at = work.view.state.step(key.step).action.ends_at
    return timeout_seconds if ends_at is None else min(timeout_seconds, ends_at - clock.now())


def context_of(work: Granted, deadline: float, clock: Clock, participant: str) -> StepContext:
    """Return what a step is told of its run."""
    key, state = work.lease.key, work.view.state
    return StepContext(
        saga_id=key.saga_id,
        saga=work.plan.name,
        step=key.step,
        direction=key.direction,
        attempt=work.attempt,
        round=key.round,
        deadline=deadline,
        clock=clock,
        participant=participant,
        traceparent=state.traceparent,
        reason=state.reason,
        locks={key: held.number for key, held in state.locks.items()} if state.locks else {},
        refused=key.direction is Direction.COMPENSATION and _refused_at_once(state.step(key.step)),
    )


def _refused_at_once(step: StepState) -> bool:
    action = step.action
    failure = action.failure if action.status is ActionStatus.FAILED and action.attempt == 1 else None
    return failure is not None and failure.type == RefusedError.__name__


class Attempt:
    """One attempt, and the code that it calls.

    Args:
        work: the work to run.
        action: the step's code.
        context: the context that the step gets.
        timeout_seconds: time limit of the whole attempt.
        threads: run plain functions.
        output_bytes_max: greatest size of an output, in bytes.
        on_begin: called where user code begins after it had to wait.

    Attributes:
        undoes: whether the code is run as the declared undo of a step.
        begun: whether user code was called.
        uncallable: why it could not be called with these inputs.
        unkept: why what it returned cannot be kept.
        limit: its time limit, which is restarted where user code begins.
    """

    __slots__ = (
        "_called",
        "_on_begin",
        "_output_bytes_max",
        "_threads",
        "action",
        "begun",
        "context",
        "limit",
        "timeout_seconds",
        "uncallable",
        "undoes",
        "unkept",
        "work",
    )

    def __init__(
        self,
        work: Granted,
        action: Action[..., Any],
        context: StepContext,
        *,
        timeout_seconds: float,
        threads: Threads,
        output_bytes_max: int,
        on_begin: Callable[[Granted, StepContext], None],
    ) -> None:
        self.work = work
        self.action = action
        self.context = context
        self.timeout_seconds = timeout_seconds
        self.undoes = work.undoes if work.plan.undoes else False
        self.begun = False
        self.uncallable: BaseException | None = None
        self.unkept: BaseException | None = None
        self.limit: Limit | None = None
        self._threads = threads
        self._output_bytes_max = output_bytes_max
        self._on_begin = on_begin
        self._called: Call | None = None

    @property
    def calls_nothing(self) -> bool:
        """Whether there is no code to call: nobody undoes this step, or its journal alone is asked."""
        direction = self.work.direction
        if direction in SETTLEMENTS:
            return True
        return direction is Direction.COMPENSATION and not self.undoes and self.action.compensation_function is None

    @property
    def runs_on(self) -> Call | None:
        """The call of a plain function that was given up and has not returned."""
        call = self._called
        return call if call is not None and self.begun and not call.ended else None

    @property
    def names(self) -> dict[str, Any]:
        """Return the fields by which an event names its attempt."""
        key = self.work.lease.key
        return {"step": key.step, "attempt": self.work.attempt, "round": key.round}

    @property
    def step(self) -> StepState:
        """The step as it was when the work was granted."""
        return self.work.view.state.step(self.work.step)

    @property
    def seconds_left(self) -> float:
        """How long this one may still take, for a journal, which takes no limit of nothing."""
        return max(0.001, self.context.seconds_left)

    def arguments(self, signature: Signature, output: Any = None) -> dict[str, Any]:
        """Make what a step's code is called with.

        Args:
            signature: of the code.
            output: its action's, for a compensation.
        """
        try:
            inputs = self._inputs()
            if isinstance(self.action, BuilderAction) and self.work.direction is Direction.ACTION:
                inputs = sealed(self.work.plan, self.work.lease.key.saga_id, self.work.lease.key.step, inputs)
            return signature.arguments(inputs, self.context, output)
        except BaseException as error:  # converting calls code of the user's types, which may raise anything
            self.uncallable = error
            raise

    def _inputs(self) -> dict[str, Any]:
        """Return this attempt's own copy, so that no other attempt or step sees its changes."""
        state, step = self.work.view.state, self.work.lease.key.step
        try:
            if self.undoes:
                known = Referable(state.steps, undone=step)
                inputs = self.work.plan.undo_inputs(step, state.input, known, state.step(step).undo_edited)
            else:
                inputs = self.work.plan.inputs(step, state.input, state.referable(), state.step(step).edited)
            return {name: values.copied(value) for name, value in inputs.items()}
        except PayloadError as error:
            what = "undo of step" if self.undoes else "step"
            raise PayloadError(f"the inputs of {what} {step!r}", str(error)) from None

    def call(
        self, function: Callable[..., Any], signature: Signature, first: tuple[Any, ...], arguments: dict[str, Any]
    ) -> Awaitable[Any]:
        """Call user code; what is returned answers, when it is awaited, what the code returns.

        No coroutine of ours stands in between, and nothing holds the arguments: ten thousand steps may run for long.

        Args:
            function: the action or the compensation.
            signature: of it.
            first: the transaction that a transactional step takes before its inputs.
            arguments: as :meth:`arguments` made them.

        Raises:
            NotBegunError: no thread was free in time.
            BaseException: whatever user code raises.
        """
        self.begun = True
        if first:
            self.begins()  # after the wait for the transaction
        if not signature.is_async:
            return self._on_its_thread(first[0], function, arguments) if first else self._in_thread(function, arguments)
        return Apart(function(*first, **arguments))

    async def _in_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        run = copy_context().run
        self._called = self._threads.call(lambda: run(_shielded, function, arguments), self.begins)
        try:
            return await self._threads.answer(self._called)
        except NotCalledError:
            self.begun = False
            raise NotBegunError("no thread was free in time") from None

    async def _on_its_thread(
        self, transaction: ThreadTransaction[Any], function: Callable[..., Any], arguments: dict[str, Any]
    ) -> Any:
        run = copy_context().run
        return await transaction.run(lambda tx: run(_shielded, partial(function, tx), arguments))

    def written(self, answer: Any) -> tuple[Any, bytes]:
        """Return an output as JSON values and as it is kept.

        Raises:
            PayloadError: it is no data, or too large.
        """
        output = to_json_value(answer)
        encoded = values.written(output)
        if len(encoded) > self._output_bytes_max:
            raise PayloadError(
                "$",
                f"the output is {len(encoded)} bytes, at most {self._output_bytes_max} are kept; "
                "store it elsewhere and return its key",
            )
        return output, encoded

    def begins(self) -> None:
        """Begin the time of the attempt: user code begins now, after it had to wait."""
        if self.limit is not None:
            self.limit.restart()
        self._on_begin(self.work, self.context)


def _shielded(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Plain functions run in threads, where a StopIteration or SystemExit would not come back as an exception."""
    try:
        return function(**arguments)
    except Exception as error:
        if isinstance(error, StopIteration):
            raise GoConductorError(f"StopIteration: {error}") from error
        raise
    except HandedOut:
        raise
    except BaseException as error:
        raise GoConductorError(f"{type(error).__name__}: {error}") from error
