"""Permits: how many of a step may run at once, or begin within a time, over all instances."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.leases import Lease, LeaseKey

WOKEN_SECONDS = 10.0
"""Seconds for which work that was woken is waited for. If it does not come by then, others are woken."""
WAKE_MAX = 500
"""Greatest number of pieces of work that are woken at once of one queue."""
WAKES_MAX = 5
"""How often work that waits is woken and does not come, before its place in the queue is forgotten. Its next message gives it a
new one."""


class Limit(msgspec.Struct, frozen=True):
    """The limits of a step.

    Args:
        step: its code, as ``participant.step``.
        total: how many may run at once; None is without bound.
        rate: how many may begin within ``interval_seconds``; None is without bound.
        interval_seconds: see ``rate``.
    """

    step: str
    total: int | None = None
    rate: int | None = None
    interval_seconds: float = 0.0


class Permit(msgspec.Struct, frozen=True):
    """The right to run under a limit, as long as this lease is held: it is known by the lease's token."""

    limit: Limit
    lease: Lease


class PermitAnswer(enum.Enum):
    """What came of a wish for a permit.

    Attributes:
        GRANTED: it is there.
        REFUSED: there was no room; the work stands in the step's queue.
        HELD: somebody has a lease on this very work, so it needs none.
    """

    GRANTED = "granted"
    REFUSED = "refused"
    HELD = "held"


class Woken(msgspec.Struct, frozen=True, kw_only=True):
    """What was woken of a step's queue.

    Args:
        step: the limited step.
        works: the work for which there is room now.
        waiting: how many wait, these included.
        free_seconds: seconds until something that is taken ends by itself; None where nothing is taken.
    """

    step: str
    works: tuple[LeaseKey, ...] = ()
    waiting: int = 0
    free_seconds: float | None = None


class PermitUse(msgspec.Struct, frozen=True, kw_only=True):
    """How a limit is used at the moment.

    Args:
        step: the limited step.
        running: permits to run that are held.
        begun: permits to begin that are spent within the last interval.
        waiting: pieces of work that wait for one.
        waiting_seconds: seconds for which the one at the head of the queue has waited; 0 where none waits.
    """

    step: str
    running: int = 0
    begun: int = 0
    waiting: int = 0
    waiting_seconds: float = 0.0


class Permits(Protocol):
    """Limits over all instances.

    A permit is a row, a *slot* of its step, with the token of a lease and an end. Who is refused stands in a queue. Both are lost
    with the leases, by a crash of the database.

    31. **Take** gives each wish all that its limit asks for, or nothing. It never gives a step more slots than the wish's limit
        has, those of other wishes with a greater limit left aside. While the lease table is emptied (13) it gives none. Who is
        refused is queued, and keeps its place when it asks again. A newcomer gets what is more than all in the queue could take.
    32. **Renew** prolongs the permits to run that are there and name their token. **Reassert** brings absent ones back, only
        while the lease table is emptied. Both return the tokens for which they did.
    33. **Give back** frees permits to run by their tokens, with ``unused`` also those to begin; it returns the steps that have a
        queue. **Wake** names of each queue as many as there is room for, the oldest first, and wakes no others
        for that room within :data:`WOKEN_SECONDS`. **Forget** takes work out of the queue.
    34. **Usage** answers how limits are used, **waiting of** the limited steps for which work of a saga waits.
    """

    async def take(self, permits: Sequence[Permit], seconds: float) -> list[PermitAnswer]: ...
    async def renew(self, permits: Sequence[Permit], seconds: float) -> set[int]: ...
    async def reassert(self, permits: Sequence[Permit], seconds: float) -> set[int]: ...
    async def give_back(self, permits: Sequence[Permit], *, unused: bool = False) -> set[str]: ...
    async def wake(self, limits: Sequence[Limit]) -> list[Woken]: ...
    async def forget(self, works: Sequence[LeaseKey]) -> None: ...
    async def usage(self) -> list[PermitUse]: ...
    async def waiting_of(self, saga_id: UUID) -> dict[LeaseKey, str]: ...
