"""The saga store: small protocols, one for each subject, and a store that has them.

The store knows nothing of a saga's meaning. An event crosses as a :class:`LogEntry` whose ``data`` is opaque JSON.
Every method takes many sagas at once; a result list has the order of its argument list. Times are seconds since 1970 by
the database's clock; durations are seconds.
"""

from goconductor.ports.store.leading.audit import Audit, AuditRow, AuditWanted, Link
from goconductor.ports.store.leading.choices import Choice, Choices, Phase, Report
from goconductor.ports.store.leading.failovers import Failovers, Loss, Timeline
from goconductor.ports.store.leading.feed import Feed, FeedEntry, FeedLag, FeedPage, FeedPosition
from goconductor.ports.store.leading.instances import Instance, Instances, Presence, ignore
from goconductor.ports.store.leading.metrics import Metrics, StatusCounts, StoreMetrics
from goconductor.ports.store.leading.recovery import Recovery, Sweep
from goconductor.ports.store.leading.retention import Cursor, Forgettable, Forgotten, Retention
from goconductor.ports.store.leading.schedules import DueSchedules, ScheduleRow, Schedules
from goconductor.ports.store.leading.terms import Term, Terms
from goconductor.ports.store.leading.webhooks import Attempted, Delivery, NewDelivery, WebhookQueue, WebhookRow, Webhooks
from goconductor.ports.store.log.appends import BATCHES_AT_ONCE, Append, Log, Outcome, SignalId, Verdict
from goconductor.ports.store.log.head import Head, Known, LogEntry, Tail
from goconductor.ports.store.log.leases import Acquire, Acquired, Lease, LeaseKey, Leases, Take
from goconductor.ports.store.log.locks import LockCursor, LockRow, Locks, Looked, cursor_of
from goconductor.ports.store.log.notes import Note
from goconductor.ports.store.log.permits import Limit, Permit, PermitAnswer, Permits, PermitUse, Woken
from goconductor.ports.store.log.starts import Start, Starts
from goconductor.ports.store.log.transactions import Transaction
from goconductor.ports.store.reading.dead_letters import DeadLetter, DeadLetters
from goconductor.ports.store.reading.definitions import Definitions, StoredDefinition
from goconductor.ports.store.reading.keys import KeyRow, Keys
from goconductor.ports.store.reading.sagas import EVERYTHING, ID_SLACK_SECONDS, Page, Sagas, Wanted, id_bound
from goconductor.ports.store.reading.secrets import SecretRow, Secrets
from goconductor.ports.store.store import Store

__all__ = [
    "BATCHES_AT_ONCE",
    "EVERYTHING",
    "ID_SLACK_SECONDS",
    "Acquire",
    "Acquired",
    "Append",
    "Attempted",
    "Audit",
    "AuditRow",
    "AuditWanted",
    "Choice",
    "Choices",
    "Cursor",
    "DeadLetter",
    "DeadLetters",
    "Definitions",
    "Delivery",
    "DueSchedules",
    "Failovers",
    "Feed",
    "FeedEntry",
    "FeedLag",
    "FeedPage",
    "FeedPosition",
    "Forgettable",
    "Forgotten",
    "Head",
    "Instance",
    "Instances",
    "KeyRow",
    "Keys",
    "Known",
    "Lease",
    "LeaseKey",
    "Leases",
    "Limit",
    "Link",
    "LockCursor",
    "LockRow",
    "Locks",
    "Log",
    "LogEntry",
    "Looked",
    "Loss",
    "Metrics",
    "NewDelivery",
    "Note",
    "Outcome",
    "Page",
    "Permit",
    "PermitAnswer",
    "PermitUse",
    "Permits",
    "Phase",
    "Presence",
    "Recovery",
    "Report",
    "Retention",
    "Sagas",
    "ScheduleRow",
    "Schedules",
    "SecretRow",
    "Secrets",
    "SignalId",
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
    "WebhookQueue",
    "WebhookRow",
    "Webhooks",
    "Woken",
    "cursor_of",
    "id_bound",
    "ignore",
]
