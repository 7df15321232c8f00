"""What a reader lacks of a saga: its head, and the tail of its log.

The head is read first; its log up to that head cannot change any more. What the reader knew is part of the log only if the
row at that seq carries that tag: after a failover that lost commits, a seq alone would be believed wrongly.

Logs may be large. Where a statement takes too long for the server, its sagas are read in halves; of one saga alone, its log is.
"""

# ruff: noqa: S608 - statements are put together from constants of this package

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from goconductor.ports.store import Head, Known, LogEntry, Tail
from goconductor.postgres.lookout import Lookout
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.log.rows import EVENT_COLUMNS, HEAD_COLUMNS, entry_of, head_of
from goconductor.stores.postgres.log.statement import statement

HEADS = statement(
    f"""
SELECT {HEAD_COLUMNS} FROM unnest(:saga_id) AS u(saga_id) JOIN goconductor.sagas AS s ON s.saga_id = u.saga_id
""",
    saga_id="uuid[]",
)

TAILS = statement(
    f"""
SELECT u.saga_id, u.seq AS known_seq, u.tag AS known_tag, {EVENT_COLUMNS}
FROM unnest(:saga_id, :seq, :tag, :head_seq) AS u(saga_id, seq, tag, head_seq)
CROSS JOIN LATERAL (SELECT EXISTS (
    SELECT FROM goconductor.saga_log AS k WHERE k.saga_id = u.saga_id AND k.seq = u.seq AND k.tag = u.tag
) AS known) AS b
CROSS JOIN LATERAL (
    SELECT * FROM goconductor.saga_log AS t
    WHERE t.saga_id = u.saga_id AND t.seq > CASE WHEN b.known THEN u.seq ELSE 0 END AND t.seq <= u.head_seq
    ORDER BY t.seq
) AS e
""",
    saga_id="uuid[]",
    seq="bigint[]",
    tag="bigint[]",
    head_seq="bigint[]",
)


class _Gap(NamedTuple):
    """What is lacking of a saga: after what is known, up to the head."""

    saga_id: UUID
    seq: int
    tag: int
    head_seq: int


class TailReader:
    """Reads heads and tails, on a connection that it is given."""

    def __init__(self, address: Address, lookout: Lookout) -> None:
        self._lookout = lookout
        self._heads = address.sql(HEADS)
        self._tails = address.sql(TAILS)

    async def read(self, connection: Connection, known: Sequence[Known]) -> list[Tail]:
        """Return the tails, in the order of what is known."""
        if not known:
            return []
        numbers = [one.saga_id.int for one in known]  # a UUID's hash is worked out in Python
        wanted = {number: one.saga_id for number, one in zip(numbers, known, strict=True)}
        found = {head.saga_id.int: head for head in map(head_of, await connection.fetch(self._heads, list(wanted.values())))}
        if len(found) < len(wanted):
            await self._lookout.confirm_absence(connection)
        heads = [found.get(number) for number in numbers]
        behind = {one: head for one, head in zip(known, heads, strict=True) if head is not None and not _is_at(one, head)}
        if not behind:  # as nearly always
            return [Tail(head=head) for head in heads]
        entries = await self._entries(connection, behind)
        return [_tail(one, head, entries.get(one, [])) for one, head in zip(known, heads, strict=True)]

    async def _entries(self, connection: Connection, behind: dict[Known, Head]) -> dict[Known, list[LogEntry]]:
        gaps = [_Gap(one.saga_id, one.seq, one.tag, head.seq) for one, head in behind.items()]
        return dict(zip(behind, await self._fill(connection, gaps), strict=True))

    async def _fill(self, connection: Connection, gaps: Sequence[_Gap]) -> list[list[LogEntry]]:
        try:
            rows = await connection.fetch(self._tails, *map(list, zip(*gaps, strict=True)))
        except asyncpg.QueryCanceledError:
            if len(gaps) == 1 and gaps[0].head_seq - gaps[0].seq < 2:
                raise  # one event alone takes too long
            if len(gaps) == 1:
                return [await self._halves(connection, gaps[0])]
            middle = len(gaps) // 2
            return [*await self._fill(connection, gaps[:middle]), *await self._fill(connection, gaps[middle:])]
        found: dict[tuple[UUID, int, int], list[LogEntry]] = {gap[:3]: [] for gap in gaps}
        for row in rows:
            found[row["saga_id"], row["known_seq"], row["known_tag"]].append(entry_of(row))
        return [found[gap[:3]] for gap in gaps]

    async def _halves(self, connection: Connection, gap: _Gap) -> list[LogEntry]:
        middle = (gap.seq + gap.head_seq) // 2
        [first] = await self._fill(connection, [gap._replace(head_seq=middle)])
        [second] = await self._fill(connection, [_Gap(gap.saga_id, first[-1].seq, first[-1].tag, gap.head_seq)])
        return first + second


def _is_at(known: Known, head: Head) -> bool:
    return known.seq == head.seq and known.tag == head.tag


def _tail(known: Known, head: Head | None, entries: list[LogEntry]) -> Tail:
    rebased = head is not None and known.seq > 0 and not _is_at(known, head) and (not entries or entries[0].seq != known.seq + 1)
    return Tail(head=head, entries=entries, rebased=rebased)
