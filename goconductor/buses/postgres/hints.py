"""The hint that there is news, by LISTEN and NOTIFY, on a session of its own. Losing it costs latency, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet

from goconductor.buses.postgres import session, statements
from goconductor.buses.shared.patience import Patience
from goconductor.redaction import logger_of

HINT_BYTES_MAX = 7900
"""A notification holds less than 8,000 bytes; an empty one says that any topic may have news."""

AGAIN_SECONDS = 0.05
CHECK_INTERVAL_SECONDS = 20.0
QUIET_HINTS = 1000
HASTE = 10
"""While all processes together say less than so many hints a second (each hears all), hints may be so many times as frequent.
With more they would only wake one another, and stand in line for the lock that each notification takes."""

logger = logger_of(__name__)


class Hints:
    """Tells others of news, and us of theirs.

    Args:
        connect: makes a new session.
        channel: the notifications' name, the bus's schema.
        per_second_max: so many notifications a second at most; topics that come meanwhile share the next one. While little is
            said by all, ten times as many.
        heard: called with the topics that have news; with none if any may have.
        housekeep: called with the session now and then, at least as often as the session is checked.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[session.Connection]],
        *,
        channel: str,
        per_second_max: float,
        heard: Callable[[frozenset[str]], None],
        housekeep: Callable[[session.Connection], Awaitable[None]],
    ) -> None:
        self._connect = connect
        self._channel = channel
        self._interval_seconds = 1 / per_second_max
        self._heard_at: deque[float] = deque(maxlen=QUIET_HINTS)
        self._heard = heard
        self._housekeep = housekeep
        self._topics: set[str] = set()
        self._next_at = 0.0
        self._news = asyncio.Event()
        self._patience = Patience(AGAIN_SECONDS)
        self._running: asyncio.Task[None] | None = None
        self._first: session.Connection | None = None
        """Made when the bus opened, and taken by the loop."""

    def tell(self, topics: Iterable[str]) -> None:
        """These topics have news. Never blocks."""
        self._topics.update(topics)
        if self._topics:
            self._news.set()

    def along(self, topics: AbstractSet[str]) -> str:
        """The text of a notification of these topics, for a statement that sends to them, while little is said; else, and where
        it would be too long, nothing: then it goes by :meth:`tell`, together with others.
        """
        if not topics or self._topics or self._much_is_said or time.monotonic() < self._next_at:
            return ""
        text = _text(topics)
        if text:
            self._said()
        return text

    async def open(self) -> session.Connection:
        """Connect, unless it is connected; returns the session."""
        if self._first is None or self._first.is_closed():
            self._first = await self._connect()
        return self._first

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._first is not None:
            self._first.terminate()

    async def _run(self) -> None:
        while True:
            try:
                connection, self._first = await self.open(), None
                try:
                    await connection.add_listener(self._channel, self._on_notification)
                    connection.add_termination_listener(lambda _: self._news.set())
                    self._heard(frozenset())  # what was told while we were away
                    await self._speak(connection)
                finally:
                    connection.terminate()
            except session.UNAVAILABLE as error:
                logger.warning("the bus's hints are away, polling goes on: %r", error)
            except Exception:
                logger.exception("the bus's hints failed, polling goes on")
            await self._patience.wait()

    async def _speak(self, connection: session.Connection) -> None:
        while True:
            await self._housekeep(connection)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_SECONDS):
                    await self._news.wait()
            await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))
            self._news.clear()
            topics, self._topics = self._topics, set()
            if topics:
                self._said()
                await connection.execute(statements.HINT, _text(topics))
            else:
                await connection.execute("SELECT 1")  # are we still connected?
            self._patience.succeeded()

    def _said(self) -> None:
        """Something is being said now: not again at once."""
        self._next_at = time.monotonic() + self._interval_seconds / (1 if self._much_is_said else HASTE)

    @property
    def _much_is_said(self) -> bool:
        return len(self._heard_at) == QUIET_HINTS and time.monotonic() - self._heard_at[0] < 1.0

    def _on_notification(self, _connection: object, _pid: int, _channel: str, text: object) -> None:
        self._heard_at.append(time.monotonic())
        self._heard(frozenset(str(text).split()))


def _text(topics: Iterable[str]) -> str:
    """What a notification says; nothing, which means any topic, where there are too many."""
    text = " ".join(sorted(topics))
    return text if len(text) <= HINT_BYTES_MAX else ""
