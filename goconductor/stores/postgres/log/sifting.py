"""A batch that fails because of one of its entries: the others get through, and at once.

What PostgreSQL's error is about decides. Most are about the server (it is away, refuses us, cannot now): then nothing was
done, and the whole batch comes again. The rest are about an entry: a value that cannot be, an index row that is too large, a
trigger of somebody's that says no. Then the halves are run, until the one at fault is alone, and that one is refused for good.
An entry may also only be *held up*: somebody's open transaction holds its row or its key, or its page is damaged. Then that one
alone comes again later, and nobody waits for it.

A look at the tables that does not wait tells whether a lock is that of a row or of a whole table. Behind a table's lock all wait.
While halves are run, the server waits for locks hardly at all; else the search would take as many waits as the batch halves.

A batch is also bounded in bytes: a statement of hundreds of megabytes would meet its time limit, and no entry get in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from goconductor.ports.portions import portions
from goconductor.ports.store import Append, Outcome, Start, Verdict
from goconductor.postgres.meaning import Meaning, meaning_of
from goconductor.postgres.session import transaction
from goconductor.stores.postgres.database.dial import Connection

T = TypeVar("T")
R = TypeVar("R")
B = TypeVar("B", Append, Start)

STATEMENT_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of events in one statement: a tenth of a second's work. An entry that is larger goes alone."""

IMPATIENT = "50ms"
SEARCHES_MAX = 40
"""Number of statements that may fail behind locks in one search. What was not tried alone by then counts as held up."""

STATEMENTS = ("26", "34", "42", "72", "F0", "HV")
"""What is about our statement or the server's own files; everybody would meet it."""
HOLDING = ("55P03", "XX001", "XX002")
"""A lock that was not to be had; a damaged row or index."""
LOCKED = "55P03"

WRITTEN = "sagas", "saga_log", "leases", "start_keys", "signals", "audit"


def about_entry(state: str) -> bool:
    """Return whether an SQLSTATE is about what is written: of all that is neither the server nor our statement, known or not."""
    meaning = meaning_of(state)
    return meaning is Meaning.VALUES or (meaning is None and not state.startswith(STATEMENTS))


def pieces(batch: Sequence[B]) -> Iterator[Sequence[B]]:
    """Split a batch into parts that a statement can carry, in its order."""
    weights: list[int] = []
    for item in batch:
        weight = 0
        for entry in item.entries:
            weight += len(entry.data)
        weights.append(weight)
    return portions(batch, weights, STATEMENT_BYTES_MAX)


class Sieve:
    """Runs batches on one connection.

    Args:
        connection: the session's.
        lock_tables: takes the locks of all tables that are written, without waiting for any.
    """

    def __init__(self, connection: Connection, lock_tables: str) -> None:
        self._connection = connection
        self._lock_tables = lock_tables
        self._searches_left = SEARCHES_MAX
        self._searching = False

    async def run(
        self,
        items: Sequence[T],
        run: Callable[[Sequence[T]], Awaitable[list[R]]],
        refused: Callable[[T, asyncpg.PostgresError], R],
        held_up: Callable[[T], R],
    ) -> list[R]:
        """Run a batch; where an entry of it is at fault, run its halves.

        Args:
            items: the batch.
            run: one statement for many.
            refused: what is answered for one that the database will never take.
            held_up: what is answered for one that may come again.

        Raises:
            asyncpg.PostgresError: it is about the server.
        """
        if not items:
            return []
        try:
            return await run(items)
        except asyncpg.PostgresError as error:
            state = error.sqlstate or ""
            if state in HOLDING:
                if state == LOCKED and not self._searching and await self._tables_are_locked():
                    raise
                self._searches_left -= 1
                if len(items) == 1:
                    return [held_up(items[0])]
            elif not about_entry(state):
                raise
            elif len(items) == 1:
                return [refused(items[0], error)]
        if self._searches_left <= 0:
            return [held_up(item) for item in items]
        middle = len(items) // 2
        async with self._impatient():
            first = await self.run(items[:middle], run, refused, held_up)
            return [*first, *await self.run(items[middle:], run, refused, held_up)]

    async def _tables_are_locked(self) -> bool:
        try:
            async with transaction(self._connection):
                await self._connection.execute(self._lock_tables)
        except asyncpg.LockNotAvailableError:
            return True
        return False

    @asynccontextmanager
    async def _impatient(self) -> AsyncIterator[None]:
        if self._searching:
            yield
            return
        before = await self._connection.fetchval("SELECT current_setting('lock_timeout')")
        await self._connection.execute(f"SET lock_timeout = '{IMPATIENT}'")
        self._searching = True
        try:
            yield
        finally:
            self._searching = False
            if not self._connection.is_closed():
                await self._connection.execute(f"SET lock_timeout = '{before}'")


LOCK_TABLES = f"LOCK TABLE {', '.join(f'goconductor.{table}' for table in WRITTEN)} IN ROW EXCLUSIVE MODE NOWAIT"


def rejected(_: object, error: asyncpg.PostgresError) -> Outcome:
    """Return the outcome of what the database refuses."""
    return Outcome(verdict=Verdict.REJECTED, problem=str(error))


def held_up(_: object) -> Outcome:
    """Return the outcome of what somebody's open transaction keeps back."""
    return Outcome(verdict=Verdict.HELD_UP)
