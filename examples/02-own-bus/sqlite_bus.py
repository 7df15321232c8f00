"""A bus in one SQLite file, for the processes of one machine: an example of a bus of one's own."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from goconductor import BusUnavailableError
from goconductor.buses.shared import HeldDelivery, InFlight
from goconductor.ports import Message, Receiver, sendable

TABLES = """
PRAGMA journal_mode = wal;
PRAGMA synchronous = off;
CREATE TABLE IF NOT EXISTS queues (topic TEXT, reader TEXT, PRIMARY KEY (topic, reader));
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, topic TEXT, reader TEXT, message BLOB, deliveries INTEGER DEFAULT 0, ready_at REAL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON messages (topic, reader, number);
"""
NEW = "INSERT INTO queues SELECT ?1, '' WHERE NOT EXISTS (SELECT * FROM queues WHERE topic = ?1)"  # '': it has no group yet
SEND = "INSERT INTO messages (topic, reader, message) SELECT topic, reader, ?2 FROM queues WHERE topic = ?1"
CLAIM = "UPDATE {} SET reader = ?2 WHERE topic = ?1 AND reader = ''"
JOIN = "INSERT OR IGNORE INTO queues VALUES (?1, ?2)"
TAKE = """
UPDATE messages SET deliveries = deliveries + 1, ready_at = ?3 WHERE number IN (
    SELECT number FROM messages WHERE topic = ?1 AND reader = ?2 AND ready_at <= ?4 ORDER BY number LIMIT ?5
) RETURNING number, message, deliveries
"""


class SqliteBus:
    """Takes a url, ``sqlite:///folder/file``, and options of its own: those of ``bus.options``."""

    def __init__(
        self, url: str, *, payload_bytes_max: int = 1 << 20, visibility_seconds: float = 15.0, poll_seconds: float = 0.02
    ) -> None:
        self.payload_bytes_max = payload_bytes_max
        self.visibility_seconds = visibility_seconds
        self.poll_seconds = poll_seconds
        self._path = url.removeprefix("sqlite://")
        self._database: sqlite3.Connection | None = None
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        if self._database is None:
            try:
                self._database = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
                self._database.executescript(TABLES)
            except sqlite3.Error as error:
                raise BusUnavailableError(f"{self._path} cannot be opened: {error}") from error

    async def close(self) -> None:
        await asyncio.gather(*(subscription.stop() for subscription in self._subscriptions))
        self._subscriptions.clear()
        database, self._database = self._database, None
        if database is not None:
            database.close()

    async def send(self, messages: Sequence[Message]) -> None:
        fit, refusal = sendable(messages, self.payload_bytes_max)
        with self.transaction() as database:
            for message in fit:
                database.execute(NEW, (message.topic,))
                database.execute(SEND, (message.topic, msgspec.msgpack.encode(message)))
        if refusal is not None:
            raise refusal

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> "Subscription":
        with self.transaction() as database:
            for topic in topics:
                for statement in (CLAIM.format("queues"), CLAIM.format("messages"), JOIN):
                    database.execute(statement, (topic, group))
        subscription = Subscription(self, topics, group, receiver, prefetch)
        self._subscriptions.append(subscription)
        return subscription

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        if self._database is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        try:
            with self._database as database:
                database.execute("BEGIN IMMEDIATE")
                yield database
        except sqlite3.Error as error:
            raise BusUnavailableError(f"{self._path} cannot be used now: {error}") from error


class Subscription:
    """Looks for messages, gives them to ``InFlight``, and learns from it what became of each."""

    def __init__(self, bus: SqliteBus, topics: Sequence[str], group: str, receiver: Receiver, prefetch: int) -> None:
        self._bus, self._topics, self._group = bus, topics, group
        self._in_flight: InFlight[int] = InFlight(receiver, prefetch=prefetch, settled=self._settled)
        self._looking = asyncio.create_task(self._look())
        self.pause, self.resume = self._in_flight.pause, self._in_flight.resume

    async def stop(self) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])
        await self._in_flight.finish()

    async def _look(self) -> None:
        while True:
            try:
                came = sum(self._take(topic) for topic in self._topics)
            except BusUnavailableError as error:
                logging.getLogger(__name__).warning("looking again soon: %s", error)
                came = 0
            await asyncio.sleep(0 if came else self._bus.poll_seconds)

    def _take(self, topic: str) -> int:
        room = self._in_flight.room if self._in_flight.wants else 0
        if not room:
            return 0
        now = time.time()
        with self._bus.transaction() as database:
            rows = database.execute(TAKE, (topic, self._group, now + self._bus.visibility_seconds, now, room)).fetchall()
        for number, message, deliveries in rows:
            self._in_flight.take(msgspec.msgpack.decode(message, type=Message), deliveries, number)
        return len(rows)

    def _settled(self, delivery: HeldDelivery[int], delay_seconds: float | None) -> None:
        with suppress(BusUnavailableError), self._bus.transaction() as database:  # else it comes again after a while
            if delay_seconds is None:
                database.execute("DELETE FROM messages WHERE number = ?", (delivery.tag,))
            else:
                database.execute("UPDATE messages SET ready_at = ? WHERE number = ?", (time.time() + delay_seconds, delivery.tag))
