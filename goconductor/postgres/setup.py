"""How the sessions of a leaf are set up: settings, time limits, what is prepared on each, and that no pooler is in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from goconductor.errors import GoConductorError, RightsError
from goconductor.postgres import direct
from goconductor.postgres.dialling import FAILURES, Address, Connection

GRACE_SECONDS = 1.0
"""Seconds after its time limit in which the server may still end a statement itself, before the connection counts as lost."""

CLOSING_SECONDS = 2.0
"""Seconds that the server has to answer a farewell."""

SETTINGS = {
    "default_transaction_isolation": "read committed",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "11000",
}
"""Settings of each session. The server notices a dead peer in 11 seconds instead of the two hours of its defaults."""


class Limits(NamedTuple):
    """Time limits of a session, in seconds; the server keeps them.

    Args:
        statement_seconds: limit of a statement. Where the server sends nothing for the grace longer, the connection is given up:
            a peer that is half gone neither answers nor closes.
        lock_seconds: limit of each wait for a lock; None for as long as the statement may take.
        idle_in_transaction_seconds: limit of a pause inside a transaction, after which the server ends the session; None for no
            limit.
        grace_seconds: see ``statement_seconds``.
    """

    statement_seconds: float
    lock_seconds: float | None = None
    idle_in_transaction_seconds: float | None = None
    grace_seconds: float = GRACE_SECONDS

    def settings(self) -> dict[str, str]:
        """Return the limits with PostgreSQL's names and units."""
        seconds = {
            "statement_timeout": self.statement_seconds,
            "lock_timeout": self.lock_seconds,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_seconds,
        }
        return {name: f"{limit * 1000:.0f}" for name, limit in seconds.items() if limit is not None}


async def nothing(_: Connection) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Makes sessions that are set up alike.

    Args:
        address: which database.
        limits: their time limits.
        settings: PostgreSQL's, beyond :data:`SETTINGS` and the limits.
        connect_timeout_seconds: bounds the attempt at each host.
        durable: whether a commit waits for the disk.
        prepare: done first with each new connection.
        explain: given a session that was refused, and the error that names a table alone, the one that names the right.
        statement_cache_size: as the driver's; 0 for statements that are prepared anew each time.
    """

    address: Address
    limits: Limits
    settings: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_seconds: float = 5.0
    durable: bool = True
    prepare: Callable[[Connection], Awaitable[None]] = nothing
    explain: Callable[[Connection, RightsError], Awaitable[GoConductorError]] | None = None
    statement_cache_size: int | None = None

    async def dial(self) -> Connection:
        """Return a new connection, ready for use.

        ``synchronous_commit`` is set by a statement. If it were sent with the start, it would replace the value of the role or
        the database, which code that raises it for one transaction asks for.

        Raises:
            ConfigurationError: wrong credentials, no such database, or not enough rights.
            PoolerError: something that is not PostgreSQL answered.
            the address's ``unavailable``: no server can be reached now, or it failed while the session was prepared.
        """
        connection = await self.address.dial(
            timeout_seconds=self.connect_timeout_seconds,
            command_timeout_seconds=self.limits.statement_seconds + self.limits.grace_seconds,
            settings=SETTINGS | self.limits.settings() | dict(self.settings),
            durable=self.durable,
            statement_cache_size=self.statement_cache_size,
        )
        try:
            with self.address.meaning():
                if not self.durable:
                    await connection.execute("SET synchronous_commit = off")
                await self.prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def refuse_pooler(self, connection: Connection, message: str) -> None:
        """See that a session keeps its backend, by another one that is dialled for it.

        Args:
            connection: one of ours, in no transaction. After an error it is of no use.
            message: what to do about a pooler.

        Raises:
            PoolerError: it does not.
            the address's ``unavailable``: the server went away meanwhile.
        """
        other = await self.dial()
        try:
            with self.address.meaning():
                await direct.refuse_pooler(connection, other, message)
        finally:
            await end(other)


async def end(connection: Connection) -> None:
    """End a connection: politely, if that can be done quickly."""
    try:
        await connection.close(timeout=CLOSING_SECONDS)
    except FAILURES:
        connection.terminate()
