"""Appending events: the head arbitrates, and all that belongs to an append is one durable statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from goconductor.ports.store import Append, Known, Lease, Outcome, Tail, Verdict
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address, Connection
from goconductor.stores.postgres.database.notes import note_rows
from goconductor.stores.postgres.log import writes
from goconductor.stores.postgres.log.batch import Bodies, columns, document, fetch, in_order, lease_row, take_rows, verdicts
from goconductor.stores.postgres.log.sifting import LOCK_TABLES, Sieve, held_up, pieces, rejected
from goconductor.stores.postgres.log.statement import statement
from goconductor.stores.postgres.log.tails import TailReader

LOST = Outcome(verdict=Verdict.CONFLICT)
FENCED = Outcome(verdict=Verdict.FENCED)
NOT_DUE = Outcome(verdict=Verdict.NOT_DUE)
KNOWN = Outcome(verdict=Verdict.KNOWN_SIGNAL)

UNCHANGED = statement(
    """
SELECT s.saga_id
FROM unnest(:saga_id, :seq, :tag) AS u(saga_id, seq, tag)
JOIN goconductor.sagas AS s ON s.saga_id = u.saga_id AND s.seq = u.seq AND s.tag = u.tag
""",
    saga_id="uuid[]",
    seq="bigint[]",
    tag="bigint[]",
)

KNOWN_SIGNALS = statement(
    """
SELECT DISTINCT k.saga_id
FROM unnest(:saga_id, :id) AS u(saga_id, id) JOIN goconductor.signals AS k ON k.saga_id = u.saga_id AND k.id = u.id
""",
    saga_id="uuid[]",
    id="text[]",
)


class PostgresLog:
    """The sagas' logs.

    Args:
        sessions: for appends alone.
        reading: for tails.
        address: the database and our schema.
        tails: reads them.
    """

    def __init__(self, sessions: Usable, reading: Usable, address: Address, tails: TailReader) -> None:
        self._sessions = sessions
        self._reading = reading
        self._tails = tails
        self._append = address.sql(writes.APPEND)
        self._append_alone = {shape: address.sql(text) for shape, text in writes.APPEND_ALONE.items()}
        self._append_fenced = address.sql(writes.APPEND_FENCED)
        self._append_guarded = address.sql(writes.APPEND_GUARDED)
        self._append_signals = address.sql(writes.APPEND_SIGNALS)
        self._append_signals_fenced = address.sql(writes.APPEND_SIGNALS_FENCED)
        self._append_migration = address.sql(writes.APPEND_MIGRATION)
        self._known_signals = address.sql(KNOWN_SIGNALS)
        self._unchanged = address.sql(UNCHANGED)
        self._lock_tables = address.sql(LOCK_TABLES)
        self._epoch = address.sql(f"SELECT epoch FROM goconductor.leadership WHERE {writes.LED}")  # noqa: S608  (a constant)

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        alike: dict[tuple[int, bool, bool, int], list[Append]] = defaultdict(list)
        for append in in_order(appends):
            alone = append.saga_id.int if append.unchanged else 0
            alike[append.epoch, bool(append.signals or append.notes), append.version is not None, alone].append(append)
        outcomes: dict[int, Outcome] = {}
        async with self._sessions.use() as connection:
            sieve = Sieve(connection, self._lock_tables)

            async def run(batch: Sequence[Append]) -> list[Outcome]:
                return await self._run(connection, batch)

            for batch in (piece for whole in alike.values() for piece in pieces(whole)):
                done = await sieve.run(batch, run, rejected, held_up)
                outcomes |= zip((append.saga_id.int for append in batch), done, strict=True)
        return [outcomes[append.saga_id.int] for append in appends]

    async def read(self, known: Sequence[Known]) -> list[Tail]:
        async with self._reading.use() as connection:
            return await self._tails.read(connection, known)

    async def _run(self, connection: Connection, batch: Sequence[Append]) -> list[Outcome]:
        epoch = batch[0].epoch
        won = verdicts(await fetch(connection, *self._statement(batch, epoch)))
        if len(won) == len(batch):
            return [won[append.saga_id] for append in batch]
        if epoch and not won and await connection.fetchval(self._epoch) != epoch:
            return [FENCED] * len(batch)
        known = await self._known(connection, [a for a in batch if a.signals and a.saga_id not in won])
        waiting = await self._waiting(connection, [a for a in batch if a.due_at is not None and a.saga_id not in won])
        return [won.get(a.saga_id) or (KNOWN if a.saga_id in known else NOT_DUE if a.saga_id in waiting else LOST) for a in batch]

    def _statement(self, batch: Sequence[Append], epoch: int) -> tuple[str, list[Any]]:
        """Return the statement for a batch, and its arguments. A lease that is released and taken at once is only updated."""
        bodies = Bodies()
        handed_on: list[int] = []
        rows: list[tuple[Any, ...]] = []
        has_more = bool(batch[0].signals or batch[0].notes)
        for a in batch:
            releases: Iterable[Lease] = a.release
            if releases and a.take:
                wanted = {_place(take.lease) for take in a.take}
                handed_on += [lease.token for lease in releases if _place(lease) in wanted]
                releases = [lease for lease in releases if _place(lease) not in wanted]
            rows.append(
                (
                    a.saga_id,
                    a.seq,
                    a.tag,
                    a.new_tag,
                    a.status,
                    a.instance,
                    a.wake_at,
                    a.due_at,
                    *([] if a.version is None else [a.version]),
                    bodies.rows(a.entries),
                    [lease_row(lease) for lease in sorted(releases, key=_key)],
                    take_rows(a.take),
                    *([[(signal.id, signal.digest.hex()) for signal in a.signals]] if has_more and a.version is None else []),
                    *([note_rows(a.notes)] if has_more or a.version is not None else []),
                )
            )
        if batch[0].version is not None:
            return self._append_migration, [document(rows), bodies.all, handed_on]
        if has_more:
            text, last = (self._append_signals_fenced, [epoch]) if epoch else (self._append_signals, [])
            return text, [document(rows), bodies.all, handed_on, *last]
        if batch[0].unchanged:  # it goes alone
            others = columns([(known.saga_id, known.seq, known.tag) for known in batch[0].unchanged], 3)
            return self._append_guarded, [document(rows), bodies.all, handed_on, *others]
        if epoch:
            return self._append_fenced, [document(rows), bodies.all, handed_on, epoch]
        if len(rows) == 1:
            *facts, events, freed, taken = rows[0]
            alone = self._append_alone.get((len(freed), len(taken)))
            if alone is not None and len(events) == 1:
                beside = [bodies.all, handed_on] if taken else [bodies.all]
                return alone, [*facts, *chain(*events, *freed, *taken), *beside]
        return self._append, [document(rows), bodies.all, handed_on]

    async def _known(self, connection: Connection, losers: list[Append]) -> set[object]:
        """Return those that name a signal which their saga has had before."""
        if not losers:
            return set()
        ids = [(a.saga_id, signal.id) for a in losers for signal in a.signals]
        return {row[0] for row in await connection.fetch(self._known_signals, [one for one, _ in ids], [id for _, id in ids])}

    async def _waiting(self, connection: Connection, losers: list[Append]) -> set[object]:
        """Return those whose head is what they named. Only the time can have kept them out, as a tag never comes again."""
        if not losers:
            return set()
        heads = [[a.saga_id for a in losers], [a.seq for a in losers], [a.tag for a in losers]]
        return {row[0] for row in await connection.fetch(self._unchanged, *heads)}


_key = attrgetter("key")
_place = attrgetter("key.step", "key.direction", "key.round")
"""A lease's key within its saga, whose id would be slow to hash."""
