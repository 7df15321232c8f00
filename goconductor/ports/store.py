"""The saga store: the log, the heads that arbitrate it, and the leases on running steps.

The store knows nothing of a saga's meaning. An event crosses as a :class:`LogEntry` whose ``data`` is opaque JSON.
Every method takes many sagas at once; a result list has the order of its argument list. Times are seconds since 1970 by
the database's clock; durations are seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from goconductor.ports.choices import Choices, Spoken
from goconductor.ports.history import History
from goconductor.ports.reading import EVERYTHING, Presence, Sweep, Wanted
from goconductor.ports.retention import Retention
from goconductor.ports.transactions import Transaction
from goconductor.saga.ids import Direction

BATCHES_AT_ONCE = 2
"""So many batches of appends, and of starts, an engine has in flight, and a store has sessions for: one is in the database while
the engine works on the other. More would only make them smaller."""


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one saga as it is stored; ``seq`` and ``tag`` are given by the append (0 before)."""

    event_id: UUID
    event: str
    at: float
    step: str = ""
    round: int = 0
    attempt: int = 0
    token: int = 0
    participant: str = ""
    data: bytes = b"{}"
    seq: int = 0
    tag: int = 0


class LeaseKey(msgspec.Struct, frozen=True, order=True):
    """What a lease is on."""

    saga_id: UUID
    step: str
    direction: Direction
    round: int = 0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A right to run one direction of one step, which ends by itself at ``expires_at``."""

    key: LeaseKey
    instance: int
    token: int
    expires_at: float = 0.0


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The one row of a saga that arbitrates appends. ``tag`` is random and new with each append."""

    saga_id: UUID
    saga: str
    version: str
    status: str
    seq: int
    tag: int
    wake_at: float | None = None
    last_instance: int = 0
    labels: dict[str, str] = {}
    started_at: float = 0.0
    updated_at: float = 0.0


class Known(msgspec.Struct, frozen=True):
    """What a reader already knows of a saga; seq 0 means nothing."""

    saga_id: UUID
    seq: int = 0
    tag: int = 0


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a :class:`Known`: the head, and what the reader lacks.

    ``head`` is None if the saga does not exist. ``entries`` start at ``known.seq + 1`` if ``rebased`` is False; if it is
    True, what the reader knew is not part of this log (a timeline lost in a failover): drop it and fold ``entries``, which
    then are the whole log.
    """

    head: Head | None
    entries: list[LogEntry] = []
    rebased: bool = False


class Acquire(msgspec.Struct, frozen=True, kw_only=True):
    """A wish for a lease, with what is already known of the saga."""

    lease: Lease
    lease_seconds: float
    known: Known


class Acquired(msgspec.Struct, frozen=True, kw_only=True):
    """``granted`` with the fresh tail, or not because ``holder`` has it (the tail is then empty).

    ``taken_from`` is the instance that held it, let it run out, and did not free it: an attempt may have begun, and the log does
    not know what became of it. None if nobody did.
    """

    granted: bool
    tail: Tail
    holder: Lease | None = None
    taken_from: int | None = None


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """A lease to be taken in the very statement of an append, never over one that is there: living, or not freed (4)."""

    lease: Lease
    lease_seconds: float


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Events for one saga, accepted only if its head is still at (seq, tag).

    ``wake_at`` None means that nobody has to look (ended, paused, stuck). ``due_at`` makes the append wait for its time:
    accepted only if the database's clock has reached it. ``release`` frees leases by key, instance and token. ``epoch``
    other than 0 demands that the leader's epoch still is this one.
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


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A new saga. With ``key`` it starts once per (namespace, saga, key); ``input_hash`` tells other input under the same key."""

    saga_id: UUID
    namespace: str
    saga: str
    version: str
    new_tag: int
    entries: list[LogEntry]
    status: str
    instance: int
    wake_at: float | None
    key: str | None = None
    input_hash: bytes = b""
    labels: dict[str, str] = {}
    take: list[Take] = []


class Verdict(enum.StrEnum):
    """What became of an append or a start."""

    WON = "won"
    CONFLICT = "conflict"
    NOT_DUE = "not_due"
    FENCED = "fenced"
    REJECTED = "rejected"
    HELD_UP = "held_up"
    ALREADY_STARTED = "already_started"
    OTHER_INPUT = "other_input"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``took`` are the tokens of the leases of ``take`` that are now held. ``existing`` is the saga that a start key already has.

    REJECTED carries in ``problem`` why the database refuses this one entry (a NUL byte, say); the others of its batch
    are not touched by it. HELD_UP: somebody's open transaction has locked what this one entry needs; nothing was written, and it
    may be asked again.
    """

    verdict: Verdict
    took: list[int] = []
    existing: UUID | None = None
    problem: str = ""


class StoredDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a saga's definition: its canonical JSON, and whether new sagas of its namespace take it.

    ``pinned``: an operator said so. ``offered``: how many living instances have it in their code.
    """

    namespace: str
    saga: str
    version: str
    document: bytes
    active: bool = False
    registered_at: float = 0.0
    pinned: bool = False
    offered: int = 0


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One running process of a participant; ``serial`` is its number for ever. ``steps`` maps step name to facts about it.

    ``speaks`` is what it says of the buses and elections that it names, by their kind, and of journals that it cannot use.
    """

    serial: int
    participant: str
    name: str
    steps: dict[str, dict[str, object]] = {}
    started_at: float = 0.0
    dead_at: float | None = None
    speaks: dict[str, Spoken] = {}


def ignore(_: Instance) -> None:
    """What a store tells who does not want to know."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up on, kept with the reason."""

    topic: str
    payload: bytes
    reason: str
    headers: dict[str, str] = {}
    at: float = 0.0
    letter_id: int = 0


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One continuous leadership, numbered, never reused. The epoch is the fencing token of all that the leader writes.

    ``election`` names the one that it was won in, where that was told.
    """

    epoch: int
    holder: str
    ends_at: float
    election: str = ""


class Terms(Protocol):
    """The store's part in an election: it numbers the terms and knows their ends. Evidence is another system's number
    (etcd's revision, ZooKeeper's zxid) that must grow for the epoch to rise; None where the store itself elects.

    1. ``raise_epoch`` returns a term with an epoch higher than any before, and the old epoch is refused from then on.
    2. ``raise_epoch`` with evidence not above the last accepted evidence returns None.
    3. ``renew`` prolongs only the present epoch; a late renewal of an older one returns None and changes nothing.
    4. ``resign`` ends only the present epoch's term, at once; a late one of an older epoch changes nothing.
    5. ``current`` is the term as the database has it now, or None if there never was one.
    6. ``last_evidence`` is the evidence that was accepted last, or None if there never was any. Where the other system's numbers
       went back (its data were lost, or another election is used now), who has made sure that it leads goes on with the next
       number: of two who read the same one, the second is refused.
    7. ``database_time`` is read from the clock by which terms end.
    8. ``raise_epoch`` for a named election returns None while another election is the chosen one, and until the term is over that
       was won in another one: so that an election can be changed for another without two leaders.
    """

    async def raise_epoch(
        self, holder: str, term_seconds: float, evidence: int | None = None, *, election: str = ""
    ) -> Term | None: ...
    async def renew(self, term: Term, term_seconds: float) -> Term | None: ...
    async def resign(self, term: Term) -> None: ...
    async def current(self) -> Term | None: ...
    async def last_evidence(self) -> int | None: ...
    async def database_time(self) -> float: ...


class SagaStore(Terms, Choices, History, Protocol):
    """Where the truth is.

    1. **Open** checks the schema (:class:`SchemaError`), waits while the database is absent, saying so, and refuses a
       transaction pooler (:class:`PoolerError`).
    2. **Register** gives an instance its serial and takes its sign of life, which ends when the process does. **Beside** makes
       another store on the same data, not open, for another thread of this process: while it is connected, the instances that
       this store registered are not missing (11). ``on_rewind`` is called where the log may have lost what this process told it,
       as after a failover: with the instance as it is then registered, which may have another serial.
    3. **Start** inserts head, log, key and leases in one durable transaction; the same key and hash again answers
       ALREADY_STARTED with the saga that exists, another hash OTHER_INPUT. **Start in** does so for one saga inside the
       caller's own open transaction: it begins when that commits, or never, key included. It takes no lease, and what the
       database refuses does not spoil the transaction. A store without transactions refuses (:class:`ConfigurationError`).
    4. **Acquire** takes the leases that are free or expired, *commits*, and only then reads heads and tails, so that no
       head is older than its lease. It says whose expired lease was taken over, also to who takes it after the next one has
       let it run out, until an append frees it or **release** does, ``told``. A release without that only ends it.
    5. **Append** accepts what names the present seq and tag; events get seq+1, seq+2 …, the head moves with them, leases are
       released by key, instance and token and taken if free, all in one durable statement. One entry per saga and call.
    6. A loser changes nothing and is told CONFLICT; an entry that the database refuses is REJECTED alone, and one whose row
       or start key somebody else's open transaction has locked is HELD_UP alone, after a short wait.
    7. When the connection breaks in the middle, :class:`StoreUnavailableError` is raised and the outcome is open: the caller
       reads the tail and looks for its event ids.
    8. **Renew** prolongs leases that are there and name their token; one that was released stays away, also when the renewal
       was under way. **Reassert** brings absent leases back, only while the lease table is emptied (13), never over another's.
       Both return the keys that they wrote.
    9. **Due** lists sagas whose ``wake_at`` has come, oldest first; **live** all that have one, by their ids, those after
       ``after``; **postpone** moves ``wake_at`` only at that seq and tag.
    10. **Free** deletes leases only while ``epoch`` is the leader's present epoch (:class:`FencedError` otherwise).
    """

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def beside(self) -> SagaStore: ...

    async def register(
        self,
        participant: str,
        name: str,
        steps: Mapping[str, Mapping[str, object]],
        *,
        on_rewind: Callable[[Instance], None] = ignore,
    ) -> Instance: ...
    async def unregister(self, serial: int) -> None: ...

    async def start(self, starts: Sequence[Start]) -> list[Outcome]: ...
    async def start_in(self, transaction: Transaction, start: Start) -> Outcome: ...
    async def acquire(self, requests: Sequence[Acquire]) -> list[Acquired]: ...
    async def append(self, appends: Sequence[Append]) -> list[Outcome]: ...
    async def read(self, known: Sequence[Known]) -> list[Tail]: ...
    async def renew_leases(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]: ...
    async def reassert_leases(self, leases: Sequence[Lease], lease_seconds: float) -> set[LeaseKey]: ...
    async def release_leases(self, leases: Sequence[Lease], *, told: bool = False) -> None: ...

    async def put_definition(
        self, definition: StoredDefinition, *, activate: bool, pin: bool | None = None, offered_by: int | None = None
    ) -> None: ...
    async def definition(self, namespace: str, saga: str, version: str | None = None) -> StoredDefinition | None: ...
    async def put_dead_letter(self, letter: DeadLetter) -> None: ...


class RecoveryStore(SagaStore, Retention, Protocol):
    """What the elected leader needs beyond :class:`SagaStore`.

    11. **Missing** names instances whose sign of life is gone and that have no other connection left, as of this moment; the
        caller asks twice, half a second apart, before it believes it. An instance that registered less than a second ago is
        never named.
    12. **Mark dead** records the death under the epoch, and returns the leases the dead one held, which end with that, and the
        live sagas whose last append was its own. It frees none: who takes one over must know that another had it.
    13. **Leases truncated** tells whether the lease table was emptied by a crash of the database: true until
        ``acknowledge_truncation`` has been called once after it.
    14. **Calm seconds** is for how long leases and signs of life can have been what they say: since the database's last start or
        promotion, or, where the lease table was emptied without one, since a leader noticed. That is written down under
        ``epoch``, so that the next leader does not begin to wait anew.
    15. **Note sweep** keeps what the leader has done lately, for people to look at, only while ``epoch`` is present.
    16. **Weigh** tells how many bytes the log of each saga takes as it is stored, about; 0 for one that is not there.
    """

    async def due(self, limit: int) -> list[Head]: ...
    async def live(self, limit: int, *, after: UUID | None = None) -> list[Head]: ...
    async def weigh(self, saga_ids: Sequence[UUID]) -> list[int]: ...
    async def postpone(self, heads: Sequence[tuple[Known, float]], *, epoch: int) -> None: ...
    async def leases(self, saga_ids: Sequence[UUID]) -> list[Lease]: ...
    async def free(self, leases: Sequence[Lease], *, epoch: int) -> None: ...
    async def missing(self) -> list[Instance]: ...
    async def mark_dead(self, serial: int, *, epoch: int) -> tuple[list[Lease], list[UUID]]: ...
    async def leases_truncated(self) -> bool: ...
    async def calm_seconds(self, *, epoch: int) -> float: ...
    async def acknowledge_truncation(self, *, epoch: int) -> None: ...
    async def note_sweep(self, did: Mapping[str, int], *, epoch: int) -> None: ...


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some heads, newest first, and the cursor for the rest: what has a lower id was not searched yet; None at the end."""

    heads: list[Head]
    cursor: UUID | None = None


class SagaReader(Protocol):
    """The read side, for doors; may lag behind only where it says so.

    17. **Heads** searches for about ``seconds`` at most, newest first, and answers what it found by then, which may be nothing;
        the cursor then says how far it came. Without an end of the time a page is full unless it is the last.
    18. **Presence** tells of each instance that is alive or has died since ``dead_since``, in the order of their serials.
    19. **Drop dead letter** tells whether it was still there.
    20. **Started** is the saga that a start key has started in a namespace, or None. **Definitions** are a namespace's, too.
    """

    async def head(self, saga_id: UUID) -> Head | None: ...
    async def started(self, namespace: str, saga: str, key: str) -> UUID | None: ...
    async def heads(
        self, wanted: Wanted = EVERYTHING, *, before: UUID | None = None, limit: int = 50, seconds: float = 1.0
    ) -> Page: ...
    async def history(self, saga_id: UUID, *, after: int = 0, limit: int = 1000) -> list[LogEntry]: ...
    async def instances(self, participant: str | None = None) -> list[Instance]: ...
    async def presence(self, *, dead_since: float) -> list[tuple[Instance, Presence]]: ...
    async def last_sweep(self) -> Sweep | None: ...
    async def definitions(self, namespace: str, saga: str | None = None) -> list[StoredDefinition]: ...
    async def dead_letters(self, *, limit: int = 100, before: int | None = None) -> list[DeadLetter]: ...
    async def dead_letter(self, letter_id: int) -> DeadLetter | None: ...
    async def drop_dead_letter(self, letter_id: int) -> bool: ...
