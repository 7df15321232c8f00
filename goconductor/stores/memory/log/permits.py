"""The permits of a store in memory, and the queues for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from goconductor.ports.store import Lease, LeaseKey, Limit, Permit, PermitAnswer, PermitUse, Woken
from goconductor.ports.store.log.permits import WAKE_MAX, WAKES_MAX, WOKEN_SECONDS
from goconductor.stores.memory.data import Data, Queued, Slot

TOTAL, RATE = "total", "rate"


class MemoryPermits:
    """Permits and queues."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._slots = data.permits
        self._queue = data.permit_queue

    async def take(self, permits: Sequence[Permit], seconds: float) -> list[PermitAnswer]:
        now = self._data.now()
        answers: dict[int, PermitAnswer] = {}
        # those that wait come first, as in the database, where one statement sees the whole batch
        for permit in sorted(permits, key=lambda permit: self._since(permit.lease.key, now)):
            answers[permit.lease.token] = self._take(permit, seconds, now)
        return [answers[permit.lease.token] for permit in permits]

    def _since(self, key: LeaseKey, now: float) -> float:
        queued = self._queue.get(key)
        return now if queued is None else queued.since

    def _take(self, permit: Permit, seconds: float, now: float) -> PermitAnswer:
        limit, lease = permit.limit, permit.lease
        held = self._data.leases.get(lease.key)
        if held is not None and held.expires_at > now:
            return PermitAnswer.HELD
        queued = self._queue.get(lease.key)
        before = 0 if queued is not None else sum(each.step == limit.step for each in self._queue.values())
        if self._room(limit, now) <= before:
            if queued is None:
                queued = self._queue[lease.key] = Queued(limit.step, now)
            queued.woken_at, queued.wakes = None, 0
            return PermitAnswer.REFUSED
        self._queue.pop(lease.key, None)
        if limit.total is not None:
            self._put(limit.step, TOTAL, limit.total, lease, now, now + seconds)
        if limit.rate is not None:
            self._put(limit.step, RATE, limit.rate, lease, now, now + limit.interval_seconds)
        return PermitAnswer.GRANTED

    def _put(self, step: str, kind: str, size: int, lease: Lease, now: float, ends_at: float) -> None:
        slots = self._slots.setdefault((step, kind), {})
        slot = next(number for number in range(size) if number not in slots or slots[number].expires_at <= now)
        slots[slot] = Slot(lease.token, lease.instance, ends_at)

    def _room(self, limit: Limit, now: float) -> float:
        if self._data.truncated:
            return 0
        room = float("inf")
        for kind, size in ((TOTAL, limit.total), (RATE, limit.rate)):
            if size is not None:
                taken = sum(slot < size for slot in self._taken(limit.step, kind, now))
                room = min(room, size - taken)
        return room

    def _taken(self, step: str, kind: str, now: float) -> Iterator[int]:
        return (number for number, slot in self._slots.get((step, kind), {}).items() if slot.expires_at > now)

    def _kept(self, step: str, now: float) -> int:
        """Return how much room is kept for work that was woken and is on its way."""
        since = now - WOKEN_SECONDS
        return sum(each.step == step and each.woken_at is not None and each.woken_at > since for each in self._queue.values())

    async def renew(self, permits: Sequence[Permit], seconds: float) -> set[int]:
        ends_at = self._data.now() + seconds
        renewed: set[int] = set()
        for permit in permits:
            for slot in self._slots.get((permit.limit.step, TOTAL), {}).values():
                if slot.token == permit.lease.token:
                    slot.expires_at = ends_at
                    renewed.add(slot.token)
        return renewed

    async def reassert(self, permits: Sequence[Permit], seconds: float) -> set[int]:
        if not self._data.truncated:
            return set()
        now, back = self._data.now(), set[int]()
        for permit in permits:
            taken = set(self._taken(permit.limit.step, TOTAL, now))
            if permit.limit.total is not None and len(taken) < permit.limit.total:
                self._put(permit.limit.step, TOTAL, permit.limit.total, permit.lease, now, now + seconds)
                back.add(permit.lease.token)
        return back

    async def give_back(self, permits: Sequence[Permit], *, unused: bool = False) -> set[str]:
        tokens = {permit.lease.token for permit in permits}
        for permit in permits:
            for kind in (TOTAL, RATE) if unused else (TOTAL,):
                slots = self._slots.get((permit.limit.step, kind), {})
                for number in [number for number, slot in slots.items() if slot.token in tokens]:
                    del slots[number]
        return {permit.limit.step for permit in permits} & {queued.step for queued in self._queue.values()}

    async def wake(self, limits: Sequence[Limit]) -> list[Woken]:
        now = self._data.now()
        return [self._wake(limit, now) for limit in limits]

    def _wake(self, limit: Limit, now: float) -> Woken:
        asleep_since = now - WOKEN_SECONDS
        for key in [key for key, each in self._queue.items() if each.wakes >= WAKES_MAX and self._sleeps(each, asleep_since)]:
            del self._queue[key]
        mine = {key: each for key, each in self._queue.items() if each.step == limit.step}
        room = self._room(limit, now) - self._kept(limit.step, now)
        asleep = sorted(
            ((key, each) for key, each in mine.items() if self._sleeps(each, asleep_since)), key=lambda pair: pair[1].since
        )
        woken = asleep[: max(0, int(min(room, len(asleep), WAKE_MAX)))]
        for _, each in woken:
            each.woken_at, each.wakes = now, each.wakes + 1
        ends = [
            slot.expires_at
            for kind in (TOTAL, RATE)
            for slot in self._slots.get((limit.step, kind), {}).values()
            if slot.expires_at > now
        ]
        free_seconds = min(ends) - now if ends else None
        return Woken(step=limit.step, works=tuple(key for key, _ in woken), waiting=len(mine), free_seconds=free_seconds)

    @staticmethod
    def _sleeps(queued: Queued, since: float) -> bool:
        return queued.woken_at is None or queued.woken_at <= since

    async def forget(self, works: Sequence[LeaseKey]) -> None:
        for key in works:
            self._queue.pop(key, None)

    async def usage(self) -> list[PermitUse]:
        now = self._data.now()
        steps = sorted({step for step, _ in self._slots} | {queued.step for queued in self._queue.values()})
        return [self._use(step, now) for step in steps]

    def _use(self, step: str, now: float) -> PermitUse:
        since = [queued.since for queued in self._queue.values() if queued.step == step]
        return PermitUse(
            step=step,
            running=len([*self._taken(step, TOTAL, now)]),
            begun=len([*self._taken(step, RATE, now)]),
            waiting=len(since),
            waiting_seconds=max(0.0, now - min(since)) if since else 0.0,
        )

    async def waiting_of(self, saga_id: UUID) -> dict[LeaseKey, str]:
        return {key: queued.step for key, queued in self._queue.items() if key.saga_id == saga_id}

    def end(self, serial: int) -> None:
        """Let an instance's permits to run out with its leases."""
        now = self._data.now()
        for (_, kind), slots in self._slots.items():
            for slot in slots.values():
                if kind == TOTAL and slot.instance == serial:
                    slot.expires_at = min(slot.expires_at, now)

    def clear(self) -> None:
        """Lose them with the leases."""
        self._slots.clear()
        self._queue.clear()
