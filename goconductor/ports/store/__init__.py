"""The saga store: small protocols, one for each subject, and a store that has them.

The store knows nothing of a saga's meaning. An event crosses as a :class:`LogEntry` whose ``data`` is opaque JSON.
Every method takes many sagas at once; a result list has the order of its argument list. Times are seconds since 1970 by
the database's clock; durations are seconds.
"""

from goconductor.ports.store.dead_letters import DeadLetter, DeadLetters
from goconductor.ports.store.definitions import Definitions, StoredDefinition
from goconductor.ports.store.instances import Instance, ignore
from goconductor.ports.store.leases import Acquire, Acquired, Lease, LeaseKey, Leases, Take
from goconductor.ports.store.log import BATCHES_AT_ONCE, Append, Log, Outcome, Verdict
from goconductor.ports.store.sagas import Head, Known, LogEntry, Page, Tail
from goconductor.ports.store.starts import Start, Starts
from goconductor.ports.store.store import RecoveryStore, SagaReader, SagaStore
from goconductor.ports.store.terms import Term, Terms

__all__ = [
    "BATCHES_AT_ONCE",
    "Acquire",
    "Acquired",
    "Append",
    "DeadLetter",
    "DeadLetters",
    "Definitions",
    "Head",
    "Instance",
    "Known",
    "Lease",
    "LeaseKey",
    "Leases",
    "Log",
    "LogEntry",
    "Outcome",
    "Page",
    "RecoveryStore",
    "SagaReader",
    "SagaStore",
    "Start",
    "Starts",
    "StoredDefinition",
    "Tail",
    "Take",
    "Term",
    "Terms",
    "Verdict",
    "ignore",
]
