"""Locks of sagas: who holds a key, and who waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from goconductor.lifecycle.facts.lock import Held, Wish


class LockRow(msgspec.Struct, frozen=True, kw_only=True):
    """A saga and a key: it holds the key, or has a place in the queue for it.

    Args:
        key: the lock's.
        saga_id: the saga's.
        shared: whether others that are shared may hold it too.
        held: whether it holds the key.
        number: rises with each row. A holder's is its fencing number, and of places the lowest is the first.
        since: when it was taken, or when the saga began to wait, in seconds since 1970.
        status: the saga's; empty where that is gone.
        late: whether a step of the saga may still act though it was terminated.
        seq: where the saga's head is, with ``tag``; 0 where it is gone.
    """

    key: str
    saga_id: UUID
    shared: bool
    held: bool
    number: int
    since: float
    status: str = ""
    late: bool = False
    seq: int = 0
    tag: int = 0


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a saga's locks has found and done.

    Args:
        held: of the keys that it wishes, those that it holds by now.
        waits: the keys for which it has a place.
        is_new: one of these places was made by this look.
        is_first: one of these places is the first of its queue.
        wake: other sagas that may take a key now.
    """

    held: dict[str, Held] = {}
    waits: tuple[str, ...] = ()
    is_new: bool = False
    is_first: bool = False
    wake: tuple[UUID, ...] = ()


class LockCursor(NamedTuple):
    """The last row of a page."""

    key: str
    waits: bool
    number: int


def cursor_of(row: LockRow) -> LockCursor:
    """Return where a list goes on after a row."""
    return LockCursor(row.key, not row.held, row.number)


class Locks(Protocol):
    """The locks of sagas. The rules of a queue are in :mod:`goconductor.ports.store.log.queues`.

    26. **Look** makes the rows of one saga agree with what it wishes, key after key: it takes the keys that it may take, and has
        a place for the first of each step's wishes that it may not. A saga has one row for a key, which takes the stronger mode
        as long as it waits. Places for what it wishes no more go; with ``takes`` False it takes nothing and keeps its
        places, and with ``ended`` it gives up all but what 27 lets it keep. Two looks at a key come one after the other, and
        the second sees what the first has done, and the heads as they are then.
    27. A key is free when the saga that holds it has ended, or is gone. One that was terminated keeps it while a lease of it
        lives, and while the leases prove nothing (13). ``number`` is higher with each taking of a key.
    28. **Circle** answers, as of one moment, all rows of a saga, of those that it waits for, and of those that these wait for.
    29. **Rows** lists by key, first who holds it and then who waits, of one key or of all keys of one saga. When a saga is
        forgotten (19), its rows are too.
    """

    async def look(
        self, saga_id: UUID, wishes: Sequence[Sequence[Wish]], *, takes: bool = True, ended: bool = False
    ) -> Looked: ...
    async def circle(self, saga_id: UUID) -> list[LockRow]: ...
    async def rows(
        self, *, key: str | None = None, saga_id: UUID | None = None, after: LockCursor | None = None, limit: int
    ) -> list[LockRow]: ...
