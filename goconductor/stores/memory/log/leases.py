"""The leases of a store in memory, and what is read under them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from goconductor.ports.store import Acquire, Acquired, Lease, LeaseKey, Tail, Take
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.refusals import problem_of_lease


class MemoryLeases:
    """Who may run a step."""

    def __init__(self, data: Data) -> None:
        self._data = data

    async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]:
        now = self._data.now()
        granted = [self._acquire(request, now) for request in requests]
        return [
            Acquired(granted=True, tail=self._data.tail(request.known), taken_from=self._data.taken_from.get(request.lease.key))
            if ok
            else Acquired(granted=False, tail=Tail(head=None), holder=self._data.leases.get(request.lease.key))
            for request, ok in zip(requests, granted, strict=True)
        ]

    def _acquire(self, request: Acquire, now: float) -> bool:
        lease = request.lease
        held = self._data.leases.get(lease.key)
        free = held is None or held.expires_at <= now or same(held, lease)
        if not free or problem_of_lease(lease.key.step, lease.key.round):
            return False
        if held is not None and not same(held, lease):
            self._data.taken_from[lease.key] = held.instance
        self._data.leases[lease.key] = replace(lease, expires_at=now + request.lease_seconds)
        return True

    async def renew(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        mine = [lease for lease in leases if (held := self._data.leases.get(lease.key)) is not None and same(held, lease)]
        return self._put_leases(mine, lease_seconds)

    async def reassert(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        absent = [lease for lease in leases if lease.key not in self._data.leases] if self._data.truncated else []
        return self._put_leases(absent, lease_seconds)

    def _put_leases(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]:
        ends_at = self._data.now() + lease_seconds
        self._data.leases |= {lease.key: replace(lease, expires_at=ends_at) for lease in leases}
        return {lease.key for lease in leases}

    async def release(self, leases: Sequence[Lease], *, told: bool = False) -> None:
        self.let_go(leases, told=told)

    def let_go(self, leases: Iterable[Lease], *, told: bool) -> None:
        """Release leases that are held as they say."""
        for lease in leases:
            held = self._data.leases.get(lease.key)
            if held is None or not same(held, lease):
                continue
            if told or lease.key not in self._data.taken_from:
                del self._data.leases[lease.key]
                self._data.taken_from.pop(lease.key, None)
            else:
                self._data.leases[lease.key] = replace(held, expires_at=min(held.expires_at, self._data.now()))

    def take(self, takes: Sequence[Take], now: float) -> list[int]:
        """Take the leases that are not there; the tokens of these."""
        absent = [take for take in takes if take.lease.key not in self._data.leases]
        self._data.leases |= {take.lease.key: replace(take.lease, expires_at=now + take.lease_seconds) for take in absent}
        return [take.lease.token for take in absent]

    def end(self, serial: int) -> list[Lease]:
        """Let an instance's leases run out; which they are."""
        held = [lease for _, lease in sorted(self._data.leases.items()) if lease.instance == serial]
        ended = [replace(lease, expires_at=min(lease.expires_at, self._data.now())) for lease in held]
        self._data.leases |= {lease.key: lease for lease in ended}
        return ended


def same(one: Lease, other: Lease) -> bool:
    """Return whether it is the same grant."""
    return (one.instance, one.token) == (other.instance, other.token)
