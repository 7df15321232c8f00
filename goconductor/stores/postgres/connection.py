"""Sessions: dedicated connections that set themselves up, fail at once when they break, and come back by themselves.

A call that was under way when the connection broke has an open outcome: it raises :class:`StoreUnavailableError`, and its
caller must read what became of it. The session then reconnects in the background, with backoff. A call that comes while
the first attempt is under way waits for it; after a failed attempt, calls are refused at once until one succeeds.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import asyncpg

from goconductor.errors import RightsError, StoreUnavailableError
from goconductor.postgres.dialling import ends_session
from goconductor.stores.postgres.dial import Address, Connection
from goconductor.stores.postgres.rights import explained

logger = logging.getLogger("goconductor.store")

BACKOFF_SECONDS = (0.05, 2.0)

GRACE_SECONDS = 1.0

REST_SECONDS = 60.0
"""What a burst of work needed beyond the first sessions is closed when nobody has used it for so long."""

SETTINGS = {
    "default_transaction_isolation": "read committed",
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "11000",
}
"""Of each session. Plans are pinned: a young table without statistics would otherwise get a sequential scan and a quadratic
join, and only a nested loop over the sorted input locks the rows in the order of their keys. The server notices a dead
peer in 11 seconds instead of the two hours of its defaults."""


class Dialler:
    """Makes connections that are set up as ours.

    Args:
        address: the database.
        connect_timeout_seconds: bounds one attempt to connect.
        statement_timeout_seconds: the server ends a statement that takes longer. Where it says nothing for a second more, the
            connection is given up: a peer that is half gone neither answers nor closes.
        lock_timeout_seconds: the server ends a statement that waits longer for a lock.
        idle_in_transaction_seconds: the server ends a session that leaves a transaction open for longer.
    """

    def __init__(
        self,
        address: Address,
        *,
        connect_timeout_seconds: float,
        statement_timeout_seconds: float,
        lock_timeout_seconds: float,
        idle_in_transaction_seconds: float,
    ) -> None:
        self.address = address
        self._connect_timeout_seconds = connect_timeout_seconds
        self._command_timeout_seconds = statement_timeout_seconds + GRACE_SECONDS
        self._settings = SETTINGS | {
            "statement_timeout": f"{statement_timeout_seconds * 1000:.0f}",
            "lock_timeout": f"{lock_timeout_seconds * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{idle_in_transaction_seconds * 1000:.0f}",
        }

    async def dial(self, settings: dict[str, str]) -> Connection:
        """A new connection with our settings, and these.

        ``synchronous_commit`` is set by a statement: sent with the start, it would take the place of what the role or the
        database has, and who raises it for one transaction asks for that.

        Raises:
            as :meth:`Address.dial`.
        """
        commits = settings.get("synchronous_commit")
        connection = await self.address.dial(
            timeout_seconds=self._connect_timeout_seconds,
            command_timeout_seconds=self._command_timeout_seconds,
            settings=self._settings | {name: value for name, value in settings.items() if name != "synchronous_commit"},
            durable=commits is None,
        )
        try:
            with self.address.meaning():
                if commits is not None:
                    await connection.execute("SELECT set_config('synchronous_commit', $1, false)", commits)
                await connection.set_type_codec(
                    "jsonb",
                    schema="pg_catalog",
                    format="binary",
                    encoder=lambda data: b"\x01" + data,
                    decoder=lambda data: data[1:],
                )
                await connection.set_type_codec(
                    "json", schema="pg_catalog", format="binary", encoder=lambda data: data, decoder=lambda data: data
                )
        except BaseException:
            connection.terminate()
            raise
        return connection


async def _end(connection: Connection) -> None:
    try:
        await connection.close(timeout=2.0)
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError):
        connection.terminate()


async def _nothing(_: Connection) -> None:
    pass


class Usable(Protocol):
    """Gives a connection for one call."""

    def use(self) -> AbstractAsyncContextManager[Connection]:
        """As :meth:`Session.use`."""
        ...


class Session:
    """One dedicated connection, whose calls run one after the other.

    Args:
        dialler: makes its connections.
        role: what it is for, as the log calls it.
        settings: PostgreSQL's, beyond ours.
        on_connect: done first with each new connection; the session is not there before it is done.
    """

    def __init__(
        self,
        dialler: Dialler,
        role: str,
        settings: dict[str, str] | None = None,
        on_connect: Callable[[Connection], Awaitable[None]] = _nothing,
    ) -> None:
        self._dialler = dialler
        self._role = role
        self._settings = settings or {}
        self._on_connect = on_connect
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._attempted = asyncio.Event()
        self._down: Exception | None = None
        self._closed = False
        self.used_at = 0.0
        """When its last call ended, by the loop's clock."""

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return self._lock.locked()

    async def open(self, *, at_once: bool = True) -> None:
        """Connect, now or when first used.

        Raises:
            as :meth:`Address.dial`.
        """
        self._closed = False
        if at_once and self._connection is None:
            await self._connect()

    async def close(self) -> None:
        """End the connection."""
        self._closed = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.wait([self._reconnecting])
            self._reconnecting = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await _end(connection)

    async def rest(self) -> None:
        """End the connection until the next call, which makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _end(connection)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection, for one call.

        Raises:
            StoreUnavailableError: it is not there, or broke under way.
            StoreError: PostgreSQL refuses the call, by the meaning of its error.
        """
        async with self._lock:
            connection = self._connection
            if connection is None or connection.is_closed():
                connection = await self._reconnected()
            try:
                with self._dialler.address.meaning():
                    yield connection
            except StoreUnavailableError as error:
                if ends_session(error.__cause__):
                    if isinstance(error.__cause__, TimeoutError):
                        self._dialler.address.distrust(connection)
                    connection.terminate()
                raise
            except RightsError as error:
                raise await explained(connection, self._dialler.address, error) from error.__cause__

    async def _reconnected(self) -> Connection:
        if self._closed:
            raise StoreUnavailableError("the store is closed: open() it")
        self._lost(self._connection)
        if self._down is None:
            await self._attempted.wait()
        if self._connection is None:
            raise StoreUnavailableError(str(self._down))
        return self._connection

    async def _connect(self) -> None:
        connection = await self._dialler.dial(self._settings)
        try:
            with self._dialler.address.meaning():
                await self._on_connect(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection, self._down = connection, None
        connection.add_termination_listener(self._lost)

    def _lost(self, connection: object) -> None:
        """Also called by the driver, as soon as it sees that a connection has ended."""
        if connection is not self._connection:
            return
        self._connection = None
        if self._closed or self._reconnecting is not None:
            return
        self._attempted.clear()
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect(), name="goconductor-reconnect")

    async def _reconnect(self) -> None:
        pause, longest = BACKOFF_SECONDS
        told = self._down is not None
        while self._connection is None:
            try:
                await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, callers are told and it is tried again
                if not told:
                    logger.warning("lost the connection to %s, and keep trying: %s", self._role, error)
                    told = True
                self._down = error
                self._attempted.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                pause = min(2 * pause, longest)
        if told:
            logger.info("the connection to %s is back", self._role)
        self._reconnecting = None
        self._attempted.set()


class Sessions:
    """A few sessions for whoever comes; the first that is not busy is taken. Those that a burst needed are closed after it.

    Args:
        dialler: makes their connections.
        count: how many at most.
        role: what they are for, as the log calls it.
        keep: how many stay.
        rest_seconds: after how long without use the others end.
    """

    def __init__(
        self, dialler: Dialler, count: int, role: str = "read", *, keep: int = 1, rest_seconds: float = REST_SECONDS
    ) -> None:
        self._sessions = [Session(dialler, role) for _ in range(count)]
        self._passing = self._sessions[keep:]
        self._rest_seconds = rest_seconds
        self._resting: asyncio.Task[None] | None = None

    async def open(self, *, at_once: bool = True) -> None:
        """Connect the first, now or when it is needed, as the others are."""
        for number, session in enumerate(self._sessions):
            await session.open(at_once=at_once and number == 0)
        if self._passing and self._resting is None:
            self._resting = asyncio.create_task(self._rest(), name="goconductor-rest")

    async def close(self) -> None:
        """End all."""
        if self._resting is not None:
            self._resting.cancel()
            await asyncio.wait([self._resting])
            self._resting = None
        for session in self._sessions:
            await session.close()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """As :meth:`Session.use`."""
        free = next((session for session in self._sessions if not session.busy), None)
        session = free or random.choice(self._sessions)  # noqa: S311 - any will do
        async with session.use() as connection:
            session.used_at = asyncio.get_running_loop().time()
            yield connection

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._rest_seconds)
            for session in self._passing:
                if not session.busy and loop.time() - session.used_at >= self._rest_seconds:
                    await session.rest()
