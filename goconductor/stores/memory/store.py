"""The store leaf in memory. The data live in the object: who shares it, shares them.

A call is one piece, without an await inside, as the database's statement is. What a crash does to PostgreSQL, a test does
here by hand: :meth:`MemoryStore.kill` ends an instance's sign of life, :meth:`MemoryStore.truncate_leases` loses all leases.
"""

from __future__ import annotations

from typing import Self

from msgspec.structs import replace

from goconductor.ports.clock import Clock
from goconductor.ports.store import (
    Audit,
    Choices,
    DeadLetters,
    Definitions,
    Failovers,
    Feed,
    Instances,
    Keys,
    Leases,
    Locks,
    Log,
    Metrics,
    Permits,
    Recovery,
    Retention,
    Sagas,
    Schedules,
    Secrets,
    Starts,
    Terms,
    Webhooks,
)
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.leading.audit import MemoryAudit
from goconductor.stores.memory.leading.choices import MemoryChoices
from goconductor.stores.memory.leading.failovers import MemoryFailovers
from goconductor.stores.memory.leading.feed import MemoryFeed
from goconductor.stores.memory.leading.instances import MemoryInstances
from goconductor.stores.memory.leading.metrics import MemoryMetrics
from goconductor.stores.memory.leading.recovery import MemoryRecovery
from goconductor.stores.memory.leading.retention import MemoryRetention
from goconductor.stores.memory.leading.schedules import MemorySchedules
from goconductor.stores.memory.leading.terms import MemoryTerms
from goconductor.stores.memory.leading.webhooks import MemoryWebhooks
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.stores.memory.log.locks import MemoryLocks
from goconductor.stores.memory.log.permits import MemoryPermits
from goconductor.stores.memory.log.starts import MemoryStarts
from goconductor.stores.memory.reading.dead_letters import MemoryDeadLetters
from goconductor.stores.memory.reading.definitions import MemoryDefinitions
from goconductor.stores.memory.reading.keys import MemoryKeys
from goconductor.stores.memory.reading.sagas import MemorySagas
from goconductor.stores.memory.reading.secrets import MemorySecrets


class MemoryStore:
    """The saga store for tests and demonstrations. It serves all ports of :mod:`goconductor.ports.store`.

    Args:
        clock: stands for the database's clock; None is the system's time.
        data: those of another store, which this one is to share; None makes new ones.
    """

    def __init__(self, clock: Clock | None = None, *, data: Data | None = None) -> None:
        self.data = data or Data(clock)
        self._held = held = MemoryLeases(self.data)
        self._permitted = permitted = MemoryPermits(self.data)
        self.leases: Leases = held
        self.permits: Permits = permitted
        self.locks: Locks = MemoryLocks(self.data)
        self.log: Log = MemoryLog(self.data, held)
        self.starts: Starts = MemoryStarts(self.data, held)
        self.instances: Instances = MemoryInstances(self.data, held, permitted)
        self.recovery: Recovery = MemoryRecovery(self.data, held)
        self.definitions: Definitions = MemoryDefinitions(self.data)
        self.dead_letters: DeadLetters = MemoryDeadLetters(self.data)
        self.keys: Keys = MemoryKeys(self.data)
        self.secrets: Secrets = MemorySecrets(self.data)
        self.sagas: Sagas = MemorySagas(self.data)
        self.terms: Terms = MemoryTerms(self.data)
        self.retention: Retention = MemoryRetention(self.data)
        self.schedules: Schedules = MemorySchedules(self.data)
        self.failovers: Failovers = MemoryFailovers(self.data)
        self.feed: Feed = MemoryFeed(self.data)
        self.webhooks: Webhooks = MemoryWebhooks(self.data)
        self.audit: Audit = MemoryAudit(self.data)
        self.choices: Choices = MemoryChoices(self.data)
        self.metrics: Metrics | None = MemoryMetrics(self.data)

    def kill(self, serial: int) -> None:
        """End an instance's sign of life, as the end of its process does."""
        self.data.alive.discard(serial)

    def revive(self, serial: int) -> None:
        """Give an instance its sign of life again: it was not dead, only cut off, and is not declared dead any more."""
        self.data.alive.add(serial)
        self.data.instances[serial] = replace(self.data.instances[serial], dead_at=None)

    def truncate_leases(self) -> None:
        """Lose all leases, as a crash and restart of the database does."""
        self.data.leases.clear()
        self._permitted.clear()
        self.data.taken_from.clear()
        self.data.truncated = True
        self.data.up_since = self.data.now()

    async def open(self) -> None:
        """Nothing is needed."""

    def beside(self) -> Self:
        return self

    async def close(self) -> None:
        """Close nothing: the data stay, for whoever shares them."""
