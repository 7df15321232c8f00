"""The saga store: small protocols, one for each subject, and a store that has them.

The store knows nothing of a saga's meaning. An event crosses as a :class:`LogEntry` whose ``data`` is opaque JSON.
Every method takes many sagas at once; a result list has the order of its argument list. Times are seconds since 1970 by
the database's clock; durations are seconds.
"""

from goconductor.ports.store.choices import Choice, Choices, Phase, Report
from goconductor.ports.store.dead_letters import DeadLetter, DeadLetters
from goconductor.ports.store.definitions import Definitions, StoredDefinition
from goconductor.ports.store.failovers import Failovers, Loss, Timeline
from goconductor.ports.store.instances import Instance, Instances, Presence, ignore
from goconductor.ports.store.leases import Acquire, Acquired, Lease, LeaseKey, Leases, Take
from goconductor.ports.store.log import BATCHES_AT_ONCE, Append, Log, Outcome, Verdict
from goconductor.ports.store.metrics import Metrics, StatusCounts, StoreMetrics
from goconductor.ports.store.recovery import Recovery, Sweep
from goconductor.ports.store.retention import Cursor, Forgettable, Forgotten, Retention
from goconductor.ports.store.sagas import EVERYTHING, ID_SLACK_SECONDS, Head, Known, LogEntry, Page, Sagas, Tail, Wanted, id_bound
from goconductor.ports.store.starts import Start, Starts
from goconductor.ports.store.store import Store
from goconductor.ports.store.terms import Term, Terms
from goconductor.ports.store.transactions import Transaction

__all__ = [
    "BATCHES_AT_ONCE",
    "EVERYTHING",
    "ID_SLACK_SECONDS",
    "Acquire",
    "Acquired",
    "Append",
    "Choice",
    "Choices",
    "Cursor",
    "DeadLetter",
    "DeadLetters",
    "Definitions",
    "Failovers",
    "Forgettable",
    "Forgotten",
    "Head",
    "Instance",
    "Instances",
    "Known",
    "Lease",
    "LeaseKey",
    "Leases",
    "Log",
    "LogEntry",
    "Loss",
    "Metrics",
    "Outcome",
    "Page",
    "Phase",
    "Presence",
    "Recovery",
    "Report",
    "Retention",
    "Sagas",
    "Start",
    "Starts",
    "StatusCounts",
    "Store",
    "StoreMetrics",
    "StoredDefinition",
    "Sweep",
    "Tail",
    "Take",
    "Term",
    "Terms",
    "Timeline",
    "Transaction",
    "Verdict",
    "Wanted",
    "id_bound",
    "ignore",
]
