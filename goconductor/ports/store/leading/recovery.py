"""What the elected leader asks for its sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.head import Head, Known
from goconductor.ports.store.log.leases import Lease


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """The last report of the leader about its sweep.

    Args:
        at: the time of the report.
        epoch: the epoch of the leader.
        did: its counts since the report before.
    """

    at: float
    epoch: int
    did: dict[str, int] = {}


class Recovery(Protocol):
    """Sagas that stand still, and leases that nobody holds any more.

    9. **Due** lists sagas whose ``wake_at`` has come, oldest first; **live** all that have one, by their ids, those after
       ``after``; **postpone** moves ``wake_at`` only at that seq and tag. **Rest** takes it away there, where the saga has ended;
       anybody may ask for that.
    10. **Leases** lists those on the given sagas, also those that ran out. **Free** deletes leases only while ``epoch`` is the
        leader's present epoch (:class:`FencedError` otherwise).
    13. **Leases truncated** answers whether the lease table was emptied by a crash of the database: true until
        ``acknowledge_truncation`` has been called once after it.
    14. **Calm seconds** answers for how long leases and signs of life have been reliable: since the database's last start or
        promotion, or, where the lease table was emptied without one, since a leader noticed. That is written down under
        ``epoch``, so that the next leader does not begin to wait anew.
    15. **Note sweep** keeps the leader's last report for people, only while ``epoch`` is present. **Last sweep** answers the last
        report, or None.
    16. **Weigh** answers the approximate stored bytes of each saga's log; 0 for one that is not there.
    """

    async def due(self, limit: int) -> list[Head]: ...
    async def live(self, limit: int, *, after: UUID | None = None) -> list[Head]: ...
    async def weigh(self, saga_ids: Sequence[UUID]) -> list[int]: ...
    async def postpone(self, heads: Sequence[tuple[Known, float]], *, epoch: int) -> None: ...
    async def rest(self, heads: Sequence[Known]) -> None: ...
    async def leases(self, saga_ids: Sequence[UUID]) -> list[Lease]: ...
    async def free(self, leases: Sequence[Lease], *, epoch: int) -> None: ...
    async def leases_truncated(self) -> bool: ...
    async def calm_seconds(self, *, epoch: int) -> float: ...
    async def acknowledge_truncation(self, *, epoch: int) -> None: ...
    async def note_sweep(self, did: Mapping[str, int], *, epoch: int) -> None: ...
    async def last_sweep(self) -> Sweep | None: ...
