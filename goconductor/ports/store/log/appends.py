"""Appends to the sagas' logs, and what becomes of them."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.store.log.head import Known, LogEntry, Tail
from goconductor.ports.store.log.leases import Lease, Take
from goconductor.ports.store.log.notes import Note

BATCHES_AT_ONCE = 2
"""Batches of appends, and of starts, that an engine has in flight, and a store has sessions for: one is in the database while the
engine works on the other. More would only make them smaller."""


class SignalId(msgspec.Struct, frozen=True):
    """What names a signal within its saga, and the hash of what it says: the same id with another hash is another signal."""

    id: str
    digest: bytes


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Events for one saga, accepted only if its head is still at (seq, tag).

    ``wake_at`` None means that nobody has to look (ended, paused, stuck). ``due_at`` makes the append wait for its time:
    accepted only if the database's clock has reached it. ``release`` frees leases by key, instance and token. ``epoch``
    other than 0 demands that the leader's epoch still is this one. ``signals`` are those that the entries tell of. ``version``
    is the version of the definition that the head names from then on; None leaves it. Nothing else may come with one.
    ``unchanged`` are heads, this saga's included, that must all be where they are said to be. ``notes`` are those of the
    requests among the entries, for the audit log.
    """

    saga_id: UUID
    seq: int
    tag: int
    new_tag: int
    entries: list[LogEntry]
    status: str
    instance: int
    wake_at: float | None
    due_at: float | None = None
    release: list[Lease] = []
    take: list[Take] = []
    epoch: int = 0
    signals: list[SignalId] = []
    version: str | None = None
    unchanged: list[Known] = []
    notes: list[Note] = []


class Verdict(enum.StrEnum):
    """What became of an append or a start."""

    WON = "won"
    CONFLICT = "conflict"
    NOT_DUE = "not_due"
    FENCED = "fenced"
    KNOWN_SIGNAL = "known_signal"
    REJECTED = "rejected"
    HELD_UP = "held_up"
    ALREADY_STARTED = "already_started"
    OTHER_INPUT = "other_input"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``took`` are the tokens of the leases of ``take`` that are now held. ``existing`` is the saga that a start key already has.

    REJECTED carries in ``problem`` why the database refuses this one entry (such as a NUL byte); the others of its batch are not
    touched by it. HELD_UP: an open transaction of another program has locked what this one entry needs; nothing was written, and
    it may be asked again.
    """

    verdict: Verdict
    took: list[int] = []
    existing: UUID | None = None
    problem: str = ""


class Log(Protocol):
    """The sagas' logs, and the heads that arbitrate them.

    5. **Append** accepts what names the present seq and tag; events get seq+1, seq+2 …, the head moves with them, leases are
       released by key, instance and token and taken if free, all in one durable statement. One entry per saga and call.
    6. A loser changes nothing and is answered CONFLICT. An entry that the database refuses is REJECTED alone, and one whose row
       or start key another program's open transaction has locked is HELD_UP alone, after a short wait.
       An append is a loser, too, where one of the heads has moved that it wants ``unchanged``.
       An append whose signal ids are known of that saga is answered KNOWN_SIGNAL, and changes nothing: an id is appended once.
    7. When the connection breaks in the middle, :class:`StoreUnavailableError` is raised and the outcome is open: the caller
       reads the tail and looks for its event ids.

    **Read** answers what a reader lacks of each saga, in the form of :class:`Tail`.
    """

    async def append(self, appends: Sequence[Append]) -> list[Outcome]: ...
    async def read(self, known: Sequence[Known]) -> list[Tail]: ...
