"""What goconductor needs from the world: small protocols, each with its numbered duties.

A leaf (a bus, a store, an election, a journal) implements one of them and passes the contract suite of the same name in
:mod:`goconductor.testing`, whose tests carry the numbers of the duties. Values that cross a port are plain data.
"""

from goconductor.ports.bus import Bus, Delivery, Headers, Message, PassableDelivery, Receiver, Subscription, pass_on, sendable
from goconductor.ports.choices import Choice, Choices, Phase, Spoken
from goconductor.ports.clock import Clock
from goconductor.ports.election import Election
from goconductor.ports.figures import Census, CountingBus, Lag, MeasuredBus, MeasuredStore, Statistic, StoreFigures
from goconductor.ports.history import History, Loss, Timeline
from goconductor.ports.journal import EffectKey, Entry, Found, Journal, Pool
from goconductor.ports.reading import Presence, Sweep, Wanted
from goconductor.ports.retention import Cursor, Forgettable, Forgotten, Retention
from goconductor.ports.store import (
    Acquire,
    Acquired,
    Append,
    DeadLetter,
    Head,
    Instance,
    Known,
    Lease,
    LeaseKey,
    LogEntry,
    Outcome,
    Page,
    RecoveryStore,
    SagaReader,
    SagaStore,
    Start,
    StoredDefinition,
    Tail,
    Take,
    Term,
    Terms,
    Verdict,
)
from goconductor.ports.transactions import Transaction
from goconductor.ports.vitals import Examinable, LongTransaction, TableHealth, Vitals
from goconductor.public import publish

__all__ = [
    "Acquire",
    "Acquired",
    "Append",
    "Bus",
    "Census",
    "Choice",
    "Choices",
    "Clock",
    "CountingBus",
    "Cursor",
    "DeadLetter",
    "Delivery",
    "EffectKey",
    "Election",
    "Entry",
    "Examinable",
    "Forgettable",
    "Forgotten",
    "Found",
    "Head",
    "Headers",
    "History",
    "Instance",
    "Journal",
    "Known",
    "Lag",
    "Lease",
    "LeaseKey",
    "LogEntry",
    "LongTransaction",
    "Loss",
    "MeasuredBus",
    "MeasuredStore",
    "Message",
    "Outcome",
    "Page",
    "PassableDelivery",
    "Phase",
    "Pool",
    "Presence",
    "Receiver",
    "RecoveryStore",
    "Retention",
    "SagaReader",
    "SagaStore",
    "Spoken",
    "Start",
    "Statistic",
    "StoreFigures",
    "StoredDefinition",
    "Subscription",
    "Sweep",
    "TableHealth",
    "Tail",
    "Take",
    "Term",
    "Terms",
    "Timeline",
    "Transaction",
    "Verdict",
    "Vitals",
    "Wanted",
    "pass_on",
    "sendable",
]

publish(__name__)
