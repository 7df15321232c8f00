"""What a step knows of its run."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Generator, MutableMapping
from contextvars import ContextVar, copy_context
from typing import Any, Generic, NoReturn, Protocol, TypeVar
from uuid import UUID

import msgspec

from goconductor.errors import ArgumentError
from goconductor.ports.clock import Clock
from goconductor.redaction import logger_of
from goconductor.saga.ids import Direction, idempotency_key, task_token
from goconductor.saga.retry import seconds

R = TypeVar("R")


class AboutStep(Protocol):
    """A lease's key, or a message: it names a step of a saga."""

    @property
    def saga_id(self) -> UUID: ...
    @property
    def step(self) -> str: ...


def about(what: AboutStep) -> dict[str, Any]:
    """Return the ``extra`` of a log record about a step that does not run here."""
    return {"saga_id": str(what.saga_id), "step": what.step}


class _Bound(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


class HandedOut(BaseException):
    """Ends the code of a step that somebody outside completes; no handler of exceptions is to catch it.

    Args:
        ask_after_seconds: when the step's code is run again to ask; None asks nobody.
    """

    def __init__(self, ask_after_seconds: float | None) -> None:
        super().__init__("a step was handed out: let what context.hand_out() raises pass")
        self.ask_after_seconds = ask_after_seconds


class StepContext(msgspec.Struct, frozen=True, kw_only=True):
    """Handed to a step that has a parameter annotated with this class.

    Attributes:
        saga_id: the saga's id.
        saga: the saga's name.
        step: the step's id in the saga.
        direction: whether the action or the compensation runs.
        attempt: which attempt this is, from 1.
        round: which round of the step this is, from 0.
        deadline: seconds on the engine's monotonic clock by which the step must be done.
        participant: whose step it is.
        traceparent: the saga's place in its trace (W3C trace context), to be handed on; empty if it is not traced.
        reason: why the saga turned back, such as ``step 'charge': RefusedError: card declined``; empty while it goes forward.
        locks: the number of each lock that the saga holds, by its key: each later taking of the lock has a higher one, so the
            other side can refuse older ones.
        refused: in a compensation, whether the action's only attempt has raised :class:`RefusedError`, so that there is nothing
            to undo unless the action had done something before.
    """

    saga_id: UUID
    saga: str
    step: str
    direction: Direction
    attempt: int
    round: int
    deadline: float
    clock: Clock
    participant: str = ""
    traceparent: str = ""
    reason: str = ""
    locks: dict[str, int] = {}
    refused: bool = False

    @property
    def idempotency_key(self) -> str:
        """The same on every retry; hand it to whatever deduplicates on the other side. A compensation has one of its own."""
        return idempotency_key(self.saga_id, self.step, self._side, self.round)

    @property
    def action_key(self) -> str:
        """The action's idempotency key, in its compensation as well: by it the other side finds what is to be undone."""
        return idempotency_key(self.saga_id, self.step, Direction.ACTION, self.round)

    @property
    def task_token(self) -> str:
        """Names this attempt to somebody outside, who reports its outcome by it (:meth:`hand_out`)."""
        return task_token(self.saga_id, self.step, self._side, self.round, self.attempt)

    @property
    def _side(self) -> Direction:
        return Direction.ACTION if self.direction is Direction.ACTION else Direction.COMPENSATION

    def hand_out(self, *, ask_after: float | str | None = None) -> NoReturn:
        """End the attempt here, and leave its outcome to somebody outside, who reports it by :attr:`task_token`.

        Write ``return context.hand_out(…)``. It ends the function by what no handler of exceptions catches; let it pass. The step
        waits for the report, and holds neither a place nor a lease. Its ``total_timeout`` bounds for how long an action waits;
        for a compensation nothing does. This is the pattern of the task token (AWS Step Functions) and of asynchronous activity
        completion (Temporal).

        Args:
            ask_after: when the step's code is run again under the same idempotency key, to ask what became of it: seconds, or a
                text such as ``"10m"``. It may hand out again. None asks nobody.

        Raises:
            ArgumentError: ``ask_after`` is no duration.
        """
        try:
            after = None if ask_after is None else seconds(ask_after)
        except ValueError as error:
            raise ArgumentError(f"ask_after: {error}") from None
        raise HandedOut(after)

    @property
    def seconds_left(self) -> float:
        """Time until the deadline, in seconds; zero when it has passed."""
        return max(0.0, self.deadline - self.clock.monotonic())

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry saga, saga_id, step and attempt."""
        bound = {"saga": self.saga, "saga_id": str(self.saga_id), "step": self.step, "attempt": self.attempt}
        return _Bound(logger_of(f"goconductor.step.{self.saga}.{self.step}"), bound)


RUNNING: ContextVar[StepContext | None] = ContextVar("goconductor_step", default=None)
"""The step that runs in this task, or thread of a plain step; log records there are about it."""


class Apart(Generic[R]):
    """Awaits a coroutine in a copy of the present context variables.

    What a step sets is its own, as in a thread: the saga's next step may run in the same task. A task for each step would do
    the same, at many times the cost.

    Args:
        coroutine: what is awaited, once.
    """

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, R]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, R]:
        run, coroutine = copy_context().run, self._coroutine
        try:
            waits_for = run(coroutine.send, None)
            while True:
                try:
                    answer = yield waits_for
                except GeneratorExit:
                    run(coroutine.close)
                    raise
                except BaseException as error:  # noqa: BLE001  (the step is to see its cancellation)
                    waits_for = run(coroutine.throw, error)
                else:
                    waits_for = run(coroutine.send, answer)
        except StopIteration as end:
            result: R = end.value
            return result
