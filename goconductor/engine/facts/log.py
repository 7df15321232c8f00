"""Between the lifecycle's events and the store's log entries."""

from __future__ import annotations

import hashlib
from uuid import UUID

import msgspec

from goconductor.errors import StoreError
from goconductor.lifecycle.answers import Answers, asked
from goconductor.lifecycle.facts import bodies
from goconductor.lifecycle.facts.events import Event, SignalReceived, StepEvent
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.replay import extend, replay
from goconductor.messages.envelope import Baton
from goconductor.ports.store import Known, LogEntry, SignalId, Tail
from goconductor.saga.plan import Plan


class View(msgspec.Struct, frozen=True):
    """A state and its place in the log: what somebody knows of a saga. ``bytes`` is how large its events are, about."""

    state: SagaState
    seq: int
    tag: int
    bytes: int = 0

    @property
    def known(self) -> Known:
        """The same, as the store asks for it. Of a state that rests on answers which no event holds, nothing is sure: the whole
        log is read again.
        """
        return Known(self.state.saga_id) if self.state.unkept else Known(self.state.saga_id, self.seq, self.tag)


class UnreadableLogError(StoreError):
    """An event of this saga was written by a newer version, or is damaged; it is left to instances that can read it."""


def entry(event: Event, event_id: UUID, *, participant: str, token: int = 0) -> LogEntry:
    """Return an event in its stored form."""
    data = bodies.body(event)
    if isinstance(event, StepEvent):
        return LogEntry(
            event_id=event_id,
            event=type(event).__name__,
            at=event.at,
            step=event.step,
            round=event.round,
            attempt=event.attempt,
            token=token,
            participant=participant,
            data=data,
        )
    return LogEntry(event_id=event_id, event=type(event).__name__, at=event.at, participant=participant, data=data)


def signal_id(event: SignalReceived) -> SignalId:
    """Return what the store notes of a signal: its id, and the hash of all that its sender gave."""
    said = [event.name, event.payload, event.approves, event.seen_round, event.reason, event.by]
    return SignalId(event.id, hashlib.sha256(msgspec.json.encode(said, order="sorted")).digest())


def event(stored: LogEntry) -> Event:
    """Read a stored event.

    Raises:
        UnreadableLogError: it cannot be read by this version.
    """
    try:
        return bodies.event(stored.event, stored.data, step=stored.step, attempt=stored.attempt, round=stored.round, at=stored.at)
    except (KeyError, msgspec.DecodeError) as error:
        raise UnreadableLogError(f"event {stored.seq} ({stored.event}) cannot be read by this version: {error}") from None


def carried(plan: Plan, baton: Baton, size: int) -> View | None:
    """Return the view that a message of ``size`` bytes carries; None if it was too large for it."""
    state = baton.state
    if state is None:
        return None
    if plan.conditions and state.unkept is None:  # by a version that kept no answers
        state = msgspec.structs.replace(state, unkept=asked(plan, state))
    return View(state, baton.seq, baton.tag, size)


def brought_up(plan: Plan, view: View | None, saga_id: UUID, tail: Tail) -> View | None:
    """Return the known view with the tail folded in; None if the saga does not exist.

    Args:
        plan: the saga's compiled definition.
        view: the known view, with whose ``known`` the store was asked; None for nothing.
        saga_id: the saga's id.
        tail: the store's answer.

    Raises:
        UnreadableLogError: the tail holds what this version cannot read.
        UnexpectedEventError: the log is damaged.
    """
    if tail.head is None:
        return None
    size = sum([len(stored.data) for stored in tail.entries])
    if view is not None and not tail.rebased and not view.state.unkept:  # with that, the tail is the whole log
        size += view.bytes
    if tail.rebased or view is None:
        state = replay(plan, saga_id, map(event, tail.entries))
    elif view.state.unkept and tail.entries:
        state = replay(plan, saga_id, map(event, tail.entries), otherwise=_believed(view, tail))
    elif tail.entries:
        state = extend(plan, view.state, map(event, tail.entries))
    else:
        state = view.state
    return View(state, tail.head.seq, tail.head.tag, size)


def _believed(view: View, tail: Tail) -> Answers:
    """Return the answers that a view rests on, if it belongs to this log."""
    belongs = view.seq <= len(tail.entries) and tail.entries[view.seq - 1].tag == view.tag
    return view.state.unkept or {} if belongs else {}
