"""Sends: for each stream, what waits travels together in a few requests at once."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from goconductor.buses.kinesis import wire
from goconductor.buses.kinesis.streams import ABSENT, IN_USE, Streams
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, ServiceLink, backoff_seconds, call, code_of, reason_of
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message

BATCH = 500
BATCH_BYTES_MAX = 640 * 1024
"""About 1 MiB as it travels, which is what a shard takes in a second; a larger body would hold the loop up."""
AT_ONCE = 4
ANSWER_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class _Parcel:
    """One record on its way."""

    partition_key: str
    data: bytes
    arrived: asyncio.Future[None]
    tries: int = 0


class Sender:
    """Writes to the streams of topics.

    Args:
        link: the client.
        streams: where to.
        send_timeout_seconds: what was not taken by then may not have been sent.
    """

    def __init__(self, link: ServiceLink, streams: Streams, *, send_timeout_seconds: float) -> None:
        self._link = link
        self._streams = streams
        self._send_timeout_seconds = send_timeout_seconds
        self._waiting: dict[str, deque[_Parcel]] = {}
        self._requests: dict[str, int] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._sending = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._trouble = "they are on their way"

    async def send(self, messages: Sequence[Message]) -> None:
        """Write, and wait until the streams have taken all of them.

        Raises:
            BusUnavailableError: they have not by the end of the time; some may have been taken.
        """
        await self._send([(wire.partition_key(message.key), wire.record_of(message)) for message in messages])

    async def send_copy(self, record: wire.Record) -> None:
        """Write a copy under a key of its own, so that it comes to any shard.

        Raises:
            BusUnavailableError: the stream has not taken it by the end of the time.
        """
        await self._send([(uuid.uuid4().hex, record)])

    async def idle(self) -> None:
        """Wait until every send has returned."""
        await self._idle.wait()

    async def close(self) -> None:
        """End what is still on its way."""
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _send(self, records: Sequence[tuple[str, wire.Record]]) -> None:
        parcels: list[_Parcel] = []
        loop = asyncio.get_running_loop()
        self._sending += 1
        self._idle.clear()
        try:
            for key, record in records:
                stream = self._streams.name(record.topic)
                parcel = _Parcel(key, wire.encode(record), loop.create_future())
                parcels.append(parcel)
                self._waiting.setdefault(stream, deque()).append(parcel)
                self._start(stream)
            if parcels:
                async with asyncio.timeout(self._send_timeout_seconds):
                    await asyncio.wait([parcel.arrived for parcel in parcels])
        except TimeoutError:
            left = sum(not parcel.arrived.done() for parcel in parcels)
            trouble = self._trouble if self._link.is_present else self._link.trouble
            raise BusUnavailableError(
                f"{left} messages were not confirmed within {self._send_timeout_seconds:g} s: {trouble}"
            ) from None
        finally:
            for parcel in parcels:
                parcel.arrived.cancel()
            self._sending -= 1
            if not self._sending:
                self._idle.set()

    def _start(self, stream: str) -> None:
        if self._requests.get(stream, 0) < min(AT_ONCE, -(-len(self._waiting[stream]) // BATCH)):
            self._requests[stream] = self._requests.get(stream, 0) + 1
            task = asyncio.create_task(self._work(stream), name=f"send to {stream}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _work(self, stream: str) -> None:
        try:
            while batch := self._next(stream):
                tries = batch[0].tries
                await self._try(stream, batch)
                left = [parcel for parcel in batch if not parcel.arrived.done()]
                if left:
                    for parcel in left:
                        parcel.tries += 1
                    self._waiting[stream].extendleft(reversed(left))
                    await asyncio.sleep(backoff_seconds(tries))
        finally:
            self._requests[stream] -= 1
            if not self._requests[stream] and not self._waiting[stream]:
                del self._requests[stream], self._waiting[stream]

    def _next(self, stream: str) -> list[_Parcel]:
        batch: list[_Parcel] = []
        size, waiting = 0, self._waiting[stream]
        while waiting and len(batch) < BATCH:
            parcel = waiting[0]
            if parcel.arrived.done():  # nobody waits for it any more
                waiting.popleft()
                continue
            size += len(parcel.data) + len(parcel.partition_key.encode())
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(waiting.popleft())
        return batch

    async def _try(self, stream: str, batch: list[_Parcel]) -> None:
        client = await self._link.get()
        entries = [{"Data": parcel.data, "PartitionKey": parcel.partition_key} for parcel in batch]
        try:
            answer = await call(client, "put_records", ANSWER_SECONDS, StreamName=stream, Records=entries)
        except UNAVAILABLE as error:
            self._failed(client, error)
            if code_of(error) in {ABSENT, IN_USE}:  # it does not tell one that is being made from one that is not there
                await self._make(client, stream)
            return
        results: list[dict[str, Any]] = answer["Records"]
        for parcel, result in zip(batch, results, strict=True):
            if result.get("ErrorCode"):
                self._trouble = f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}"
            elif not parcel.arrived.done():
                parcel.arrived.set_result(None)

    async def _make(self, client: Client, stream: str) -> None:
        try:
            await self._streams.make(client, stream)
        except UNAVAILABLE as error:
            self._failed(client, error)

    def _failed(self, client: Client, error: BaseException) -> None:
        self._trouble = reason_of(error)
        self._link.failed(client, error)
