"""How the code of a declared undo is run. It is the action of some participant, and runs as the compensation of another step.

In a journal it runs under the key of that step's compensation, which stands where the undo runs. What the action had done
stands in another journal perhaps, and was asked for before (:mod:`goconductor.lifecycle.moves.returning.undoing`). So this
journal is asked for one key only, in the way of an action: it ran now, it had run, or it must not run, since it was skipped.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from goconductor.engine.running.attempt import Attempt
from goconductor.engine.running.runners import PLAIN, JournaledRunner, Runner, through_lost_commit
from goconductor.engine.steps.action import Action
from goconductor.engine.work.granted import Granted
from goconductor.lifecycle.facts.events import CompensationSettled, CompensationSucceeded, Event, SettleUnavailable
from goconductor.lifecycle.facts.state import Failure
from goconductor.ports.journal import EffectKey, Found, Journal
from goconductor.saga.ids import Direction, idempotency_key


def undo_runner_of(action: Action[..., Any]) -> Runner:
    """Return what runs an action as a declared undo."""
    if action.runner is not None:
        own: Runner = action.runner.as_undo()
        return own
    return _PLAIN_UNDO if action.journal is None else _JournaledUndo(action.journal)


class _Undo:
    """What both runners of an undo share: it is asked for no action."""

    def act(self, attempt: Attempt) -> Awaitable[Any]:
        raise _not_asked(attempt)

    def acted(self, attempt: Attempt, answer: Any) -> Event:
        del answer
        raise _not_asked(attempt)

    async def prove(self, attempt: Attempt, failure: Failure) -> Event | None:
        del failure
        raise _not_asked(attempt)

    def left_nothing(self, attempt: Attempt) -> bool:
        """Return whether the only attempt of the action ended before its code was called."""
        return PLAIN.left_nothing(attempt)


class _PlainUndo(_Undo):
    """Runs an undo without a journal."""

    async def compensate(self, attempt: Attempt) -> Event | None:
        """Run the undo."""
        action = attempt.action
        await attempt.call(action.function, action.signature, (), attempt.arguments(action.signature))
        return CompensationSucceeded(**attempt.names)

    async def settle(self, attempt: Attempt) -> Event:
        """Answer that there is no journal to settle by."""
        return SettleUnavailable(**attempt.names, reason="the undo has no journal", direction=Direction.SETTLE_UNDO)

    def has_not_begun(self, attempt: Attempt, error: BaseException) -> bool:
        """Return whether no code was called."""
        return PLAIN.has_not_begun(attempt, error)


class _JournaledUndo(_Undo):
    """Runs an undo in a transaction of its journal.

    Args:
        journal: the undo's.
    """

    def __init__(self, journal: Journal[Any]) -> None:
        self._journal = journal

    async def compensate(self, attempt: Attempt) -> Event | None:
        """Run the undo in its transaction."""
        action = attempt.action
        arguments = attempt.arguments(action.signature)

        async def call(transaction: Any) -> bytes:
            await attempt.call(action.function, action.signature, (transaction,), arguments)
            return b"null"  # nobody reads what an undo returns

        entry = await through_lost_commit(
            attempt, lambda: self._journal.run_action(_key_of(attempt.work), call, timeout_seconds=attempt.seconds_left)
        )
        return None if entry.found is Found.REFUSED else CompensationSucceeded(**attempt.names)

    async def settle(self, attempt: Attempt) -> Event:
        """Write the undo's key, and answer whether it had run."""
        entry = await self._journal.settle(_key_of(attempt.work), timeout_seconds=attempt.timeout_seconds)
        return CompensationSettled(**attempt.names, happened=entry.found is Found.SEEN)

    def has_not_begun(self, attempt: Attempt, error: BaseException) -> bool:
        """Return whether no code was called."""
        return JournaledRunner(self._journal).has_not_begun(attempt, error)


_PLAIN_UNDO = _PlainUndo()


def _key_of(work: Granted) -> EffectKey:
    """Return the keys under which an undo runs as if it were an action; nothing is ever written under the second one."""
    saga, step, round = work.view.state.saga_id, work.step, work.lease.key.round
    return EffectKey(
        action=idempotency_key(saga, step, Direction.COMPENSATION, round),
        compensation=idempotency_key(saga, step, Direction.SETTLE_UNDO, round),
    )


def _not_asked(attempt: Attempt) -> AssertionError:
    return AssertionError(f"an undo is no action: {attempt.work.step}")
