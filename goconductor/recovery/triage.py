"""What to repair after one look at a saga.

The function is pure: a state, the leases that were there and the dead instances go in, repairs come out. The sweep acts on them,
as in raft, where one part decides and another one sends (etcd-io/raft, ``Ready``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from goconductor.lifecycle.facts.effects import RunAction, SetTimer, Settle, Work
from goconductor.lifecycle.facts.events import DeadlinePassed, TimerFired
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.pending_work import goes_back, is_of_child, pending_work, wishes_of
from goconductor.ports.store import Lease, LeaseKey
from goconductor.saga.plan import Plan

TIMER_GRACE_SECONDS = 0.5
"""Seconds that the sweep leaves a near timer to the participant that set it."""

LOCK_LOOK_SECONDS_MAX = 60.0
"""Greatest seconds between two looks of a leader at a saga that waits for locks. Who frees one wakes the next at once."""

CHILD_LOOK_SECONDS_MAX = 3600.0
"""Greatest seconds between two looks of a leader at a saga that a step has started. Its end is told at once; who looks finds what
a process that died left untold."""


@dataclass(frozen=True)
class Look:
    """One look at some sagas.

    Attributes:
        now: the database's time, in seconds since 1970.
        epoch: the epoch of the leader who looks, for its writes.
        leases: all leases of these sagas.
        dead: serials of instances whose leases count as expired.
        may_judge: False for one lease's life after the database was away, because locks and leases then prove nothing.
        lease_seconds: a lease's life.
    """

    now: float
    epoch: int
    leases: Mapping[LeaseKey, Lease]
    dead: frozenset[int]
    may_judge: bool
    lease_seconds: float


@dataclass(frozen=True)
class Repairs:
    """The repairs of one saga.

    Attributes:
        due: events to append, as their time has come.
        lost: work whose outcome nobody will report, with the lease that was found on it.
        unheld: work on which nobody holds a lease, and which may be sent again.
        free: leases that are over, of work among ``unheld``.
        children: work that is about sagas which steps start, so that nobody holds a lease on it.
        next_look: when to look again if nothing is appended, in seconds since 1970; None where an append decides it.
        locks: whether it waits for locks.
    """

    due: tuple[DeadlinePassed | TimerFired, ...]
    lost: tuple[tuple[Work, Lease | None], ...]
    unheld: tuple[Work, ...]
    free: tuple[Lease, ...]
    children: tuple[Work, ...]
    next_look: float | None
    locks: bool = False


def key_of(saga_id: UUID, work: Work) -> LeaseKey:
    """Return the key of the lease under which this work is done."""
    return LeaseKey(saga_id, work.step, work.direction, work.round)


def triage(state: SagaState, look: Look, plan: Plan | None = None) -> Repairs:
    """Compare what a saga's state still wants with the leases.

    A deadline that has passed comes alone: it changes what the saga wants.

    On the way back, also in a rewind, every action that was sent and has no outcome is lost, lease or not: that it never began is
    never inferred.
    What is only to be settled can be asked again without harm, so it is never lost.
    A paused saga is looked at only for the sagas that its steps have started, or the one that it was paused with. Looks at these
    are ever more seldom, see the sweep.

    Args:
        state: the saga's.
        look: what was found beside it.
        plan: the saga's, where steps of it start sagas; None where none does.
    """
    now = look.now
    works = list(pending_work(state.steps))
    children: list[Work] = []
    if plan is not None:
        children = [work for work in works if not isinstance(work, SetTimer) and is_of_child(plan, work)]
        works = [work for work in works if isinstance(work, SetTimer) or not is_of_child(plan, work)]
    if state.paused and (plan is not None or state.paused_with):
        return Repairs((), (), (), (), tuple(children), now + CHILD_LOOK_SECONDS_MAX)
    next_looks = [] if all(isinstance(work, SetTimer) for work in works) else [now + state.patience_seconds]
    if children:
        next_looks.append(now + CHILD_LOOK_SECONDS_MAX)
    locks = not state.paused and any(wishes_of(state).values())
    if locks:
        next_looks.append(now + LOCK_LOOK_SECONDS_MAX)
    if (deadline_at := state.next_deadline_at) is not None:
        if deadline_at <= now:
            return Repairs((DeadlinePassed(),), (), (), (), (), None)
        next_looks.append(deadline_at)
    due: list[TimerFired] = []
    lost: list[tuple[Work, Lease | None]] = []
    unheld: list[Work] = []
    free: list[Lease] = []
    for effect in works:
        if isinstance(effect, SetTimer):
            if effect.due_at + TIMER_GRACE_SECONDS <= now:
                due.append(TimerFired(effect.step, effect.attempt, effect.round, direction=effect.direction))
            else:
                next_looks.append(effect.due_at + TIMER_GRACE_SECONDS)
            continue
        lease = look.leases.get(key_of(state.saga_id, effect))
        if lease is not None and lease.expires_at > now and lease.instance not in look.dead:
            next_looks.append(lease.expires_at + TIMER_GRACE_SECONDS)
        elif not look.may_judge:
            next_looks.append(now + look.lease_seconds)
        elif not isinstance(effect, Settle) and (
            lease is not None or (isinstance(effect, RunAction) and goes_back(state, effect.step))
        ):
            lost.append((effect, lease))
        else:
            unheld.append(effect)
            if lease is not None:
                free.append(lease)
    return Repairs(tuple(due), tuple(lost), tuple(unheld), tuple(free), tuple(children), min(next_looks, default=None), locks)
