from __future__ import annotations

import pytest

from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import Store
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.log.refusals import STATUSES
from goconductor.testing.contracts.store import Faults, StoreContract


class HandClock:
    """Time that moves when the test says so, and a little with each look, as the database's does."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def observe(self, database_seconds: float) -> None: ...

    async def sleep(self, seconds: float) -> None: ...


class MemoryFaults:
    def __init__(self, clock: HandClock) -> None:
        self._clock = clock

    async def kill(self, store: Store, serial: int) -> None:
        assert isinstance(store, MemoryStore)
        store.kill(serial)

    async def age(self, store: Store, serial: int) -> None:
        self._clock.seconds += 3600

    async def truncate_leases(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.truncate_leases()


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    async def store(self, clock: HandClock) -> Store:
        return MemoryStore(clock)

    @pytest.fixture
    async def other(self, store: Store) -> Store:
        return store

    @pytest.fixture
    def faults(self, clock: HandClock) -> Faults:
        return MemoryFaults(clock)


async def test_an_instance_that_was_only_cut_off_is_not_dead_any_more() -> None:
    clock = HandClock()
    store = MemoryStore(clock)
    instance = await store.instances.register("payments", "pod-0", {})
    clock.seconds += 60
    store.kill(instance.serial)
    term = await store.terms.raise_epoch("leader", 10.0)
    assert term is not None
    await store.instances.mark_dead(instance.serial, epoch=term.epoch)
    store.revive(instance.serial)
    assert await store.instances.registered() == [instance]
    assert await store.instances.missing() == []


def test_the_statuses_are_the_lifecycles() -> None:
    assert {*SagaStatus, "held"} == STATUSES
