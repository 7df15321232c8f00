"""The one function by which everybody decides: ``decide(plan, state, event) -> Decision(state, effects)``.

Pure: no clock (the time is the event's), no randomness, no logging, no driver, no await. Any participant, the leader and a
test get the same answer from the same log. What a condition answers is kept in the log as well: the caller appends the event that
the decision gives back, not the one it was about (see :mod:`goconductor.lifecycle.answers`). The order is: decide, append
(durable), and only then act.
"""

from __future__ import annotations

from uuid import UUID

from goconductor.errors import InvariantError, RequestRefusedError, UnexpectedEventError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.facts.effects import Decision
from goconductor.lifecycle.facts.events import (
    ActionEvent,
    BackwardEvent,
    CompensationReported,
    DeadlockFound,
    Event,
    ForwardEvent,
    LocksGranted,
    OperatorRequest,
    OutcomeReported,
    PausedWithParent,
    Released,
    ResumedWithParent,
    SagaStarted,
    SettleUnavailable,
    SideEvent,
    SignalReceived,
    StepEvent,
    TerminateRequested,
    UndoRequested,
)
from goconductor.lifecycle.facts.state import NOTHING, SagaState
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.lifecycle.facts.transitions import FIRST_STATUSES, SAGA_MOVES
from goconductor.lifecycle.fold import Fold
from goconductor.lifecycle.grown import exists
from goconductor.lifecycle.invariants import check
from goconductor.lifecycle.moves import backward, beginning, forward, locking, requests, signals, terminating
from goconductor.lifecycle.moves.kinds import child
from goconductor.lifecycle.moves.returning import turning
from goconductor.saga.ids import SETTLEMENTS, Direction
from goconductor.saga.plan import Plan


def begin(plan: Plan, saga_id: UUID, event: SagaStarted, log: Log | None = None) -> Decision:
    """Make the first decision of a saga.

    Args:
        plan: its compiled definition.
        saga_id: its id.
        event: with the input, and the time from which its deadline runs.
        log: what is known of the answers of its conditions, where this happened before.
    """
    fold = first(plan, saga_id, event, log)
    kept = fold.keep(event)
    return Decision(fold.state, fold.status, kept, tuple(fold.effects))


def first(plan: Plan, saga_id: UUID, event: SagaStarted, log: Log | None = None) -> Fold:
    """Return a fold with the first event in it; parameters as of :func:`begin`."""
    limit = plan.definition.timeout_seconds
    fold = Fold(
        plan,
        SagaState(
            saga_id=saga_id,
            version=plan.version,
            input=event.input,
            remaining=len(plan.order),
            reply_to=event.reply_to,
            patience_seconds=event.patience_seconds,
            traceparent=event.traceparent,
            parent=event.parent,
            priority=event.priority,
            started_at=event.at,
            at=event.at,
            deadline_at=None if limit is None else event.at + limit,
            locks=NOTHING,
            ways=NOTHING,
            regrown=NOTHING,
            unkept={} if plan.asks else None,
        ),
        log,
    )
    fold.learn(event)
    if event.never:
        turning.end_unbegun(fold, event.never)
    else:
        beginning.advance(fold, plan.roots)
    fold.finish()
    if fold.status not in FIRST_STATUSES:
        raise InvariantError(f"SagaStarted led to {fold.status}")
    check(fold)
    return fold


def decide(plan: Plan, state: SagaState, event: Event, log: Log | None = None) -> Decision:
    """Decide what an event means for a saga.

    Args:
        plan: the compiled definition that the saga started with.
        state: the fold of its log so far.
        event: what happened.
        log: what is known of the answers of its conditions, where this happened before.

    Raises:
        UnexpectedEventError: the event is late or repeated; it changes nothing.
        RequestRefusedError: an operator's request that the state does not allow; its text has what is allowed.
        InvariantError: a bug of ours.
    """
    fold = Fold(plan, state, log)
    apply(fold, event)
    kept = fold.keep(event)
    return Decision(fold.state, fold.status, kept, tuple(fold.effects))


def apply(fold: Fold, event: Event) -> None:
    """Take one event into a fold; raises as :func:`decide`, and the fold can then not be used any more."""
    before = fold.status
    if event.at > fold.at:  # noqa: PLR1730  (a call of max for each event costs more)
        fold.at = event.at
    moves = SAGA_MOVES.get(type(event))
    allowed = None if moves is None else moves.get(before)
    if allowed is None:
        raise _illegal(fold, event, before)
    if isinstance(event, StepEvent):
        if event.step not in fold.plan.steps or (fold.plan.data is not None and not exists(fold.plan, fold.steps, event.step)):
            raise UnexpectedEventError(f"saga {fold.plan.name!r} has no step {event.step!r}")
        if event.round != (round := fold.step(event.step).round):
            raise UnexpectedEventError(f"the event is of round {event.round} of step {event.step!r}, which is in round {round}")
    if event.answers:
        fold.learn(event)
    _dispatch(fold, event)
    if isinstance(event, ActionEvent) and event.span:
        fold.note(event.step, span=event.span)
    if fold.phase is SagaStatus.QUEUED and isinstance(event, StepEvent):
        fold.phase = SagaStatus.RUNNING
    fold.finish()
    if fold.status not in allowed:
        raise InvariantError(f"{type(event).__name__} moved saga {fold.state.saga_id} from {before} to {fold.status}")
    check(fold)


def _dispatch(fold: Fold, event: Event) -> None:
    if fold.phase is SagaStatus.TERMINATING and not isinstance(event, OperatorRequest):
        terminating.apply(fold, event)
    elif isinstance(event, ForwardEvent):
        forward.apply(fold, event)
    elif isinstance(event, BackwardEvent):
        backward.apply(fold, event)
    elif isinstance(event, OperatorRequest):
        requests.apply(fold, event)
    elif isinstance(event, SignalReceived):
        signals.received(fold, event)
    elif isinstance(event, LocksGranted | DeadlockFound):
        locking.apply(fold, event)
    elif isinstance(event, UndoRequested):
        turning.turn_back(fold, event.reason)
    elif isinstance(event, PausedWithParent):
        requests.pause(fold, event)
    elif isinstance(event, ResumedWithParent):
        requests.resume(fold, event)
    elif isinstance(event, Released):
        child.release(fold)
    elif isinstance(event, TerminateRequested):
        terminating.ended_at_once(fold, event)
    elif isinstance(event, SagaStarted):  # pragma: no cover  (SAGA_MOVES has no row for it)
        raise UnexpectedEventError("a saga starts once")
    else:
        if isinstance(event, SettleUnavailable) and event.late_effects:
            fold.fields["late_effects"] = True
        if _side_of(fold, event) is Direction.COMPENSATION:
            backward.apply(fold, event)
        else:
            forward.apply(fold, event)


def _side_of(fold: Fold, event: SideEvent) -> Direction:
    """Return which side of its step the event is about.

    Raises:
        UnexpectedEventError: it is about a settlement, which is asked for again until it is answered.
    """
    if isinstance(event, SettleUnavailable):
        settling = fold.step(event.step).action.status is ActionStatus.SETTLING
        return Direction.ACTION if settling and event.direction is Direction.SETTLE else Direction.COMPENSATION
    if event.direction in SETTLEMENTS:
        raise UnexpectedEventError(f"a settlement is asked for again until it is answered; it cannot see {type(event).__name__}")
    return event.direction


def _illegal(fold: Fold, event: Event, status: SagaStatus) -> Exception:
    name = type(event).__name__
    if isinstance(event, OperatorRequest):
        if status is SagaStatus.HELD and (parent := fold.state.parent) is not None:
            return RequestRefusedError(
                f"saga {fold.state.saga_id} is held: all its steps are done, and saga {parent.saga_id}, whose step "
                f"{parent.step!r} has started it, goes on with what it did; ask that one"
            )
        if status is SagaStatus.QUEUED and isinstance(event, StepEvent):
            return RequestRefusedError(
                f"no step of saga {fold.state.saga_id} has an outcome yet, so step {event.step!r} cannot be {event.verb}: where "
                "nobody can run it, abort the saga, or declare the step's outcome"
            )
        allowed = " or ".join(sorted(SAGA_MOVES[type(event)]))
        return RequestRefusedError(f"saga {fold.state.saga_id} is {status}; only {allowed} sagas can be {event.verb}")
    if isinstance(event, CompensationReported):
        return RequestRefusedError(f"saga {fold.state.saga_id} is {status}: no compensation of it waits for an outcome")
    if isinstance(event, OutcomeReported):
        return RequestRefusedError(
            f"saga {fold.state.saga_id} is {status}; undo outside what still stands of step {event.step!r}"
        )
    if isinstance(event, SignalReceived):
        ended = "has ended, it is" if status.ended else "is"
        return RequestRefusedError(f"saga {fold.state.saga_id} {ended} {status}; no signal can reach it any more")
    return UnexpectedEventError(f"saga {fold.state.saga_id} is {status}; it cannot see {name}")
