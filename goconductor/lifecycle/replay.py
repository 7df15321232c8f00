"""The log folded into a state again: ``replay(plan, saga_id, events)`` is what :func:`decide` gave, event by event."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec

from goconductor.errors import InvariantError
from goconductor.lifecycle.answers import Answers, Log
from goconductor.lifecycle.decide import apply, first
from goconductor.lifecycle.facts.events import Event, SagaStarted
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.fold import Fold
from goconductor.saga.plan import Plan


def replay(plan: Plan, saga_id: UUID, log: Iterable[Event], otherwise: Answers | None = None) -> SagaState:
    """Return the state after a whole log.

    Args:
        plan: the compiled definition that the saga started with.
        saga_id: its id.
        log: its events.
        otherwise: what conditions answered, as the caller believes, where the log has no answer.

    Raises:
        InvariantError: the log does not begin with SagaStarted.
        UnexpectedEventError: the log holds an event that could not have been accepted: it is damaged.
    """
    events = [*log]
    started, tail = next(iter(events), None), events[1:]
    if not isinstance(started, SagaStarted):
        raise InvariantError(f"the log of saga {saga_id} begins with {type(started).__name__}, not with SagaStarted")
    fold = first(plan, saga_id, started, Log(plan, events, otherwise) if plan.asks else None)
    return _folded(fold, tail)


def extend(plan: Plan, state: SagaState, tail: Iterable[Event]) -> SagaState:
    """Return the state after more events, folded in place.

    Args:
        plan: the compiled definition that the saga runs by now.
        state: the fold of its log until then, perhaps by another version, from which the saga has been migrated since.
        tail: the events that follow.

    Raises:
        UnexpectedEventError: an event that could not have been accepted.
    """
    tail = [*tail]
    if state.version != plan.version:
        state = under(plan, state)
    return _folded(Fold(plan, state, Log(plan, tail) if plan.asks else None), tail)


def under(plan: Plan, state: SagaState) -> SagaState:
    """Return a state as the same events make it by another version.

    That the two differ in nothing else was proven when the saga was migrated (:mod:`goconductor.lifecycle.requests.migration`).
    """
    fold = Fold(plan, state)
    unkept = (state.unkept or {}) if plan.asks else None
    return msgspec.structs.replace(state, version=plan.version, remaining=fold.size - fold.done, unkept=unkept)


def _folded(fold: Fold, tail: Iterable[Event]) -> SagaState:
    for event in tail:
        apply(fold, event)
        fold.effects.clear()
    return fold.state
