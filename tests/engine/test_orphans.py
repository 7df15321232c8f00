"""Leases that nobody runs under are freed, however often the store is away, and whoever tries it first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from goconductor.engine.facts.orphans import Orphans
from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Lease, LeaseKey
from goconductor.saga.ids import Direction
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.testing.clock import ManualClock
from goconductor.testing.contracts.store.material import hold

LEASE = Lease(key=LeaseKey(UUID(int=1), "pack", Direction.ACTION), instance=1, token=7)


class Away(MemoryLeases):
    """Leases of a store that goes away while it is asked to release."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.data)
        self.asked, self.away = asyncio.Event(), asyncio.Event()
        self.tries = 0

    async def release(self, leases: Sequence[Lease], *, told: bool = False) -> None:
        self.tries += 1
        if self.tries == 1:
            self.asked.set()
            await self.away.wait()
            raise StoreUnavailableError("the connection broke")
        await super().release(leases, told=told)


async def test_what_a_batch_could_not_free_is_tried_again_though_no_batch_comes() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    leases = Away(store)
    await hold(store, LEASE, seconds=60)
    orphans = Orphans(leases, clock)

    async def flush() -> None:
        orphans.add([LEASE])
        await orphans.free()  # it takes them before the task that was to free them has begun

    batch = asyncio.create_task(flush())
    await leases.asked.wait()
    await clock.advance(1)
    leases.away.set()
    with pytest.raises(StoreUnavailableError):
        await batch
    await clock.advance(1)
    assert (len(orphans), leases.tries) == (0, 2)
    assert store.data.leases == {}
    await orphans.close()
