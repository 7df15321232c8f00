"""What a reader lacks of a saga: its head, and the tail of its log.

The head is read first; its log up to that head cannot change any more. What the reader knew is part of the log only if the
row at that seq carries that tag: after a failover that lost commits, a seq alone would be believed wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from goconductor.ports.store import Head, Known, LogEntry, Tail
from goconductor.stores.postgres import sql
from goconductor.stores.postgres.dial import Address, Connection
from goconductor.stores.postgres.rows import entry_of, head_of


class TailReader:
    """Reads heads and tails, on a connection that it is given."""

    def __init__(self, address: Address) -> None:
        self._heads = address.sql(sql.HEADS)
        self._tails = address.sql(sql.TAILS)

    async def read(self, connection: Connection, known: Sequence[Known]) -> list[Tail]:
        """The tails, in the order of what is known."""
        wanted = list({one.saga_id: None for one in known})
        heads = {head.saga_id: head for head in map(head_of, await connection.fetch(self._heads, wanted))} if wanted else {}
        behind = {one: heads[one.saga_id] for one in known if one.saga_id in heads and not _is_at(one, heads[one.saga_id])}
        entries = await self._entries(connection, behind)
        return [_tail(one, heads.get(one.saga_id), entries.get(one, [])) for one in known]

    async def _entries(self, connection: Connection, behind: dict[Known, Head]) -> dict[Known, list[LogEntry]]:
        by_place: dict[tuple[UUID, int, int], list[LogEntry]] = {(k.saga_id, k.seq, k.tag): [] for k in behind}
        if behind:
            places = list(zip(*by_place, strict=True))
            rows = await connection.fetch(self._tails, *map(list, places), [head.seq for head in behind.values()])
            for row in rows:
                by_place[row["saga_id"], row["known_seq"], row["known_tag"]].append(entry_of(row))
        return {Known(*place): entries for place, entries in by_place.items()}


def _is_at(known: Known, head: Head) -> bool:
    return known.seq == head.seq and known.tag == head.tag


def _tail(known: Known, head: Head | None, entries: list[LogEntry]) -> Tail:
    rebased = head is not None and known.seq > 0 and not _is_at(known, head) and (not entries or entries[0].seq != known.seq + 1)
    return Tail(head=head, entries=entries, rebased=rebased)
