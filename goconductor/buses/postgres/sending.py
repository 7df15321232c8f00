"""Sends of many callers as few transactions: what arrives while one is in flight is the next one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from goconductor.buses.postgres import session, statements
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message
from goconductor.postgres.session import Usable, transaction

BATCH_MESSAGES_MAX = 1000
"""Greatest number of messages in a statement."""
BATCH_BYTES_MAX = 8 << 20
NO_HINT_SECONDS = 60.0
"""Seconds without hints beside messages, after one that may have kept them from being written."""


class Sent(NamedTuple):
    """The number of queues of each topic of the batch, and the topics of which others were notified."""

    queues: dict[str, int]
    notified: AbstractSet[str]


_Waiting = tuple[Sequence[Message], AbstractSet[str], "asyncio.Future[Sent]"]


class Sender:
    """Writes messages, over one session at a time.

    Args:
        sessions: give that session; it is opened when there is something to write.
        hint: answers the text of a notification for the topics that others must learn of, to go with the messages; empty if it is
            to go separately.
    """

    def __init__(self, sessions: Usable, hint: Callable[[AbstractSet[str]], str]) -> None:
        self._sessions = sessions
        self._hint = hint
        self._hints_from = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    async def send(self, messages: Sequence[Message], elsewhere: AbstractSet[str]) -> Sent:
        """Write the messages.

        Args:
            messages: what to write.
            elsewhere: those of their topics that nobody takes in this process.

        Raises:
            BusUnavailableError: they were not written, or nobody knows.
        """
        if self._closed:
            raise BusUnavailableError("the bus is closed; open a new one")
        written: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, elsewhere, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await written

    async def close(self) -> None:
        """Close for new messages; those that were given to ``send`` are still written."""
        self._closed = True
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch = self._next_batch()
                try:
                    elsewhere = frozenset[str]().union(*(topics for _, topics, _ in batch))
                    sent = await self._write_surely([message for messages, *_ in batch for message in messages], elsewhere)
                except session.UNAVAILABLE as error:
                    for *_, written in batch:
                        if not written.done():
                            written.set_exception(BusUnavailableError(f"the messages may not have been sent: {error!r}"))
                else:
                    for *_, written in batch:
                        if not written.done():
                            written.set_result(sent)
        finally:
            self._writing = None

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        count = size = 0
        while self._waiting and count < BATCH_MESSAGES_MAX and size < BATCH_BYTES_MAX:
            waiting = self._waiting.popleft()
            messages, _, written = waiting
            if not written.done():  # its caller has not gone
                batch.append(waiting)
                count += len(messages)
                size += sum(len(message.payload) for message in messages)
        return batch

    async def _write_surely(self, messages: list[Message], elsewhere: AbstractSet[str]) -> Sent:
        """Write, and once more on a fresh session if the present one fails: it may long be dead, and a bus may repeat.

        The second time has no hint, nor have writes for a while. The hint may be what fails, where the server's queue of
        notifications is full or somebody holds its lock, and it must cost no message.
        """
        hint = self._hint(elsewhere) if time.monotonic() >= self._hints_from else ""
        try:
            return await self._write_batch(messages, elsewhere, hint)
        except session.UNAVAILABLE:
            if hint:
                self._hints_from = time.monotonic() + NO_HINT_SECONDS
        return await self._write_batch(messages, elsewhere, "")

    async def _write_batch(self, messages: list[Message], elsewhere: AbstractSet[str], hint: str) -> Sent:
        async with session.using(self._sessions) as connection:
            queues = await self._insert(connection, messages, hint)
            if new := [topic for topic, count in queues.items() if not count]:
                async with transaction(connection):
                    await connection.execute(statements.LOCK)
                    await connection.execute(statements.ADD_UNCLAIMED, new)
                queues |= await self._insert(connection, [message for message in messages if message.topic in new], hint)
        return Sent(queues, elsewhere if hint else frozenset())

    async def _insert(self, connection: session.Connection, messages: list[Message], hint: str) -> dict[str, int]:
        topics = [message.topic for message in messages]
        encoded = [msgspec.msgpack.encode(message) for message in messages]
        arguments = [topics, encoded, list(set(topics)), hint]
        rows = await (
            connection.fetch(statements.SEND_AND_HINT, *arguments) if hint else connection.fetch(statements.SEND, *arguments[:-1])
        )
        return {row["topic"]: row["queues"] for row in rows}
