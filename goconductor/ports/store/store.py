"""All of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from goconductor.ports.choices import Choices
from goconductor.ports.history import History
from goconductor.ports.reading import EVERYTHING, Presence, Sweep, Wanted
from goconductor.ports.retention import Retention
from goconductor.ports.store.dead_letters import DeadLetters
from goconductor.ports.store.definitions import Definitions
from goconductor.ports.store.instances import Instance, ignore
from goconductor.ports.store.leases import Lease, Leases
from goconductor.ports.store.log import Log
from goconductor.ports.store.sagas import Head, Known, LogEntry, Page
from goconductor.ports.store.starts import Starts
from goconductor.ports.store.terms import Terms


class SagaStore(Terms, Choices, History, Protocol):
    """Where the truth is.

    1. **Open** checks the schema (:class:`SchemaError`), waits while the database is absent, saying so, and refuses a
       transaction pooler (:class:`PoolerError`).
    2. **Register** gives an instance its serial and takes its sign of life, which ends when the process does. **Beside** makes
       another store on the same data, not open, for another thread of this process: while it is connected, the instances that
       this store registered are not missing (11). ``on_rewind`` is called where the log may have lost what this process told it,
       as after a failover: with the instance as it is then registered, which may have another serial.
    9. **Due** lists sagas whose ``wake_at`` has come, oldest first; **live** all that have one, by their ids, those after
       ``after``; **postpone** moves ``wake_at`` only at that seq and tag.
    10. **Free** deletes leases only while ``epoch`` is the leader's present epoch (:class:`FencedError` otherwise).
    """

    @property
    def starts(self) -> Starts: ...
    @property
    def log(self) -> Log: ...
    @property
    def leases(self) -> Leases: ...
    @property
    def definitions(self) -> Definitions: ...
    @property
    def dead_letters(self) -> DeadLetters: ...

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
    async def leases_on(self, saga_ids: Sequence[UUID]) -> list[Lease]: ...
    async def free(self, leases: Sequence[Lease], *, epoch: int) -> None: ...
    async def missing(self) -> list[Instance]: ...
    async def mark_dead(self, serial: int, *, epoch: int) -> tuple[list[Lease], list[UUID]]: ...
    async def leases_truncated(self) -> bool: ...
    async def calm_seconds(self, *, epoch: int) -> float: ...
    async def acknowledge_truncation(self, *, epoch: int) -> None: ...
    async def note_sweep(self, did: Mapping[str, int], *, epoch: int) -> None: ...


class SagaReader(Protocol):
    """The read side, for doors; may lag behind only where it says so.

    17. **Heads** searches for about ``seconds`` at most, newest first, and answers what it found by then, which may be nothing;
        the cursor then says how far it came. Without an end of the time a page is full unless it is the last.
    18. **Presence** tells of each instance that is alive or has died since ``dead_since``, in the order of their serials.
    19. **Started** is the saga that a start key has started in a namespace, or None.
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
