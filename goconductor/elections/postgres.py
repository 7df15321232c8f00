"""The election by PostgreSQL: the holder of a session's advisory lock may raise the epoch.

**The lock is for speed, the epoch for safety.** The server frees the lock some milliseconds after its holder's process has died.
The next candidate that asks has it, and raises the epoch at once, without waiting for the term's end. A process that is merely
stopped keeps its lock for ever, and so may one behind a cut network. Therefore the term has an end, in the database. When it is
over, a candidate ends the silent holder's session and takes its place. *Silent* means that the session sent nothing since the
term's end (or, if it stopped between lock and epoch, for a whole term). So a candidate that has only just taken the lock is not
removed by the next one.

**A connection of its own, straight to the server.** Behind a transaction pooler a session's lock belongs to the next client of
the server's connection. ``open`` detects that (:mod:`goconductor.postgres.direct`) and refuses.

Not promised: that only one candidate believes to lead. That needs the fencing token; see :mod:`goconductor.recovery.leadership`.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator

import asyncpg

from goconductor.errors import ElectionError
from goconductor.ports.store import Term, Terms
from goconductor.postgres.dialling import FAILURES, Address, Connection
from goconductor.postgres.setup import Limits, Setup, end

_CLASS = 1735353708
"""First half of our advisory locks: elections. The second half is the group."""
_HELD = """EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = $1::int8::oid AND objid = $2::int8::oid AND objsubid = 2 AND granted
      AND pid = pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""

_END_SILENT_HOLDER = """
    SELECT pid, silent, CASE WHEN silent THEN pg_terminate_backend(pid, $4) END
    FROM (
        SELECT pid, state <> 'active' AND state_change < greatest(
            to_timestamp($3::float8), clock_timestamp() - make_interval(secs => $5::float8)) AS silent
        FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND classid = $1::int8::oid AND objid = $2::int8::oid AND objsubid = 2 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) holder"""


class PostgresElection:
    """An :class:`goconductor.ports.election.Election` by a session's advisory lock.

    Args:
        terms: the store, which numbers the terms and knows their ends.
        url: DSN of the same server as the store's, straight to it, without a transaction pooler.
        group: candidates of one group elect one leader; give two stores in one database two groups.
        connect_timeout_seconds: how long a connection may take.
        command_timeout_seconds: how long a statement may take, before the connection counts as lost.
    """

    def __init__(
        self,
        terms: Terms,
        url: str,
        *,
        group: str = "goconductor",
        connect_timeout_seconds: float = 5.0,
        command_timeout_seconds: float = 5.0,
    ) -> None:
        self._terms = terms
        self._setup = Setup(
            address=Address(
                url, application_name=f"{group} election"[:63], setting="the election's url", unavailable=ElectionError
            ),
            limits=Limits(statement_seconds=command_timeout_seconds, grace_seconds=0.0),
            connect_timeout_seconds=connect_timeout_seconds,
            statement_cache_size=0,
        )
        self._group = group
        self._lock = (_CLASS, zlib.crc32(group.encode()) & 0x7FFF_FFFF)
        self._command_timeout_seconds = command_timeout_seconds
        self._connection: Connection | None = None
        self._epoch: int | None = None
        """The epoch of the term that was won by this connection's lock."""

    async def open(self) -> None:
        """Connect.

        Raises:
            ElectionError: the server cannot be reached.
            ConfigurationError: it refuses us: role, password or database.
            PoolerError: a transaction pooler stands in between.
        """
        with self._explained():
            await self._connected()

    async def close(self) -> None:
        connection, self._connection, self._epoch = self._connection, None, None
        if connection is not None:
            await end(connection)

    async def campaign(self, candidate: str, term_seconds: float) -> Term | None:
        """Try to lead.

        Args:
            candidate: its name, which is also in the session's application_name.
            term_seconds: duration of the term unless it is renewed.

        Raises:
            ElectionError: the server cannot be reached, or our role may not end the session of a silent leader.
        """
        with self._explained():
            connection = await self._connected()
            if not await self._take_lock(connection, candidate):
                term = await self._terms.current()
                if term is not None and term.ends_at >= await self._database_time(connection):
                    return None
                if not await self._end_silent_holder(connection, term, term_seconds):
                    return None
                if not await self._take_lock(connection, candidate):
                    return None
            term = None
            try:
                term = await self._terms.raise_epoch(candidate, term_seconds)
            finally:
                if term is None:
                    await self._free_lock(connection)
            if term is None:
                return None
            self._epoch = term.epoch
            if not await self._holds_lock():  # we were stopped between lock and epoch, for a whole term
                await self._terms.resign(term)
                return None
            return term

    async def renew(self, term: Term, term_seconds: float) -> Term | None:
        if term.epoch != self._epoch or not await self._holds_lock():
            return None
        renewed = await self._terms.renew(term, term_seconds)
        if renewed is None:
            await self._give_up(term)
        return renewed

    async def resign(self, term: Term) -> None:
        try:
            await self._terms.resign(term)
        finally:
            await self._give_up(term)

    async def _give_up(self, term: Term) -> None:
        """Free the lock by which this term, and no later one, was won."""
        if self._epoch == term.epoch and self._connection is not None:
            self._epoch = None
            await self._free_lock(self._connection)

    async def _take_lock(self, connection: Connection, candidate: str) -> bool:
        """Take the lock. A session may take it again; ``_free_lock`` frees it, however often it was taken."""
        name = f"{self._group} election: {candidate}".encode()[:63].decode(errors="ignore")
        return bool(
            await connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2) FROM set_config('application_name', $3, false)", *self._lock, name
            )
        )

    async def _free_lock(self, connection: Connection) -> None:
        try:
            await connection.execute("SELECT pg_advisory_unlock_all()")
        except FAILURES:
            connection.terminate()  # which frees it as well

    async def _holds_lock(self) -> bool:
        """Ask the server whether we hold the lock; by this question others also see that the holder is not silent."""
        connection = self._connection
        if connection is None:
            return False
        try:
            held = bool(await connection.fetchval(f"SELECT {_HELD}", *self._lock))
        except FAILURES:
            held = False
        if not held:
            self._epoch = None
            connection.terminate()
        return held

    async def _database_time(self, connection: Connection) -> float:
        return float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))

    async def _end_silent_holder(self, connection: Connection, term: Term | None, term_seconds: float) -> bool:
        wait_milliseconds = int(self._command_timeout_seconds * 500)
        ended_at = 0.0 if term is None else term.ends_at
        try:
            holders = await connection.fetch(_END_SILENT_HOLDER, *self._lock, ended_at, wait_milliseconds, term_seconds)
        except asyncpg.InsufficientPrivilegeError as error:
            raise ElectionError(
                f"the leader is silent and its term is over, but this role may not end its session ({error}): let all candidates "
                "use one role, or GRANT pg_signal_backend to theirs (a superuser's session needs a superuser)"
            ) from error
        for holder in holders:
            if holder["silent"] is None:
                raise ElectionError(
                    f"the term is over, but this role cannot see the session {holder['pid']} that holds the lock: let all "
                    "candidates use one role, or GRANT pg_read_all_stats and pg_signal_backend to theirs"
                )
        return all(holder["silent"] for holder in holders)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._epoch = None
            connection = await self._setup.dial()
            try:
                await self._setup.refuse_pooler(connection, _POOLER)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            if self._connection is not None:
                self._connection.terminate()  # a half-open one would fail every time
            raise ElectionError(
                f"the election's connection to PostgreSQL failed ({error!r}); check that the server is up and the url is right"
            ) from error


_POOLER = (
    "a transaction pooler stands between the election and PostgreSQL, so a session's lock would belong to whoever comes next: "
    "give the election a url straight to the server, or to a pool in session mode"
)
