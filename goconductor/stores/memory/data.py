"""What a store in memory holds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import count
from uuid import UUID

import msgspec

from goconductor.errors import FencedError
from goconductor.ports.clock import Clock
from goconductor.ports.store import (
    AuditRow,
    Choice,
    DeadLetter,
    Delivery,
    FeedPosition,
    Head,
    Instance,
    KeyRow,
    Known,
    Lease,
    LeaseKey,
    LockRow,
    LogEntry,
    Loss,
    Note,
    ScheduleRow,
    SecretRow,
    StoredDefinition,
    Sweep,
    Tail,
    Term,
    WebhookRow,
)
from goconductor.ports.store.log.notes import unwritten, written


def _system_time() -> float:
    """Return seconds since 1970 in whole microseconds, as PostgreSQL has them, so that a filter by a time that was shown fits."""
    return round(time.time(), 6)


class Slot(msgspec.Struct):
    """A permit: a slot of a step that is taken, until it ends."""

    token: int
    instance: int
    expires_at: float


class Queued(msgspec.Struct):
    """Work that waits for a permit of a step."""

    step: str
    since: float
    woken_at: float | None = None
    wakes: int = 0


class Data:
    """The data, which all rooms of one store share.

    Args:
        clock: stands for the database's clock; None is the system's time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.now = clock.now if clock is not None else _system_time
        self.heads: dict[UUID, Head] = {}
        self.logs: dict[UUID, list[LogEntry]] = {}
        self.leases: dict[LeaseKey, Lease] = {}
        self.taken_from: dict[LeaseKey, int] = {}
        """The earlier holder of each lease that was taken from one, until the log has that one's attempt."""
        self.permits: dict[tuple[str, str], dict[int, Slot]] = {}
        """By the limited step and the kind of permit, the slots that were taken, by their numbers."""
        self.permit_queue: dict[LeaseKey, Queued] = {}
        self.keys: dict[tuple[str, str, str], tuple[UUID, bytes]] = {}
        self.signals: dict[UUID, dict[str, bytes]] = {}
        """Of each saga, the ids of its signals with their hashes."""
        self.locks: dict[tuple[str, UUID], LockRow] = {}
        self.lock_numbers = count(1)
        self.instances: dict[int, Instance] = {}
        self.serials = count(1)
        self.alive: set[int] = set()
        self.definitions: dict[tuple[str, str, str], StoredDefinition] = {}
        self.active: dict[tuple[str, str], str] = {}
        self.pinned: set[tuple[str, str]] = set()
        self.offers: dict[tuple[str, str, str], set[int]] = {}
        self.letters: list[DeadLetter] = []
        self.letter_ids = count(1)
        self.term: Term | None = None
        self.evidence: int | None = None
        self.losses: dict[tuple[UUID, int, int], Loss] = {}
        self.sweep: Sweep | None = None
        self.choices: dict[str, Choice] = {}
        self.schedules: dict[tuple[str, str], ScheduleRow] = {}
        self.written: list[tuple[UUID, LogEntry]] = []
        """All events of all sagas, in the order in which they were written."""
        self.feeds: dict[str, FeedPosition] = {}
        self.webhooks: dict[int, WebhookRow] = {}
        self.webhook_numbers = count(1)
        self.deliveries: dict[int, Delivery] = {}
        """What webhooks are still to get, in the order in which it came."""
        self.delivery_numbers = count(1)
        self.api_keys: dict[str, KeyRow] = {}
        self.secrets: dict[str, SecretRow] = {}
        self.audit: list[AuditRow] = []
        self.audit_ids = count(1)
        self.truncated = False
        self.up_since = self.now()

    @property
    def epoch(self) -> int:
        """The present one."""
        return self.term.epoch if self.term else 0

    def leads(self, epoch: int) -> bool:
        """Return whether this is the epoch of the last term, and that was not resigned."""
        return self.term is not None and self.term.epoch == epoch and bool(self.term.holder)

    def fence(self, epoch: int) -> None:
        """Refuse what a leader of the past wants.

        Raises:
            FencedError: ``epoch`` is not the present one.
        """
        if not self.leads(epoch):
            raise FencedError(f"epoch {epoch} is over: it was resigned, or another leader was elected; stop leading at once")

    def write(self, saga_id: UUID, entries: Sequence[LogEntry]) -> None:
        """Add entries to a saga's log."""
        self.logs.setdefault(saga_id, []).extend(entries)
        self.written += [(saga_id, entry) for entry in entries]

    def note(self, notes: Iterable[Note]) -> None:
        """Add rows to the audit log."""
        self.audit += [AuditRow(id=next(self.audit_ids), at=self.now(), note=each) for each in notes]

    def note_request(self) -> None:
        """Write the note of the request that makes a change, with this very change."""
        if (note := unwritten()) is not None:
            self.note([note])
            written()

    def tail(self, known: Known) -> Tail:
        """Return what a reader lacks."""
        head = self.heads.get(known.saga_id)
        if head is None or (head.seq, head.tag) == (known.seq, known.tag):
            return Tail(head=head)
        log = self.logs[known.saga_id]
        rebased = known.seq > 0 and not (known.seq <= len(log) and log[known.seq - 1].tag == known.tag)
        return Tail(head=head, entries=log[0 if rebased else known.seq :], rebased=rebased)
