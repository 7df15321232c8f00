"""A piece of work in hand: what to run, what is known, and the lease that allows it."""

from __future__ import annotations

import random
from functools import partial
from uuid import UUID

import msgspec

from goconductor.engine.facts.log import View
from goconductor.engine.work.places import Place
from goconductor.lifecycle.facts.effects import RunAction, RunCompensation, Settle, SettleUndo, Work
from goconductor.ports.store import Lease, LeaseKey, Permit
from goconductor.saga.ids import Direction, uuid_of
from goconductor.saga.plan import Plan


class Granted(msgspec.Struct, frozen=True):
    """Work whose lease is ours, and for which a place is kept. ``expires`` is when to begin nothing any more, on the monotonic
    clock, ``permit`` what a limit over all instances asks for.
    """

    plan: Plan
    view: View
    lease: Lease
    attempt: int
    expires: float
    place: Place
    permit: Permit | None = None

    @property
    def step(self) -> str:
        """The step's id in the saga."""
        return self.lease.key.step

    @property
    def direction(self) -> Direction:
        """Which side of the step."""
        return self.lease.key.direction

    @property
    def undoes(self) -> bool:
        """Whether it is about a declared undo: its code is an action, and it is run or fenced as the step's compensation."""
        side = self.lease.key.direction
        return (side is Direction.COMPENSATION or side is Direction.SETTLE_UNDO) and self.step in self.plan.undoes


random_number = partial(random.getrandbits, 63)
"""Draws 63 random bits: tags and lease tokens."""


def new_event_id() -> UUID:
    """Return a random id by which an event is recognised when the answer to its commit was lost."""
    return uuid_of(random.getrandbits(128))


def lease_for(saga_id: UUID, work: Work, instance: int) -> Lease:
    """Return a lease with a fresh token for a piece of work."""
    return Lease(key=LeaseKey(saga_id, work.step, work.direction, work.round), instance=instance, token=random_number())


def effect_of(work: Granted) -> Work:
    """Return the work that was asked for when this was granted."""
    key = work.lease.key
    match key.direction:
        case Direction.ACTION:
            return RunAction(key.step, work.attempt, key.round)
        case Direction.COMPENSATION:
            return RunCompensation(key.step, work.attempt, key.round)
        case Direction.SETTLE:
            return Settle(key.step, key.round)
        case Direction.SETTLE_UNDO:
            return SettleUndo(key.step, key.round)
