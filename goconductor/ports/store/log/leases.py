"""Leases on running steps: who may run a step now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.head import Known, Tail
from goconductor.saga.ids import Direction


class LeaseKey(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """What a lease is on. Its hash is kept, since a UUID's is worked out in Python."""

    saga_id: UUID
    step: str
    direction: Direction
    round: int = 0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A right to run one direction of one step, which ends by itself at ``expires_at``."""

    key: LeaseKey
    instance: int
    token: int
    expires_at: float = 0.0


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """A lease to be taken in the very statement of an append, never over one that is there: living, or not freed (4)."""

    lease: Lease
    lease_seconds: float


class Acquire(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a lease, with what is already known of the saga."""

    lease: Lease
    lease_seconds: float
    known: Known


class Acquired(msgspec.Struct, frozen=True, kw_only=True):
    """``granted`` with the fresh tail, or not because ``holder`` has it (the tail is then empty).

    ``taken_from`` is the instance that held it, let it run out, and did not free it: an attempt may have begun, and the log does
    not know what became of it. None if nobody did.
    """

    granted: bool
    tail: Tail
    holder: Lease | None = None
    taken_from: int | None = None


class Leases(Protocol):
    """The right to run a step.

    4. **Acquire** takes the leases that are free or expired, *commits*, and only then reads heads and tails, so that no head is
       older than its lease. It answers whose expired lease was taken over. If the new lease expires as well, the next holder gets
       that answer too, until an append frees the lease or **release** does with ``told``. A release without ``told`` only ends
       it.
    8. **Renew** prolongs leases that are there and name their token; one that was released stays away, also when the renewal
       was under way. **Reassert** brings absent leases back, only while the lease table is emptied (13), never over another's.
       Both return the keys that they wrote.
    """

    async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]: ...
    async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]: ...
    async def reassert(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]: ...
    async def release(self, leases: Sequence[Lease], *, told: bool = False) -> None: ...
