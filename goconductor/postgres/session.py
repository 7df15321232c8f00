"""Sessions: dedicated connections that set themselves up, fail at once when they break, and come back by themselves.

A call that was under way when the connection broke has an open outcome: it raises the address's ``unavailable``, and its
caller must find out what became of it. The session then reconnects in the background, with backoff. A call that comes while
the first attempt is under way waits for it; after a failed attempt, calls are refused at once until one succeeds.

No transaction outlives its block. The driver (asyncpg 0.32) notes a transaction on its connection before BEGIN is answered, and
keeps that note where BEGIN fails or is cancelled. From then on each further transaction of the connection is a savepoint: of one
that nobody commits, or of one that there is not, and then each is refused. A COMMIT or ROLLBACK that is cancelled leaves the same
doubt the other way round. A connection is cheap, so it is ended where its state is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from goconductor.aio.backoff import Backoff
from goconductor.aio.tasks import create_guarded_task
from goconductor.aio.tasks import end as end_tasks
from goconductor.errors import GoConductorError, RightsError
from goconductor.postgres.dialling import Connection, ends_session
from goconductor.postgres.setup import Setup, end, nothing
from goconductor.redaction import logger_of

logger = logger_of("goconductor.postgres")

BACKOFF_SECONDS = (0.05, 2.0)


class Usable(Protocol):
    """Gives a connection for one call."""

    def use(self) -> AbstractAsyncContextManager[Connection]:
        """Enter a context as :meth:`Session.use`."""
        ...


class Session:
    """One dedicated connection, whose calls run one after the other.

    Args:
        setup: makes its connections.
        role: what it is for, as the log calls it.
        on_connect: done first with each new connection; the session is not there before it is done.
    """

    def __init__(self, setup: Setup, role: str, on_connect: Callable[[Connection], Awaitable[None]] = nothing) -> None:
        self._setup = setup
        self._role = role
        self._on_connect = on_connect
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._attempted = asyncio.Event()
        self._down: Exception | None = None
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way."""
        return self._lock.locked()

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection now."""
        return self._connection is not None and not self._connection.is_closed()

    async def open(self, *, at_once: bool = True) -> None:
        """Connect, now or when first used.

        Raises:
            as :meth:`Setup.dial`.
        """
        self._closed = False
        if at_once and self._connection is None:
            await self._connect()

    async def close(self) -> None:
        """End the connection."""
        self._closed = True
        await end_tasks(self._reconnecting)
        self._reconnecting = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await end(connection)

    async def rest(self) -> None:
        """End the connection until the next call, which makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await end(connection)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Enter a context with the connection, for one call.

        Raises:
            the address's ``unavailable``: it is not there, or broke under way.
            GoConductorError: PostgreSQL refuses the call; the class depends on the error's meaning.
        """
        async with self._lock:
            connection = self._connection
            if connection is None or connection.is_closed():
                connection = await self._reconnected()
            try:
                with self._setup.address.meaning():
                    yield connection
            except GoConductorError as error:
                if isinstance(error, self._setup.address.unavailable) and ends_session(error.__cause__):
                    if isinstance(error.__cause__, TimeoutError):
                        self._setup.address.distrust(connection)
                    connection.terminate()
                if isinstance(error, RightsError) and self._setup.explain is not None:
                    raise await self._setup.explain(connection, error) from error.__cause__
                raise

    async def _reconnected(self) -> Connection:
        if self._closed:
            raise self._setup.address.unavailable(
                f"the session for {self._role} is closed: open() the store or bus that it belongs to"
            )
        self._lost(self._connection)
        if self._down is None:
            await self._attempted.wait()
        if self._connection is None:
            raise self._setup.address.unavailable(str(self._down))
        return self._connection

    async def _connect(self) -> None:
        connection = await self._setup.dial()
        try:
            with self._setup.address.meaning():
                await self._on_connect(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection, self._down = connection, None
        connection.add_termination_listener(self._lost)

    def _lost(self, connection: object) -> None:
        """Note a connection that has ended. The driver calls this too, as soon as it sees it."""
        if connection is not self._connection:
            return
        self._connection = None
        if self._closed or self._reconnecting is not None:
            return
        self._attempted.clear()
        self._reconnecting = create_guarded_task(self._reconnect(), name="goconductor-reconnect")

    async def _reconnect(self) -> None:
        backoff = Backoff(*BACKOFF_SECONDS, jitter=0.5)
        is_reported = self._down is not None
        while self._connection is None:
            try:
                await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, callers get it and it is tried again
                if not is_reported:
                    logger.warning("lost the connection to %s, and keep trying: %s", self._role, error)
                    is_reported = True
                self._down = error
                self._attempted.set()
                await asyncio.sleep(backoff.next())
        if is_reported:
            logger.info("the connection to %s is back", self._role)
        self._reconnecting = None
        self._attempted.set()


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """Enter a transaction: committed at the end of the block, rolled back where that raises.

    Args:
        connection: one of ours, in no transaction. It is ended where the block is cancelled or the transaction cannot begin.

    Raises:
        asyncpg.PostgresError, OSError, TimeoutError: the server failed.
    """
    has_begun = False
    try:
        async with connection.transaction():
            has_begun = True
            yield
    except BaseException as error:
        if not has_begun or isinstance(error, asyncio.CancelledError | TimeoutError):
            connection.terminate()
        raise
