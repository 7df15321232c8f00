"""Try a side of a step again: one machine for actions and compensations alike.

It decides whether there is another attempt, and when. What giving up means is up to the caller. An action turns the saga back, is
settled, or waits for an operator (:mod:`goconductor.lifecycle.moves.forward`). A compensation waits for an operator
(:mod:`goconductor.lifecycle.moves.backward`).
"""

from __future__ import annotations

import abc
from typing import Any, Generic, TypeAlias

import msgspec

from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, SetTimer
from goconductor.lifecycle.facts.events import (
    ActionFailed,
    CompensationFailed,
    CompensationReported,
    OutcomeReported,
    OutcomeUnknown,
    Report,
    RetryRequested,
    StepEvent,
    TimerFired,
)
from goconductor.lifecycle.facts.state import Failure, Side, SideStatus, StepState
from goconductor.lifecycle.facts.status import ActionStatus, CompensationStatus
from goconductor.lifecycle.fold import Fold
from goconductor.saga.ids import Direction, idempotency_key
from goconductor.saga.retry import LOST_RETRY, Patience, Retry

_Failed: TypeAlias = ActionFailed | CompensationFailed | Report
_Outcome: TypeAlias = _Failed | OutcomeUnknown

_replace = msgspec.structs.replace


class Attempts(abc.ABC, Generic[SideStatus]):
    """The attempts of one side.

    Args:
        direction: the side.
        sent: its status while an attempt is out.
        backoff: its status while it waits for the next attempt.
        run: the effect that asks for an attempt.
    """

    def __init__(
        self, direction: Direction, sent: SideStatus, backoff: SideStatus, run: type[RunAction | RunCompensation]
    ) -> None:
        self._direction, self._run = direction, run
        self._sent: SideStatus = sent
        self._backoff: SideStatus = backoff

    @abc.abstractmethod
    def side(self, step: StepState) -> Side[SideStatus]:
        """Return this side of a step."""

    @abc.abstractmethod
    def put(self, fold: Fold, name: str, cause: type[StepEvent], side: Side[SideStatus]) -> None:
        """Move this side of a step."""

    def expect(self, fold: Fold, event: StepEvent) -> Side[SideStatus]:
        """Return the side that an outcome is about.

        Raises:
            UnexpectedEventError: the side is sent, and the event is of another attempt.
        """
        side = self.side(fold.step(event.step))
        if side.status is self._sent or side.status is ActionStatus.WAITING or side.status is CompensationStatus.WAITING:
            fold.expect(event, side.attempt)
        return side

    def failed(self, fold: Fold, event: _Failed, failure: Failure, policy: Retry) -> Failure | None:
        """Back off after a reported failure, if another attempt can help, and the policy and the step's total time allow one.

        Returns:
            None, or the failure with which the caller gives up.
        """
        side = self.side(fold.step(event.step))
        tries = event.attempt - side.asked
        if not failure.retryable or not policy.allows(tries):
            return failure
        wait = max(policy.wait_seconds(tries, self._key(fold, event)), event.delay_seconds or 0.0)
        if _is_over(side, fold.at + wait):
            total = fold.plan.steps[event.step].total_timeout_seconds
            late = f"{failure.message}; its total timeout of {total:g} s leaves no time for another attempt"
            return _replace(failure, message=late.removeprefix("; "), retryable=False)
        if side.asked or isinstance(event, OutcomeReported | CompensationReported):
            side = _replace(side, over=event.attempt)
        self._back_off(fold, event, side, wait, failure)
        return None

    def lost(self, fold: Fold, event: OutcomeUnknown, limit: Patience | None) -> Side[SideStatus] | None:
        """Try again under the same key after an outcome was lost, but not for ever.

        Args:
            fold: the saga.
            event: the lost outcome.
            limit: how many may be lost; None where there must be no other attempt.

        Returns:
            None, or the side with this loss in it, with its old status: the caller gives up.
        """
        side, at = self.expect(fold, event), fold.at
        first = at if side.lost_at is None else side.lost_at
        side = _replace(side, unknowns=side.unknowns + 1, lost_at=first, failure=Failure("OutcomeUnknown", event.reason))
        if limit is None or limit.is_over(side.unknowns, at - first):
            return side
        wait = 0.0 if side.unknowns == 1 else LOST_RETRY.wait_seconds(side.unknowns, self._key(fold, event))
        if _is_over(side, at + wait):
            return side
        if side.unknowns == 1:  # most often a restart: no reason to wait
            self._send(fold, event, side.to(self._sent, attempt=side.attempt + 1))
        else:
            self._back_off(fold, event, side, wait, side.failure)
        return None

    def due(self, fold: Fold, event: TimerFired) -> None:
        """Begin the next attempt: the wait before it is over. A timer of another attempt changes nothing."""
        side = self.side(fold.step(event.step))
        fold.expect(event, side.attempt)
        self._send(fold, event, side.to(self._sent))

    def again(self, fold: Fold, event: RetryRequested, *, unknowns: int) -> None:
        """Begin another attempt for an operator, at once: that which it waits for, or one more than the policy allows.

        Args:
            fold: the saga.
            event: the request.
            unknowns: how many lost outcomes a stuck side remembers.
        """
        side = self.side(fold.step(event.step))
        if side.status is self._backoff:
            side = side.to(self._sent)
        else:
            side = side.to(self._sent, attempt=side.attempt + 1, unknowns=unknowns, lost_at=None)
        if side.ends_at is not None:  # whoever asks for another attempt gives it time as well
            side = _replace(side, ends_at=fold.plan.ends_at(event.step, fold.at))
        self._send(fold, event, side)

    def ask(self, fold: Fold, event: StepEvent) -> None:
        """Run the code of what was handed out again, to ask what became of it. That is no retry, and does not count as one."""
        side = self.side(fold.step(event.step))
        self._send(fold, event, side.to(self._sent, attempt=side.attempt + 1, asked=side.asked + 1))

    def _send(self, fold: Fold, event: StepEvent, side: Side[SideStatus]) -> None:
        self.put(fold, event.step, type(event), side)
        fold.ask(self._run(event.step, side.attempt, event.round))

    def _back_off(
        self, fold: Fold, event: _Outcome, side: Side[SideStatus], wait_seconds: float, failure: Failure | None
    ) -> None:
        name, attempt, due_at = event.step, side.attempt + 1, fold.at + wait_seconds
        side = _replace(side, status=self._backoff, attempt=attempt, due_at=due_at, failure=failure, since=None)
        self.put(fold, name, type(event), side)
        fold.set_timer(SetTimer(name, self._direction, attempt, event.round, due_at))

    def _key(self, fold: Fold, event: StepEvent) -> str:
        return idempotency_key(fold.state.saga_id, event.step, self._direction, event.round)


def _is_over(side: Side[Any], at: float) -> bool:
    """Return whether an attempt that begins at this time would be too late."""
    return side.ends_at is not None and at >= side.ends_at


class _Actions(Attempts[ActionStatus]):
    def side(self, step: StepState) -> Side[ActionStatus]:
        return step.action

    def put(self, fold: Fold, name: str, cause: type[StepEvent], side: Side[ActionStatus]) -> None:
        fold.set_action(name, cause, side)


class _Compensations(Attempts[CompensationStatus]):
    def side(self, step: StepState) -> Side[CompensationStatus]:
        return step.compensation

    def put(self, fold: Fold, name: str, cause: type[StepEvent], side: Side[CompensationStatus]) -> None:
        fold.set_compensation(name, cause, side)


ACTIONS = _Actions(Direction.ACTION, ActionStatus.SENT, ActionStatus.BACKOFF, RunAction)
COMPENSATIONS = _Compensations(Direction.COMPENSATION, CompensationStatus.SENT, CompensationStatus.BACKOFF, RunCompensation)
