"""A bus in one SQLite file, for the processes of one machine: an example of a bus of one's own."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from goconductor import BusUnavailableError
from goconductor.buses.shared import BusFrame, HeldDelivery, InFlight, Reading
from goconductor.ports import Message

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


class SqliteBus(BusFrame[sqlite3.Connection, "Subscription"]):
    """Takes a url, ``sqlite:///folder/file``, and options of its own: those of ``bus.options``."""

    def __init__(
        self, url: str, *, payload_bytes_max: int = 1 << 20, visibility_seconds: float = 15.0, poll_seconds: float = 0.02
    ) -> None:
        super().__init__(payload_bytes_max=payload_bytes_max)
        self.visibility_seconds = visibility_seconds
        self.poll_seconds = poll_seconds
        self._path = url.removeprefix("sqlite://")

    async def _open(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
            database.executescript(TABLES)
        except sqlite3.Error as error:
            raise BusUnavailableError(f"{self._path} cannot be opened: {error}") from error
        return database

    async def _close(self, opened: sqlite3.Connection) -> None:
        opened.close()

    async def _send(self, opened: sqlite3.Connection, messages: Sequence[Message]) -> None:
        with transaction(opened):
            for message in messages:
                opened.execute(NEW, (message.topic,))
                opened.execute(SEND, (message.topic, msgspec.msgpack.encode(message)))

    async def _take(self, opened: sqlite3.Connection, reading: Reading) -> "Subscription":
        with transaction(opened):
            for topic in reading.topics:
                for statement in (CLAIM.format("queues"), CLAIM.format("messages"), JOIN):
                    opened.execute(statement, (topic, reading.group))
        return Subscription(self, opened, reading)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    try:
        with database:
            database.execute("BEGIN IMMEDIATE")
            yield
    except sqlite3.Error as error:
        raise BusUnavailableError(f"the file cannot be used now: {error}") from error


class Subscription:
    """Looks for messages, gives them to ``InFlight``, and learns from it what became of each."""

    stopped = False

    def __init__(self, bus: SqliteBus, database: sqlite3.Connection, reading: Reading) -> None:
        self._bus, self._database, self._reading = bus, database, reading
        self._in_flight: InFlight[int] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self._looking = asyncio.create_task(self._look())
        self.pause, self.resume = self._in_flight.pause, self._in_flight.resume

    async def stop(self) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])
        await self._in_flight.finish()
        self.stopped = True

    async def _look(self) -> None:
        while True:
            try:
                came = sum(self._take(topic) for topic in self._reading.topics)
            except BusUnavailableError as error:
                logging.getLogger(__name__).warning("looking again soon: %s", error)
                came = 0
            await asyncio.sleep(0 if came else self._bus.poll_seconds)

    def _take(self, topic: str) -> int:
        room = self._in_flight.room if self._in_flight.wants else 0
        if not room:
            return 0
        now = time.time()
        values = topic, self._reading.group, now + self._bus.visibility_seconds, now, room
        with transaction(self._database):
            rows = self._database.execute(TAKE, values).fetchall()
        for number, message, deliveries in rows:
            self._in_flight.take(msgspec.msgpack.decode(message, type=Message), deliveries, number)
        return len(rows)

    def _on_settled(self, delivery: HeldDelivery[int], delay_seconds: float | None) -> None:
        with suppress(BusUnavailableError), transaction(self._database):  # else it comes again after a while
            if delay_seconds is None:
                self._database.execute("DELETE FROM messages WHERE number = ?", (delivery.tag,))
            else:
                ready_at = time.time() + delay_seconds
                self._database.execute("UPDATE messages SET ready_at = ? WHERE number = ?", (ready_at, delivery.tag))
