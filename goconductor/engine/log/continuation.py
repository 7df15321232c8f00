"""What follows a commit in this process at once: *local continuation*.

A decision asks for work. What of it this process has code and room for needs no message: its lease is taken in the statement that
appends, and its place is kept from before that statement until the work runs or is released.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from goconductor.engine.facts.log import View
from goconductor.engine.work.granted import Granted, lease_for
from goconductor.engine.work.places import Place
from goconductor.lifecycle.facts.effects import Effect, EndSaga, SeeToChildren, SeeToLocks, SetTimer, Work
from goconductor.lifecycle.pending_work import is_pending
from goconductor.ports.store import Lease, Take
from goconductor.saga.plan import Plan


class Room(Protocol):
    """Says which work this process can run at once, and keeps a place for it."""

    def reserve(self, plan: Plan, work: Work) -> Place | None:
        """Keep a place for this work, if it is ours and there is one."""
        ...

    def spawn(self, works: Sequence[Granted]) -> None:
        """Run granted work, whose places are reserved; or hand it on, if nothing more is begun here."""
        ...

    def undoes_nothing(self, plan: Plan, step: str) -> bool:
        """Return whether the step is ours, and compensating it would run no code and note nothing down."""
        ...


class Continuation(msgspec.Struct):
    """The work that a saga wants after an append, and what of it can go on here.

    Attributes:
        plan: the saga's.
        view: its state once the append is committed.
        due: the work that it wants then.
        reserved: the leases to be taken with the append, whose work each is for, and the places that are kept for it.
    """

    plan: Plan
    view: View
    due: list[Work]
    reserved: list[tuple[Take, Work, Place]] = []

    def reserve(self, room: Room, instance: int, lease_seconds: float) -> list[Take]:
        """Keep a place for each piece of work that can go on here.

        Args:
            room: has the places.
            instance: this process's serial, for the leases.
            lease_seconds: their life.

        Returns:
            The leases that are to be taken with the append.
        """
        saga_id, takes = self.view.state.saga_id, list[Take]()
        for work in self.due:
            place = room.reserve(self.plan, work)
            if place is not None:
                take = Take(lease=lease_for(saga_id, work, instance), lease_seconds=lease_seconds)
                takes.append(take)
                self.reserved.append((take, work, place))
        return takes

    def vacate(self, kept: Sequence[int] = ()) -> None:
        """Give back the places of leases that were not taken.

        Args:
            kept: the tokens of those that were.
        """
        if len(kept) == len(self.reserved):
            return
        held = set(kept)
        for take, _, place in self.reserved:
            if take.lease.token not in held:
                place.vacate()
        self.reserved = [taken for taken in self.reserved if taken[0].lease.token in held]

    def let_go(self) -> list[Lease]:
        """Give all places back, as nobody knows what became of the append. Returns the leases, which may have been taken."""
        leases = [take.lease for take, _, _ in self.reserved]
        self.vacate()
        return leases

    def works(self, sent_at: float) -> tuple[Granted, ...]:
        """Return the work whose leases are held now.

        Args:
            sent_at: when they were asked for, in seconds on the monotonic clock.
        """
        if not self.reserved:
            return ()
        works = [
            Granted(self.plan, self.view, take.lease, work.attempt, sent_at + take.lease_seconds, place)
            for take, work, place in self.reserved
        ]
        return tuple(works)


def still_due(effects: Iterable[Effect], view: View) -> list[Work]:
    """Return what the last state still wants of the work that several decisions asked for, each piece once."""
    state, due = view.state, list[Work]()
    for effect in effects:
        match effect:
            case SetTimer() | EndSaga() | SeeToLocks() | SeeToChildren():
                pass
            case work if is_pending(state, work.step, work.direction, work.attempt, work.round):
                due.append(work)
    return due if len(due) < 2 else [*dict.fromkeys(due)]
