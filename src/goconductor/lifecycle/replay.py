"""The log folded into a state again: ``replay(plan, saga_id, events)`` is what :func:`decide` gave, event by event."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from goconductor.errors import InvariantError
from goconductor.lifecycle.decide import apply, begin
from goconductor.lifecycle.draft import Draft
from goconductor.lifecycle.events import Event, SagaStarted
from goconductor.lifecycle.state import SagaState
from goconductor.saga.graph import Plan


def replay(plan: Plan, saga_id: UUID, log: Iterable[Event]) -> SagaState:
    """The state after a whole log.

    Raises:
        InvariantError: the log does not begin with SagaStarted.
        UnexpectedEventError: the log holds an event that could not have been accepted: it is damaged.
    """
    events = iter(log)
    first = next(events, None)
    if not isinstance(first, SagaStarted):
        raise InvariantError(f"the log of saga {saga_id} begins with {type(first).__name__}, not with SagaStarted")
    return extend(plan, begin(plan, saga_id, first).state, events)


def extend(plan: Plan, state: SagaState, tail: Iterable[Event]) -> SagaState:
    """The state after more events, folded in place.

    Raises:
        UnexpectedEventError: an event that could not have been accepted.
    """
    draft = Draft(plan, state)
    for event in tail:
        apply(draft, event)
        draft.effects.clear()
    return draft.state
