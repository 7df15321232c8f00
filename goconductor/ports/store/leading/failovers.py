"""What became of the log itself: the database's timelines, and what a failover to a standby that lagged behind has taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """A timeline of the database's history; each promotion begins one.

    Args:
        number: the database's number of it.
        seen_at: when a process of ours first saw it.
        replayed_until: the time of the last commit that the promoted server had received from the one before; None where it is
            not known. What was accepted between then and ``seen_at`` is missing.
    """

    number: int
    seen_at: float
    replayed_until: float | None = None


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """An append or start that was acknowledged to somebody, and that the log does not hold.

    Args:
        saga_id: its saga.
        seq: the place of its last event.
        tag: its tag.
        status: what the saga was after it, as people see it.
        at: the time of its last event.
        known_by: the name of the process that knows of it.
        noticed_at: when it was noted; given by the store.
    """

    saga_id: UUID
    seq: int
    tag: int
    status: str
    at: float
    known_by: str
    noticed_at: float = 0.0


class Failovers(Protocol):
    """The store's record of failovers.

    21. **Lost** returns those of the acknowledged commits that the log does not hold. **Note** keeps them for people, each
        once, and returns how many are new. A saga that is not there at all counts only if it is older than the present timeline,
        because retention deletes sagas as well.
    22. **Timelines** are those that this log has been on, oldest first. A store without failovers has none.
    """

    async def lost(self, told: Sequence[Loss]) -> list[Loss]: ...
    async def note(self, losses: Sequence[Loss]) -> int: ...
    async def losses(self, limit: int) -> list[Loss]: ...
    async def timelines(self) -> list[Timeline]: ...
