"""A pool of sessions that several kinds of calls share. None waits for another kind, and few connections are held in quiet times.

Each kind has a :class:`Share`: the number of its calls that may be under way at once. The pool has as many sessions as all shares
together. So a call whose turn it is finds a free session, connected or not.

A call takes a connected session first. A patient one waits a little for a call that is under way before it has another
session connected: most statements take less time than dialling. What is connected beyond those to keep is closed when it was
not needed for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.postgres.dialling import Connection
from goconductor.postgres.session import Session
from goconductor.postgres.setup import Setup

REST_SECONDS = 60.0
"""Seconds after its last call until a session that need not stay is closed."""

PATIENCE_SECONDS = 0.02
"""Seconds that a patient call waits for a connected session: about what dialling takes."""


class Pool:
    """Sessions that are set up alike.

    Args:
        setup: makes their connections.
        role: what they are for, as the log calls it.
        keep: how many stay connected.
        rest_seconds: after how long without a call the others are closed.
    """

    def __init__(self, setup: Setup, role: str, *, keep: int = 1, rest_seconds: float = REST_SECONDS) -> None:
        self._setup = setup
        self._role = role
        self._keep = keep
        self._rest_seconds = rest_seconds
        self._resting: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._used_at: dict[Session, float] = {}
        """When the last call of each ended, by the loop's clock."""
        self.sessions: list[Session] = []

    def share(self, count: int, *, is_patient: bool = False) -> Share:
        """Add the sessions of one kind of calls.

        Args:
            count: how many calls may be under way at once.
            is_patient: whether a call waits a little before it has another session connected.
        """
        self.sessions += [Session(self._setup, self._role) for _ in range(count)]
        return Share(self, count, is_patient=is_patient)

    async def open(self, *, at_once: bool = True) -> None:
        """Connect one session, now or when it is needed, as the others are.

        Raises:
            as :meth:`Setup.dial`.
        """
        for number, session in enumerate(self.sessions):
            await session.open(at_once=at_once and number == 0)
        if self._resting is None:
            self._resting = create_guarded_task(self._rest(), name="goconductor-rest")

    async def close(self) -> None:
        """End all connections."""
        resting, self._resting = self._resting, None
        await end(resting)
        for session in self.sessions:
            await session.close()

    @asynccontextmanager
    async def use(self, *, is_patient: bool) -> AsyncIterator[Connection]:
        """Enter a context with a connection for one call of a share, whose turn it is.

        Raises:
            as :meth:`Session.use`.
        """
        session = self._connected()
        if session is None and is_patient:
            session = await self._soon_connected()
        if session is None:
            session = next(each for each in self.sessions if not each.is_busy)
        try:
            async with session.use() as connection:
                yield connection
        finally:
            self._used_at[session] = asyncio.get_running_loop().time()
            self._wake_one()

    def _connected(self) -> Session | None:
        """Return the first session that is connected and free."""
        return next((each for each in self.sessions if not each.is_busy and each.is_connected), None)

    async def _soon_connected(self) -> Session | None:
        """Return a session whose call ends within a moment; None if there is none."""
        if not any(each.is_connected for each in self.sessions):
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while self._connected() is None:
                    turn = asyncio.get_running_loop().create_future()
                    self._waiting.append(turn)
                    await turn
        return self._connected()

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._rest_seconds / 4)
            connected = [each for each in self.sessions if each.is_connected]
            for session in connected[self._keep :]:
                if not session.is_busy and loop.time() - self._used_at.get(session, 0.0) >= self._rest_seconds:
                    await session.rest()


class Share:
    """A number of calls of one kind at once, on sessions of a pool.

    Args:
        pool: the pool of the sessions.
        count: greatest number of calls at once.
        is_patient: whether a call waits a little before it has another session connected.
    """

    def __init__(self, pool: Pool, count: int, *, is_patient: bool) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(count)
        self._is_patient = is_patient

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Enter a context as :meth:`Session.use`; wait while all calls of the share are under way."""
        async with self._turns, self._pool.use(is_patient=self._is_patient) as connection:
            yield connection
