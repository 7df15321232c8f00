"""Starting sagas: head, log, key and leases in one durable statement, and a second one that reads the keys of those who lost.

The second is needed: the statement that lost the race for a key has a snapshot from before the winner's commit.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import asyncpg

from goconductor.ports.store import Outcome, Start, Verdict
from goconductor.postgres.session import Usable
from goconductor.stores.postgres.database.dial import Address
from goconductor.stores.postgres.database.notes import note_rows
from goconductor.stores.postgres.log import writes
from goconductor.stores.postgres.log.batch import Bodies, columns, document, fetch, in_order, take_rows, verdicts
from goconductor.stores.postgres.log.callers import Callers
from goconductor.stores.postgres.log.sifting import LOCK_TABLES, Sieve, about_entry, held_up, pieces
from goconductor.stores.postgres.log.statement import statement

Fetch = Callable[[str, Sequence[object]], Awaitable[Sequence[Any]]]

SAGA_EXISTS = ("sagas_pkey", "saga_log_pkey")
TABLES_SECONDS = 5.0
"""Seconds that a start waits for the lock of a whole table. For that of a key it waits much less, and is tried again alone."""

START_KEYS = statement(
    """
SELECT k.namespace, k.saga, k.key, k.saga_id, k.input_hash
FROM unnest(:namespace, :saga, :key) AS u(namespace, saga, key)
JOIN goconductor.start_keys AS k ON k.namespace = u.namespace AND k.saga = u.saga AND k.key = u.key
""",
    namespace="text[]",
    saga="text[]",
    key="text[]",
)


class PostgresStarts:
    """Starts sagas, on sessions of its own or in a caller's transaction."""

    def __init__(self, sessions: Usable, address: Address, callers: Callers) -> None:
        self._sessions = sessions
        self._callers = callers
        self._start = address.sql(writes.START)
        self._start_noted = address.sql(writes.START_NOTED)
        self._start_alone = {shape: address.sql(text) for shape, text in writes.START_ALONE.items()}
        self._keys = address.sql(START_KEYS)
        self._lock_tables = address.sql(LOCK_TABLES)

    async def start(self, starts: Sequence[Start]) -> list[Outcome]:
        """Start sagas. A saga id that exists is the same start again, and answers ALREADY_STARTED."""
        async with self._sessions.use() as connection:

            async def run(batch: Sequence[Start]) -> list[Outcome]:
                return await self._run(partial(fetch, connection), batch)

            done: list[Outcome] = []
            for batch in pieces(starts):
                done += await self._patiently(Sieve(connection, self._lock_tables), batch, run)
            return done

    async def _patiently(
        self, sieve: Sieve, batch: Sequence[Start], run: Callable[[Sequence[Start]], Awaitable[list[Outcome]]]
    ) -> list[Outcome]:
        give_up_at = time.monotonic() + TABLES_SECONDS
        while True:
            try:
                return await sieve.run(batch, run, _refused, held_up)
            except asyncpg.LockNotAvailableError:  # of a table: nothing was done, and each try waits in the server
                if time.monotonic() >= give_up_at:
                    raise

    async def start_in(self, transaction: object, start: Start) -> Outcome:
        """Start a saga in the caller's transaction, behind a savepoint.

        Args:
            transaction: what :mod:`.callers` knows.
            start: without leases, as nobody could see them before the commit.

        Raises:
            ValueError: it takes a lease, or no transaction is open.
            TypeError, ConfigurationError, StoreError: as :meth:`Callers.enter`.
        """
        if start.take:
            raise ValueError("a saga that starts in your own transaction takes no lease: nobody sees it before the commit")
        caller = await self._callers.enter(transaction)
        try:
            async with caller.savepoint():  # a refused value must not spoil the caller's transaction
                return (await self._run(caller.fetch, [start]))[0]
        except caller.failures as error:
            fault = caller.fault(error)
            if about_entry(fault.sqlstate):
                return _refusal(start, fault.constraint, fault.text)
            raise self._callers.meaning_of(fault) from error

    async def _run(self, rows_of: Fetch, batch: Sequence[Start]) -> list[Outcome]:
        won = verdicts(await rows_of(*self._statement(batch)))
        if len(won) == len(batch):
            return [won[start.saga_id] for start in batch]
        lost = [start for start in batch if start.saga_id not in won]
        rows = await rows_of(self._keys, columns(map(_key, lost), 3))
        existing = {(row[0], row[1], row[2]): row for row in rows}
        won |= {s.saga_id: _lost(s, existing[_key(s)]) for s in lost if _key(s) in existing}
        if forgotten := [s for s in lost if s.saga_id not in won]:  # retention took their keys in between
            won |= zip((s.saga_id for s in forgotten), await self._run(rows_of, forgotten), strict=True)
        return [won[start.saga_id] for start in batch]

    def _statement(self, starts: Sequence[Start]) -> tuple[str, list[Any]]:
        """Return the statement for a batch, and its arguments."""
        batch = in_order(starts)
        keyed = sorted((start for start in batch if start.key is not None), key=_key)
        bodies = Bodies()
        has_notes = any(s.notes for s in batch)
        rows: list[tuple[Any, ...]] = [
            (
                s.saga_id,
                s.saga,
                s.version,
                s.new_tag,
                s.status,
                s.instance,
                s.wake_at,
                s.labels,
                s.key is not None,
                bodies.rows(s.entries),
                take_rows(s.take),
                *([note_rows(s.notes)] if has_notes else []),
            )
            for s in batch
        ]
        if len(rows) == 1 and not has_notes:
            *facts, labels, _, events, taken = rows[0]
            alone = self._start_alone.get((len(keyed), len(taken)))
            if alone is not None and len(events) == 1:
                key = chain.from_iterable((s.namespace, s.key, s.input_hash) for s in keyed)
                beside = [bodies.all, []] if taken else [bodies.all]
                return alone, [*facts, document(labels).decode(), *chain(*events, *taken), *beside, *key]
        keys = columns(((*_key(s), s.saga_id, s.input_hash) for s in keyed), 5)
        return self._start_noted if has_notes else self._start, [document(rows), bodies.all, [], *keys]


def _key(start: Start) -> tuple[str, str, str | None]:
    return start.namespace, start.saga, start.key


def _lost(start: Start, existing: Any) -> Outcome:
    *_, saga_id, input_hash = existing
    same = input_hash == start.input_hash
    return Outcome(verdict=Verdict.ALREADY_STARTED if same else Verdict.OTHER_INPUT, existing=saga_id)


def _refused(start: Start, error: asyncpg.PostgresError) -> Outcome:
    return _refusal(start, getattr(error, "constraint_name", None), str(error))


def _refusal(start: Start, constraint: str | None, text: str) -> Outcome:
    if constraint in SAGA_EXISTS:
        return Outcome(verdict=Verdict.ALREADY_STARTED, existing=start.saga_id)
    return Outcome(verdict=Verdict.REJECTED, problem=text)
