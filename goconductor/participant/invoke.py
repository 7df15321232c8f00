"""One run of one side of a step: user code in, an event out. Whatever user code raises, even a ``BaseException``, becomes an
event.

A transactional step runs inside its journal (see :mod:`goconductor.ports.journal`). Its last failure is written there
before it is reported, which proves that it has no effect, now or later. A retriable step never writes its failure, or an
operator's retry would only read it again.

Two errors of a plain step are ours and not its code's. What it *returned* may be nothing that can be kept: then it has had its
effect, whatever made it so, and must not run again. And its *arguments* may be such that it cannot be called. That proves that
this run has had no effect, and says nothing of another: a process may have been stopped in the middle of the same attempt, and
have other code, which fits the inputs. So the failure is no proof in the log; the step is compensated like any other that
failed. Only where the compensation cannot be called either, as it takes the same inputs, and where that failed attempt was the
only one, there is nothing to compensate, and nobody who could. A second attempt is enough to leave it to a person.

The time of an attempt begins where user code begins. What comes before, a connection of the journal, another run that holds the
key, a thread, is waiting: it is bounded by as much time again, and whoever waited in vain has not made an attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

import msgspec
from msgspec.structs import replace

from goconductor.aio.cancellation import is_ours
from goconductor.errors import GoConductorError, JournalError, PayloadError
from goconductor.lifecycle.events import (
    ActionFailed,
    ActionSettled,
    ActionSucceeded,
    CompensationFailed,
    CompensationSettled,
    CompensationSucceeded,
    Event,
    OutputRejected,
    SettleUnavailable,
)
from goconductor.lifecycle.owed import is_backward
from goconductor.lifecycle.state import ActionStatus, Failure
from goconductor.participant.context import Apart, StepContext
from goconductor.participant.deadlines import Deadlines, Limit
from goconductor.participant.failures import delay_of, failure_of, text_of
from goconductor.participant.registry import TIMEOUT_SECONDS, Action
from goconductor.participant.signature import Signature
from goconductor.participant.threads import Call, NotCalledError, Threads
from goconductor.participant.typed import to_json_value
from goconductor.participant.work import Granted
from goconductor.ports.journal import EffectKey, Found
from goconductor.saga import values
from goconductor.saga.definition import StepKind
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.saga.policies import ACTION_RETRY

Hear = Callable[[Granted, StepContext, BaseException], Coroutine[Any, Any, None]]


class NotBegunError(JournalError):
    """The service's own database is away, or no thread was free: no code of the step was called, and no attempt is counted."""


def timeout_of(work: Granted, action: Action[..., Any]) -> float:
    """How long one attempt may take, in seconds: the definition's word, else the owner's."""
    return work.plan.steps[work.step].timeout_seconds or action.timeout_seconds or TIMEOUT_SECONDS


def key_of(work: Granted) -> EffectKey:
    """The journal's keys of this round of the step."""
    saga, step, turn = work.view.state.saga_id, work.step, work.lease.key.round
    return EffectKey(
        action=idempotency_key(saga, step, Direction.ACTION, turn),
        compensation=idempotency_key(saga, step, Direction.COMPENSATION, turn),
    )


def without_output(event: ActionSucceeded, error: Exception) -> OutputRejected:
    """What is kept of a success whose output is refused."""
    return OutputRejected(event.step, event.attempt, event.round, span=event.span, failure=_without_output(failure_of(error)))


def _without_output(failure: Failure) -> Failure:
    return replace(failure, message=f"it ran, but its output cannot be kept: {failure.message}", retryable=False)


class Invocation:
    """One piece of granted work, and the code that does it.

    Args:
        work: what to run.
        action: the step's code.
        context: what the step is told of its run.
        threads: where plain functions run.
        deadlines: what bounds a run.
        output_bytes_max: a larger output is refused.
        hear: told of what user code raised.
        begins: called where user code begins after it had to wait.

    Attributes:
        begun: whether user code was called.
    """

    def __init__(
        self,
        work: Granted,
        action: Action[..., Any],
        context: StepContext,
        *,
        threads: Threads,
        deadlines: Deadlines,
        output_bytes_max: int,
        hear: Hear,
        begins: Callable[[Granted, StepContext], None],
    ) -> None:
        self._work = work
        self.action = action
        self._context = context
        self._threads = threads
        self._deadlines = deadlines
        self._output_bytes_max = output_bytes_max
        self._hear = hear
        self._begins = begins
        self._limited: Limit | None = None
        self._called: Call | None = None
        self.begun = False
        self._uncallable: BaseException | None = None
        self._unkept: BaseException | None = None

    @property
    def runs_on(self) -> Call | None:
        """The call of a plain function that was given up and has not returned."""
        call = self._called
        return call if call is not None and self.begun and not call.ended else None

    @property
    def _names(self) -> dict[str, Any]:
        key = self._work.lease.key
        return {"step": key.step, "attempt": self._work.attempt, "round": key.round}

    @property
    def _key(self) -> EffectKey:
        return key_of(self._work)

    def _limit(self, seconds: float) -> Limit:
        limit = self._limited = self._deadlines.within(seconds, once=seconds != timeout_of(self._work, self.action))
        return limit

    def _waited(self) -> None:
        """User code begins now, after it had to wait."""
        if self._limited is not None:
            self._limited.restart()
        self._begins(self._work, self._context)

    async def run(self, seconds: float) -> Event | None:
        """Do the work, and say what came of it; None if that is for another to say.

        Args:
            seconds: the time of the attempt; what it waits for before it may have as much again.

        Raises:
            NotBegunError: no code of the step was called, since the journal could not be used; this is no attempt.
        """
        match self._work.direction:
            case Direction.ACTION:
                return await self._run_action(seconds)
            case Direction.COMPENSATION:
                return await self._run_compensation(seconds)
            case Direction.SETTLE:
                return await self._settle()

    async def _run_action(self, seconds: float) -> Event:
        limit = self._limit(seconds)
        try:
            with limit:
                return await self._act()
        except BaseException as error:
            if is_ours(error):
                raise
            self._name_limit(error, limit)
            self._check_begun(error)
            await self._hear(self._work, self._context, error)
            return await self._failed(error)

    async def _act(self) -> Event:
        journal = self.action.journal
        signature, function = self.action.signature, self.action.function
        arguments = self._arguments(signature)
        if journal is None:
            return self._done(await self._call(function, signature, (), arguments))

        async def call(transaction: Any) -> bytes:
            output = to_json_value(await self._call(function, signature, (transaction,), arguments))
            return self._check_size(values.written(output))

        entry = await self._through_lost_commit(
            lambda: journal.run_action(self._key, call, timeout_seconds=max(0.001, self._context.seconds_left))
        )
        return self._found(entry.found, entry.result)

    def _done(self, answer: Any) -> Event:
        """A plain step returned."""
        try:
            output = to_json_value(answer)
            self._check_size(values.written(output))
        except BaseException as error:  # converting calls code of the user's types, which may raise anything
            self._unkept = error
            raise
        key = self._work.lease.key
        return ActionSucceeded(key.step, self._work.attempt, key.round, output=output)

    def _found(self, found: Found, result: bytes | None) -> Event:
        match found:
            case Found.RAN | Found.SEEN:
                return ActionSucceeded(**self._names, output=None if result is None else values.decode(result))
            case Found.FAILED if result is not None:
                return ActionFailed(**self._names, failure=msgspec.json.decode(result, type=Failure), proven=True)
            case _:
                refused = Failure(
                    "RefusedError", "its key is refused in the journal: it was compensated or settled before", retryable=False
                )
                return ActionFailed(**self._names, failure=refused, proven=True)

    async def _failed(self, error: BaseException) -> Event:
        failure = failure_of(error, self.action.function)
        if error is self._unkept:
            return OutputRejected(**self._names, failure=_without_output(failure))
        if error is self._uncallable:
            failure = replace(failure, called=False, retryable=False)
        policy = self._work.plan.steps[self._work.step].retry or self.action.retry
        retriable = self._work.plan.kinds[self._work.step] is StepKind.RETRIABLE
        last = (
            not failure.retryable or is_backward(self._work.view.state) or not (policy or ACTION_RETRY).allows(self._work.attempt)
        )
        journal = self.action.journal
        if journal is not None and last and not retriable and not isinstance(error, JournalError):
            try:
                entry = await journal.fail_action(
                    self._key, msgspec.json.encode(failure), timeout_seconds=timeout_of(self._work, self.action)
                )
            except Exception as unwritten:  # noqa: BLE001  (then the failure is reported without proof, and compensated)
                await self._hear(self._work, self._context, unwritten)
            else:
                return self._found(entry.found, entry.result)
        return ActionFailed(
            **self._names,
            failure=failure,
            retry=self.action.retry,
            delay_seconds=delay_of(error),
        )

    async def _run_compensation(self, seconds: float) -> Event | None:
        limit = self._limit(seconds)
        try:
            with limit:
                found = await self._compensate()
                return None if found is Found.REFUSED else CompensationSucceeded(**self._names, null=found is Found.NULL)
        except BaseException as error:
            if is_ours(error):
                raise
            self._name_limit(error, limit)
            self._check_begun(error)
            if error is self._uncallable and self._was_never_called():
                says = "the action of step %r was never called, and its compensation cannot be: %s"
                self._context.logger.warning(says, self._work.step, text_of(error))
                return CompensationSucceeded(**self._names, null=True)
            await self._hear(self._work, self._context, error)
            return CompensationFailed(
                **self._names,
                failure=failure_of(error, self.action.compensation_function),
                retry=self.action.compensation_retry,
                delay_seconds=delay_of(error),
            )

    async def _compensate(self) -> Found:
        """Run the compensation. NULL if there was nothing to compensate; REFUSED if a skip came first, which says so itself."""
        journal, function = self.action.journal, self.action.compensation_function
        signature = self.action.compensation_signature
        step = self._work.view.state.step(self._work.step)
        if journal is None:
            if function is None or signature is None:
                return Found.NULL
            known = values.copied(step.output) if step.action.status is ActionStatus.SUCCEEDED else None
            await self._call(function, signature, (), self._arguments(signature, known))
            return Found.RAN

        async def call(transaction: Any, stored: bytes) -> None:
            if function is not None and signature is not None:
                arguments = signature.arguments(self._inputs(), self._context, values.decode(stored))
                await self._call(function, signature, (transaction,), arguments)

        entry = await self._through_lost_commit(
            lambda: journal.run_compensation(self._key, call, timeout_seconds=max(0.001, self._context.seconds_left))
        )
        found: Found = entry.found
        return found

    def _was_never_called(self) -> bool:
        """Whether the only attempt of a plain step ended before its code was called."""
        ran = self._work.view.state.step(self._work.step).action
        failed = ran.status is ActionStatus.FAILED and ran.attempt == 1
        return self.action.journal is None and failed and ran.failure is not None and not ran.failure.called

    def _name_limit(self, error: BaseException, limit: Limit) -> None:
        """A limit of ours that ran out says so; one of the step's own code is the step's to name."""
        if limit.expired and type(error) is TimeoutError and not error.args:
            whole = timeout_of(self._work, self.action)
            says = f"the {self._work.direction} took longer than its time limit of {whole:g} s"
            error.args = (f"{says}; give step {self.action.target!r} a longer timeout, or find what it waits for",)

    def _check_begun(self, error: BaseException) -> None:
        if isinstance(error, NotBegunError):
            raise error
        if not self.begun and self.action.journal is not None and isinstance(error, JournalError | TimeoutError):
            raise NotBegunError(text_of(error) or "the journal did not answer in time") from error

    async def _settle(self) -> Event:
        try:
            return await self._settled()
        except Exception as error:
            raise NotBegunError(text_of(error) or type(error).__name__) from error

    async def _settled(self) -> Event:
        journal = self.action.journal
        if journal is None:
            return SettleUnavailable(**self._names)
        limit = timeout_of(self._work, self.action)
        if self._work.view.state.step(self._work.step).action.status is ActionStatus.SETTLING:
            entry = await journal.settle(self._key, timeout_seconds=limit)
            happened = entry.found is Found.SEEN
            output = values.decode(entry.result) if happened and entry.result is not None else None
            return ActionSettled(**self._names, happened=happened, output=output)
        entry = await journal.skip(self._key, timeout_seconds=limit)
        return CompensationSettled(**self._names, happened=entry.found is Found.SEEN)

    async def _through_lost_commit(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """When the answer to a commit was lost, the same call again finds what happened."""
        try:
            return await call()
        except JournalError:
            if not self.begun:
                raise
            return await call()

    def _arguments(self, signature: Signature, output: Any = None) -> dict[str, Any]:
        """What a step's code is called with; ``output`` is its action's, for a compensation."""
        try:
            return signature.arguments(self._inputs(), self._context, output)
        except BaseException as error:  # converting calls code of the user's types, which may raise anything
            self._uncallable = error
            raise

    def _inputs(self) -> dict[str, Any]:
        """This attempt's own copy: what it changes in it, no other attempt or step may find changed."""
        state = self._work.view.state
        try:
            edited = state.step(self._work.step).edited
            inputs = self._work.plan.inputs(self._work.step, state.input, state.referable(), edited)
            return {name: values.copied(value) for name, value in inputs.items()}
        except PayloadError as error:
            raise PayloadError(f"the inputs of step {self._work.step!r}", str(error)) from None

    async def _call(
        self, function: Callable[..., Any], signature: Signature, first: tuple[Any, ...], arguments: dict[str, Any]
    ) -> Any:
        self.begun = True
        if signature.is_async:
            if first:
                self._waited()  # for the transaction
            return await Apart(function(*first, **arguments))
        run = copy_context().run
        self._called = self._threads.call(lambda: run(_shielded, function, arguments), self._waited)
        try:
            return await self._threads.answer(self._called)
        except NotCalledError:
            self.begun = False
            raise NotBegunError("no thread was free in time") from None

    def _check_size(self, encoded: bytes) -> bytes:
        if len(encoded) > self._output_bytes_max:
            raise PayloadError(
                "$",
                f"the output is {len(encoded)} bytes, at most {self._output_bytes_max} are kept; "
                "store it elsewhere and return its key",
            )
        return encoded


def _shielded(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Plain functions run in threads, where a StopIteration or SystemExit would not come back as an exception."""
    try:
        return function(**arguments)
    except Exception as error:
        if isinstance(error, StopIteration):
            raise GoConductorError(f"StopIteration: {error}") from error
        raise
    except BaseException as error:
        raise GoConductorError(f"{type(error).__name__}: {error}") from error
