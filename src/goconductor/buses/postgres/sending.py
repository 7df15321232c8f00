"""Sends of many callers as few transactions: what arrives while one is in flight is the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from goconductor.buses.postgres import session, statements
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message

BATCH_MESSAGES_MAX = 1000
BATCH_BYTES_MAX = 8 << 20

_Waiting = tuple[Sequence[Message], "asyncio.Future[dict[str, int]]"]


class Sender:
    """One session that writes messages.

    Args:
        connect: makes a new session.
    """

    def __init__(self, connect: Callable[[], Awaitable[session.Connection]]) -> None:
        self._connect = connect
        self._connection: session.Connection | None = None
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        self._connection = await self._connect()

    async def send(self, messages: Sequence[Message]) -> dict[str, int]:
        """Write the messages, and tell how many queues each topic of the batch has.

        Raises:
            BusUnavailableError: they were not written, or nobody knows.
        """
        if self._closed:
            raise BusUnavailableError("the bus is closed; open a new one")
        written: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await written

    async def close(self) -> None:
        """What was given to ``send`` is still written."""
        self._closed = True
        if self._writing is not None:
            await self._writing
        if self._connection is not None:
            await session.close(self._connection)

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = self._next_batch()
                try:
                    queues = await self._write_surely([message for messages, _ in batch for message in messages])
                except session.UNAVAILABLE as error:
                    for _, written in batch:
                        if not written.done():
                            written.set_exception(BusUnavailableError(f"the messages may not have been sent: {error!r}"))
                else:
                    for _, written in batch:
                        if not written.done():
                            written.set_result(queues)
        finally:
            self._writing = None

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        count = size = 0
        while self._waiting and count < BATCH_MESSAGES_MAX and size < BATCH_BYTES_MAX:
            messages, written = self._waiting.popleft()
            if not written.done():  # its caller has not gone
                batch.append((messages, written))
                count += len(messages)
                size += sum(len(message.payload) for message in messages)
        return batch

    async def _write_surely(self, messages: list[Message]) -> dict[str, int]:
        """Once more on a fresh session if the present one fails: it may long be dead, and a bus may repeat."""
        try:
            return await self._write_batch(messages)
        except session.UNAVAILABLE:
            if self._connection is None:
                raise
            self._connection.terminate()
            self._connection = None
        return await self._write_batch(messages)

    async def _write_batch(self, messages: list[Message]) -> dict[str, int]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        queues = await self._insert(self._connection, messages)
        if new := [topic for topic, count in queues.items() if not count]:
            async with self._connection.transaction():
                await self._connection.execute(statements.LOCK)
                await self._connection.execute(statements.ADD_UNCLAIMED, new)
            queues |= await self._insert(self._connection, [message for message in messages if message.topic in new])
        return queues

    async def _insert(self, connection: session.Connection, messages: list[Message]) -> dict[str, int]:
        topics = [message.topic for message in messages]
        encoded = [msgspec.msgpack.encode(message) for message in messages]
        return {
            row["topic"]: row["queues"] for row in await connection.fetch(statements.SEND, topics, encoded, list(set(topics)))
        }
