"""How the code of a step is run: plain, or inside its journal. A runner is chosen once for a piece of work.

A transactional step runs inside its journal (see :mod:`goconductor.ports.journal`). Its last failure is written there before it
is reported, which proves that it has no effect, now or later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec

from goconductor.engine.running.attempt import Attempt
from goconductor.engine.steps.action import Action
from goconductor.engine.work.granted import Granted
from goconductor.errors import JournalError
from goconductor.lifecycle.facts.events import (
    ActionFailed,
    ActionSettled,
    ActionSucceeded,
    CompensationSettled,
    CompensationSucceeded,
    Event,
    SettleUnavailable,
)
from goconductor.lifecycle.facts.state import Failure
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.ports.journal import EffectKey, Entry, Found, Journal
from goconductor.saga.data import values
from goconductor.saga.ids import Direction, idempotency_key


class Runner(Protocol):
    """Runs both sides of one step, and settles it. What user code raises passes as it is."""

    def act(self, attempt: Attempt) -> Awaitable[Any]:
        """Run the action; what is returned answers, when it is awaited, what :meth:`acted` makes the event of.

        Where nothing has to follow in between, no coroutine of ours waits for the step's.
        """

    def acted(self, attempt: Attempt, answer: Any) -> Event:
        """Return the event of an action that answered."""

    async def compensate(self, attempt: Attempt) -> Event | None:
        """Run the compensation; return None if a skip came first, which reports itself."""

    async def settle(self, attempt: Attempt) -> Event:
        """Find out what became of the step, and see to it that nothing more becomes of it."""

    async def prove(self, attempt: Attempt, failure: Failure) -> Event | None:
        """Keep the last failure of an action, so that it has no effect, now or later; None where nothing can prove that."""

    def has_not_begun(self, attempt: Attempt, error: BaseException) -> bool:
        """Return whether this error shows that no code of the step was called."""

    def left_nothing(self, attempt: Attempt) -> bool:
        """Return whether a compensation that cannot be called has nothing to undo."""


class PlainRunner:
    """Runs code without a journal. Only its result shows what it did."""

    def act(self, attempt: Attempt) -> Awaitable[Any]:
        """Run the action; what is returned is awaited for the answer of its code."""
        action = attempt.action
        return attempt.call(action.function, action.signature, (), attempt.arguments(action.signature))

    def acted(self, attempt: Attempt, answer: Any) -> Event:
        """Return the event of an answer, which is the action's output."""
        try:
            output, _ = attempt.written(answer)
        except BaseException as error:  # converting calls code of the user's types, which may raise anything
            attempt.unkept = error
            raise
        key = attempt.work.lease.key
        return ActionSucceeded(key.step, attempt.work.attempt, key.round, output=output)

    async def compensate(self, attempt: Attempt) -> Event | None:
        """Run the compensation."""
        function, signature = attempt.action.compensation_function, attempt.action.compensation_signature
        if function is None or signature is None:
            return CompensationSucceeded(**attempt.names, null=True)
        step = attempt.step
        known = values.copied(step.output) if step.action.status is ActionStatus.SUCCEEDED else None
        await attempt.call(function, signature, (), attempt.arguments(signature, known))
        return CompensationSucceeded(**attempt.names)

    async def settle(self, attempt: Attempt) -> Event:
        """Answer that there is no journal to settle by."""
        return SettleUnavailable(**attempt.names)

    async def prove(self, attempt: Attempt, failure: Failure) -> Event | None:
        """Prove nothing without a journal."""
        del attempt, failure
        return None

    def has_not_begun(self, attempt: Attempt, error: BaseException) -> bool:
        """Return whether no code was called."""
        del attempt, error
        return False

    def left_nothing(self, attempt: Attempt) -> bool:
        """Return whether the only attempt ended before its code was called."""
        ran = attempt.step.action
        return ran.status is ActionStatus.FAILED and ran.attempt == 1 and ran.failure is not None and not ran.failure.called


class JournaledRunner:
    """Runs code in a transaction of its journal, which holds the keys of what was done.

    Args:
        journal: the step's.
    """

    def __init__(self, journal: Journal[Any]) -> None:
        self._journal = journal

    async def act(self, attempt: Attempt) -> Entry:
        """Run the action in its transaction; return what the journal has of it then."""
        action = attempt.action
        arguments = attempt.arguments(action.signature)

        async def call(transaction: Any) -> bytes:
            return attempt.written(await attempt.call(action.function, action.signature, (transaction,), arguments))[1]

        return await through_lost_commit(
            attempt, lambda: self._journal.run_action(key_of(attempt.work), call, timeout_seconds=attempt.seconds_left)
        )

    def acted(self, attempt: Attempt, answer: Entry) -> Event:
        """Return the event of what the journal has."""
        return _of_action(attempt, answer)

    async def compensate(self, attempt: Attempt) -> Event | None:
        """Run the compensation inside the journal's transaction. The key is written also where there is no code to call."""
        function, signature = attempt.action.compensation_function, attempt.action.compensation_signature

        async def call(transaction: Any, stored: bytes) -> None:
            if function is not None and signature is not None:
                arguments = attempt.arguments(signature, values.decode(stored))
                await attempt.call(function, signature, (transaction,), arguments)

        entry = await through_lost_commit(
            attempt, lambda: self._journal.run_compensation(key_of(attempt.work), call, timeout_seconds=attempt.seconds_left)
        )
        if entry.found is Found.REFUSED:
            return None
        return CompensationSucceeded(**attempt.names, null=entry.found is Found.NULL)

    async def settle(self, attempt: Attempt) -> Event:
        """Ask the journal what happened."""
        key, limit = key_of(attempt.work), attempt.timeout_seconds
        step = attempt.step
        if step.action.status is ActionStatus.SETTLING or step.compensation.status is CompensationStatus.SETTLING:
            entry = await self._journal.settle(key, timeout_seconds=limit)
            happened = entry.found is Found.SEEN
            output = values.decode(entry.result) if happened and entry.result is not None else None
            return ActionSettled(**attempt.names, happened=happened, output=output)
        entry = await self._journal.skip(key, timeout_seconds=limit)
        return CompensationSettled(**attempt.names, happened=entry.found is Found.SEEN)

    async def prove(self, attempt: Attempt, failure: Failure) -> Event | None:
        """Write the failure into the journal."""
        encoded = msgspec.json.encode(failure)
        entry = await self._journal.fail_action(key_of(attempt.work), encoded, timeout_seconds=attempt.timeout_seconds)
        return _of_action(attempt, entry)

    def has_not_begun(self, attempt: Attempt, error: BaseException) -> bool:
        """Return whether no code was called."""
        return not attempt.begun and isinstance(error, JournalError | TimeoutError)

    def left_nothing(self, attempt: Attempt) -> bool:
        """Return False: only the journal could know."""
        del attempt
        return False


PLAIN = PlainRunner()
"""The runner of all steps without a journal; it keeps nothing."""


def runner_of(action: Action[..., Any]) -> Runner:
    """Return what runs a step's code: what its action brings with it, or one of ours."""
    if action.runner is not None:
        own: Runner = action.runner
        return own
    return PLAIN if action.journal is None else JournaledRunner(action.journal)


def key_of(work: Granted) -> EffectKey:
    """Return the journal's keys of this round of the step."""
    saga, step, turn = work.view.state.saga_id, work.step, work.lease.key.round
    return EffectKey(
        action=idempotency_key(saga, step, Direction.ACTION, turn),
        compensation=idempotency_key(saga, step, Direction.COMPENSATION, turn),
    )


def _of_action(attempt: Attempt, entry: Entry) -> Event:
    match entry.found:
        case Found.RAN | Found.SEEN:
            output = None if entry.result is None else values.decode(entry.result)
            return ActionSucceeded(**attempt.names, output=output)
        case Found.FAILED if entry.result is not None:
            return ActionFailed(**attempt.names, failure=msgspec.json.decode(entry.result, type=Failure), proven=True)
        case _:
            refused = Failure(
                "RefusedError", "its key is refused in the journal: it was compensated or settled before", retryable=False
            )
            return ActionFailed(**attempt.names, failure=refused, proven=True)


async def through_lost_commit(attempt: Attempt, call: Callable[[], Coroutine[Any, Any, Entry]]) -> Entry:
    """Make a call again when the answer to its commit was lost: the same call finds what happened."""
    try:
        return await call()
    except JournalError:
        if not attempt.begun:
            raise
        return await call()
