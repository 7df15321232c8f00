"""What became of the log itself: the database's timelines, and what a failover to a standby that lagged behind has taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion begins a new one.

    Args:
        number: the database's.
        seen_at: when a process of ours first saw it.
        replayed_until: the time of the last commit that the promoted server had received from the one before. What was accepted
            later, by ``seen_at`` at the latest, is missing. None where it cannot be told.
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


class History(Protocol):
    """The store's memory of failovers.

    20. **Lost** returns those of what somebody was told that the log does not hold. **Note losses** keeps them for people, each
        once, and returns how many are new. Where a saga is not there at all, it counts only if it is of the time before the
        present timeline began: retention takes sagas away as well.
    21. **Timelines** are those that this log has been on, oldest first. A store without failovers has none.
    """

    async def lost(self, told: Sequence[Loss]) -> list[Loss]: ...
    async def note_losses(self, losses: Sequence[Loss]) -> int: ...
    async def losses(self, limit: int) -> list[Loss]: ...
    async def timelines(self) -> list[Timeline]: ...
