"""The election of one, on the store in memory: its terms are numbered and fenced like all others."""

from __future__ import annotations

import pytest

from goconductor.elections.alone import AloneElection
from goconductor.ports.election import Election
from goconductor.ports.store import Store
from goconductor.stores.memory import MemoryStore
from goconductor.testing.contracts.election import Elect, ElectionContract


class TickingClock:
    """Time that moves a little with each look."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def observe(self, database_seconds: float) -> None: ...

    async def sleep(self, seconds: float) -> None: ...


class TestAloneElection(ElectionContract):
    usurps = True

    @pytest.fixture
    async def store(self) -> Store:
        return MemoryStore(TickingClock())

    @pytest.fixture
    async def elect(self, store: Store) -> Elect:
        async def open_one() -> Election:
            election = AloneElection(store.terms)
            await election.open()
            return election

        return open_one
