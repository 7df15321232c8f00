"""All of a store."""

from __future__ import annotations

from typing import Protocol

from goconductor.ports.store.leading.audit import Audit
from goconductor.ports.store.leading.choices import Choices
from goconductor.ports.store.leading.failovers import Failovers
from goconductor.ports.store.leading.feed import Feed
from goconductor.ports.store.leading.instances import Instances
from goconductor.ports.store.leading.metrics import Metrics
from goconductor.ports.store.leading.recovery import Recovery
from goconductor.ports.store.leading.retention import Retention
from goconductor.ports.store.leading.schedules import Schedules
from goconductor.ports.store.leading.terms import Terms
from goconductor.ports.store.leading.webhooks import Webhooks
from goconductor.ports.store.log.appends import Log
from goconductor.ports.store.log.leases import Leases
from goconductor.ports.store.log.locks import Locks
from goconductor.ports.store.log.permits import Permits
from goconductor.ports.store.log.starts import Starts
from goconductor.ports.store.reading.dead_letters import DeadLetters
from goconductor.ports.store.reading.definitions import Definitions
from goconductor.ports.store.reading.keys import Keys
from goconductor.ports.store.reading.sagas import Sagas
from goconductor.ports.store.reading.secrets import Secrets


class Store(Protocol):
    """The saga log. A duty's number is that of the tests in the suite of contracts; each protocol lists its own.

    1. **Open** checks the schema (:class:`SchemaError`), waits and logs while the database is absent, and refuses a transaction
       pooler (:class:`PoolerError`).
    2. **Beside** makes another store on the same data, not open, for another thread of this process: while it is connected, the
       instances that this store registered are not missing (11).
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def beside(self) -> Store: ...

    @property
    def starts(self) -> Starts: ...
    @property
    def log(self) -> Log: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def permits(self) -> Permits: ...
    @property
    def locks(self) -> Locks: ...
    @property
    def instances(self) -> Instances: ...
    @property
    def definitions(self) -> Definitions: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def sagas(self) -> Sagas: ...
    @property
    def terms(self) -> Terms: ...
    @property
    def recovery(self) -> Recovery: ...
    @property
    def retention(self) -> Retention: ...
    @property
    def schedules(self) -> Schedules: ...
    @property
    def failovers(self) -> Failovers: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def webhooks(self) -> Webhooks: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def choices(self) -> Choices: ...
    @property
    def metrics(self) -> Metrics | None:
        """None where it is not measured."""
