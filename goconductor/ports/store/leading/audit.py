"""The audit log: who has asked for what, by which door, and how it ended; and the chain by which a later change of it shows.

**The chain.** A row's link is SHA-256 of the link before and of the row's own facts (:func:`link`), from 32 zero bytes on. Who
changes a row, or takes one from the middle, would have to write all links after it anew. Then the last one is another one than
somebody has copied elsewhere.

**Who links.** A chain that each request continued in its own transaction would make all requests wait for one another. So rows
are written without a place, and the leader gives them places afterwards, under its epoch. Requests commit in another order than
they were numbered. A cursor over the numbers would skip one that commits late. The leader has no cursor: it asks for rows that
have no place yet, by an index of these alone, and a late one is among them whenever it comes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from goconductor.ports.store.log.notes import Note

BEGINNING = bytes(32)
"""The link before the first."""

_FACTS = tuple(name for name in Note.__struct_fields__)


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the audit log.

    Args:
        id: its number, in the order in which requests began to write.
        at: when it was written, in seconds since 1970 by the database's clock.
        note: what it says.
        seq: its place in the chain, from 1 on; None until the leader has given it one.
        hash: its link; None until then.
    """

    id: int
    at: float
    note: Note
    seq: int | None = None
    hash: bytes | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A row's place in the chain. Fields as those of :class:`AuditRow`."""

    id: int
    seq: int
    hash: bytes


class AuditWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted; None is any.

    Args:
        actor: of this actor.
        function: of this function.
        object: about this object.
        outcome: that ended so.
        since: written at this moment or later, in seconds since 1970.
        until: written before.
    """

    actor: str | None = None
    function: str | None = None
    object: str | None = None
    outcome: str | None = None
    since: float | None = None
    until: float | None = None


def link(before: bytes, seq: int, row: AuditRow) -> bytes:
    """Return a row's link: SHA-256 of the link before it and of a JSON array of its facts.

    Args:
        before: the link before.
        seq: the row's place.
        row: its facts. The time counts in whole microseconds.
    """
    facts = [seq, row.id, round(row.at * 1_000_000), *(getattr(row.note, name) for name in _FACTS)]
    return hashlib.sha256(before + msgspec.json.encode(facts)).digest()


class Audit(Protocol):
    """The audit log. Rows are added and, by retention, taken away; what a row says never changes.

    35. **Write** adds a row. Each append, start, and change of a key, a schedule, a definition, a dead letter or a choice writes
        the note of the request that makes it (:func:`~goconductor.ports.store.log.notes.unwritten`; appends and starts carry
        theirs) in its own transaction, if and only if it wins.
    36. **Newest** has the rows that are wanted, the newest first, at most ``limit``, older than ``before``. **Placed** has those
        with a place after ``after``, by place. **Unplaced** has the oldest without one.
    37. **Place** gives rows their places and links. One that has a place keeps it. It writes only while ``epoch`` is the leader's
        present epoch (:class:`FencedError` otherwise). **Head** is the row with the last place.
    """

    async def write(self, note: Note) -> None: ...
    async def newest(self, wanted: AuditWanted, *, limit: int, before: int | None = None) -> list[AuditRow]: ...
    async def placed(self, *, after: int, limit: int) -> list[AuditRow]: ...
    async def unplaced(self, *, limit: int) -> list[AuditRow]: ...
    async def place(self, links: Sequence[Link], *, epoch: int) -> None: ...
    async def head(self) -> AuditRow | None: ...
