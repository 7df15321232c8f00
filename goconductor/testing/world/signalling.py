"""The store of a :class:`~goconductor.testing.world.World`, which signals what tests wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from goconductor.ports.clock import Clock
from goconductor.ports.store import Append, Outcome
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.stores.memory.log.leases import MemoryLeases


class WorldLog(MemoryLog):
    """A log that signals when something was appended.

    Attributes:
        appended: set by the next append; then there is a new one, so that each of several waiters takes its own look.
    """

    def __init__(self, data: Data, leases: MemoryLeases) -> None:
        super().__init__(data, leases)
        self.appended = asyncio.Event()

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append, and wake the waiters."""
        outcomes = await super().append(appends)
        self.appended.set()
        self.appended = asyncio.Event()
        return outcomes


class WorldStore(MemoryStore):
    """A store in memory that signals when something was appended."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.data.up_since -= 3600  # else the leader would judge nobody at first, as after a crash of the database
        self.log = self._signalling = WorldLog(self.data, self._held)

    @property
    def appended(self) -> asyncio.Event:
        """A log as :class:`WorldLog` describes it."""
        return self._signalling.appended

    def silent(self) -> bool:
        """Return whether an instance is gone that nobody has declared dead yet."""
        return any(each.dead_at is None and each.serial not in self.data.alive for each in self.data.instances.values())

    def wakings(self) -> list[float]:
        """Return when the leader is to look at each live saga."""
        return [head.wake_at for head in self.data.heads.values() if head.wake_at is not None]
