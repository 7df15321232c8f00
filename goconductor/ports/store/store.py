"""All of a store."""

from __future__ import annotations

from typing import Protocol

from goconductor.ports.store.choices import Choices
from goconductor.ports.store.dead_letters import DeadLetters
from goconductor.ports.store.definitions import Definitions
from goconductor.ports.store.failovers import Failovers
from goconductor.ports.store.instances import Instances
from goconductor.ports.store.leases import Leases
from goconductor.ports.store.log import Log
from goconductor.ports.store.metrics import Metrics
from goconductor.ports.store.recovery import Recovery
from goconductor.ports.store.retention import Retention
from goconductor.ports.store.sagas import Sagas
from goconductor.ports.store.starts import Starts
from goconductor.ports.store.terms import Terms


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
    def instances(self) -> Instances: ...
    @property
    def definitions(self) -> Definitions: ...
    @property
    def dead_letters(self) -> DeadLetters: ...
    @property
    def sagas(self) -> Sagas: ...
    @property
    def terms(self) -> Terms: ...
    @property
    def recovery(self) -> Recovery: ...
    @property
    def retention(self) -> Retention: ...
    @property
    def failovers(self) -> Failovers: ...
    @property
    def choices(self) -> Choices: ...
    @property
    def metrics(self) -> Metrics | None:
        """None where it is not measured."""
