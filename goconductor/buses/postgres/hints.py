"""The hint that there is news, by LISTEN and NOTIFY. Losing it costs latency, nothing else.

The session that takes messages listens as well. A hint that does not go with messages has a session of its own, which is
there only while hints are given: who gives one may wait for the server's lock, and no message is to wait with it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import asyncpg

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.buses.postgres import session, statements
from goconductor.buses.shared.patience import Patience
from goconductor.postgres.session import Usable
from goconductor.redaction import logger_of

HINT_BYTES_MAX = 7900
"""Bytes of a notification, which the server limits to 8,000; an empty one means that any topic may have news."""

AGAIN_SECONDS = 0.05
"""Seconds before the first new attempt of what the database refused."""
QUIET_HINTS = 1000
"""Number of hints a second below which they are few."""
HASTE = 10
"""Factor of the frequency of hints while all processes together send fewer than ``QUIET_HINTS`` a second (each receives all).
With more they would only wake one another, and queue for the lock that each notification takes."""

logger = logger_of(__name__)


class Hints:
    """Notifies other processes of news, and receives their notifications.

    Args:
        sessions: give a session for a hint without messages.
        channel: the notifications' name, the bus's schema.
        per_second_max: greatest number of notifications a second; topics that come meanwhile share the next one. While all
            processes send few, ten times as many.
        on_news: called with the topics that have news; with none if any may have.
    """

    def __init__(
        self, sessions: Usable, *, channel: str, per_second_max: float, on_news: Callable[[frozenset[str]], None]
    ) -> None:
        self._sessions = sessions
        self._channel = channel
        self._interval_seconds = 1 / per_second_max
        self._heard_at: deque[float] = deque(maxlen=QUIET_HINTS)
        self._on_news = on_news
        self._ear: session.Connection | None = None
        """Of all sessions that listen, the one whose notifications count."""
        self._topics: set[str] = set()
        self._next_at = 0.0
        self._pending = asyncio.Event()
        self._patience = Patience(AGAIN_SECONDS)
        self._running: asyncio.Task[None] | None = None

    async def listen(self, connection: session.Connection) -> None:
        """Receive the notifications of other processes over this session, until it ends.

        Raises:
            asyncpg.PostgresError, OSError: the session failed.
        """
        await connection.add_listener(self._channel, self._on_notification)
        connection.add_termination_listener(lambda _: self._on_news(frozenset()))  # so that the taker sees that it has ended
        if not self._hears:
            self._ear = connection

    def notify(self, topics: Iterable[str]) -> None:
        """Notify others that these topics have news. Never blocks."""
        self._topics.update(topics)
        if self._topics:
            self._pending.set()

    def along(self, topics: AbstractSet[str]) -> str:
        """Return the text of a notification of these topics, for a statement that sends to them.

        It is empty while there are many hints, and where it would be too long. The topics then go by :meth:`notify`, with others.
        """
        if not topics or self._topics or self._is_busy or time.monotonic() < self._next_at:
            return ""
        text = _text(topics)
        if text:
            self._note_hint()
        return text

    def start(self) -> None:
        """Begin to give hints."""
        self._running = create_guarded_task(self._run(), name="hints of the bus")

    async def close(self) -> None:
        """Give no more."""
        await end(self._running)

    async def _run(self) -> None:
        while True:
            await self._pending.wait()
            await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))
            self._pending.clear()
            topics, self._topics = self._topics, set()
            self._note_hint()
            try:
                async with session.using(self._sessions) as connection:
                    await connection.execute(statements.HINT, _text(topics))
                self._patience.succeeded()
            except session.UNAVAILABLE as error:
                logger.warning("the bus's hints are away, polling goes on: %r", error)
                await self._patience.wait()
            except Exception:
                logger.exception("the bus's hints failed, polling goes on")
                await self._patience.wait()

    def _note_hint(self) -> None:
        """Note that a hint is sent now, so that the next one waits."""
        self._next_at = time.monotonic() + self._interval_seconds / (1 if self._is_busy else HASTE)

    @property
    def _hears(self) -> bool:
        """Whether a session is heeded now."""
        return self._ear is not None and not self._ear.is_closed()

    @property
    def _is_busy(self) -> bool:
        return len(self._heard_at) == QUIET_HINTS and time.monotonic() - self._heard_at[0] < 1.0

    def _on_notification(self, connection: object, _pid: int, _channel: str, text: object) -> None:
        if not self._hears and isinstance(connection, asyncpg.Connection):
            self._ear = connection
        if connection is not self._ear:
            return
        self._heard_at.append(time.monotonic())
        self._on_news(frozenset(str(text).split()))


def _text(topics: Iterable[str]) -> str:
    """Return the text of a notification; empty, which means any topic, where there are too many."""
    text = " ".join(sorted(topics))
    return text if len(text) <= HINT_BYTES_MAX else ""
