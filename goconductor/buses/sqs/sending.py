"""Sends: for each queue, what waits travels ten at a time in a few requests at once."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from goconductor.buses.shared.amazon import BUSY, UNAVAILABLE, Client, ServiceLink, backoff_seconds, call, code_of, reason_of
from goconductor.buses.sqs import wire
from goconductor.buses.sqs.topology import ABSENT, Topology
from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message

BATCH = 10
BATCH_BYTES_MAX = 256 * 1024
AT_ONCE = 8
ANSWER_SECONDS = 10.0
TOO_LARGE = {"BatchRequestTooLong", "InvalidAttributeValue", "InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"}


@dataclass(slots=True, eq=False)
class _Parcel:
    """One message on its way to one queue."""

    topic: str
    body: str
    key: str
    arrived: asyncio.Future[bool]
    """True: taken; False: refused, as it is too large for the queue."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    tries: int = 0


class Sender:
    """Sends to the queues of topics.

    Args:
        link: the client.
        topology: where the queues are.
        send_timeout_seconds: what was not taken by then may not have been sent.
    """

    def __init__(self, link: ServiceLink, topology: Topology, *, send_timeout_seconds: float) -> None:
        self._link = link
        self._topology = topology
        self._send_timeout_seconds = send_timeout_seconds
        self._waiting: dict[str, deque[_Parcel]] = {}
        self._requests: dict[str, int] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._sending = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._trouble = "they are on their way"

    async def send(self, messages: Sequence[Message]) -> list[Message]:
        """Send, and wait until the queues have taken all of them; those that are too large for their queue.

        Raises:
            BusUnavailableError: they have not by the end of the time; some may have been taken.
        """
        parcels: list[tuple[Message, _Parcel]] = []
        self._sending += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(self._send_timeout_seconds):
                queues = {topic: await self._queues(topic) for topic in dict.fromkeys(message.topic for message in messages)}
                for message in messages:
                    body = wire.body_of(message)
                    for queue in queues[message.topic]:
                        parcel = _Parcel(message.topic, body, message.key, asyncio.get_running_loop().create_future())
                        parcels.append((message, parcel))
                        self._waiting.setdefault(queue, deque()).append(parcel)
                for queue in {queue for each in queues.values() for queue in each}:
                    self._start(queue)
                await asyncio.wait([parcel.arrived for _, parcel in parcels]) if parcels else None
        except TimeoutError:
            left = sum(not parcel.arrived.done() for _, parcel in parcels) or len(messages)
            trouble = self._trouble if self._link.is_present else self._link.trouble
            raise BusUnavailableError(
                f"{left} messages were not confirmed within {self._send_timeout_seconds:g} s: {trouble}"
            ) from None
        finally:
            for _, parcel in parcels:
                parcel.arrived.cancel()
            self._sending -= 1
            if not self._sending:
                self._idle.set()
        return [message for message, parcel in parcels if not parcel.arrived.result()]

    async def idle(self) -> None:
        """Wait until every send has returned."""
        await self._idle.wait()

    async def close(self) -> None:
        """End what is still on its way."""
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _queues(self, topic: str) -> list[str]:
        tries = 0
        while True:
            client = await self._link.get()
            try:
                return await self._topology.queues(client, topic)
            except UNAVAILABLE as error:
                self._failed(client, error)
            await asyncio.sleep(backoff_seconds(tries))
            tries += 1

    def _start(self, queue: str) -> None:
        at_once = 1 if self._topology.fifo else AT_ONCE
        waiting = len(self._waiting[queue])
        while self._requests.get(queue, 0) < min(at_once, -(-waiting // BATCH)):
            self._requests[queue] = self._requests.get(queue, 0) + 1
            task = asyncio.create_task(self._work(queue), name=f"send to {queue}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _work(self, queue: str) -> None:
        try:
            while batch := self._next(queue):
                tries = batch[0].tries
                await self._try(queue, batch)
                left = [parcel for parcel in batch if not parcel.arrived.done()]
                if left:
                    for parcel in left:
                        parcel.tries += 1
                    self._waiting[queue].extendleft(reversed(left))
                    await asyncio.sleep(backoff_seconds(tries))
        finally:
            self._requests[queue] -= 1
            if not self._requests[queue] and not self._waiting[queue]:
                del self._requests[queue], self._waiting[queue]

    def _next(self, queue: str) -> list[_Parcel]:
        batch: list[_Parcel] = []
        size, waiting = 0, self._waiting[queue]
        while waiting and len(batch) < BATCH:
            parcel = waiting[0]
            if parcel.arrived.done():  # nobody waits for it any more
                waiting.popleft()
                continue
            size += len(parcel.body.encode())
            if batch and size > BATCH_BYTES_MAX:
                break
            batch.append(waiting.popleft())
        return batch

    async def _try(self, queue: str, batch: list[_Parcel]) -> None:
        client = await self._link.get()
        entries = [self._entry(parcel) for parcel in batch]
        try:
            answer = await call(client, "send_message_batch", ANSWER_SECONDS, QueueUrl=queue, Entries=entries)
        except UNAVAILABLE as error:
            if code_of(error) in TOO_LARGE:
                await self._one_by_one(client, queue, batch)
            elif code_of(error) in ABSENT:
                await self._elsewhere(batch)
            else:
                self._failed(client, error)
            return
        by_id = {parcel.id: parcel for parcel in batch}
        for each in answer.get("Successful", []):
            _arrived(by_id[each["Id"]], taken=True)
        for each in answer.get("Failed", []):
            if each.get("SenderFault") and each.get("Code") not in BUSY:
                _arrived(by_id[each["Id"]], taken=False)
            self._trouble = f"{each.get('Code')}: {each.get('Message', '')}"

    async def _one_by_one(self, client: Client, queue: str, batch: list[_Parcel]) -> None:
        """Which of them the queue does not take, it does not say."""
        if len(batch) == 1:
            _arrived(batch[0], taken=False)
            return
        for parcel in batch:
            try:
                entries = [self._entry(parcel)]
                await call(client, "send_message_batch", ANSWER_SECONDS, QueueUrl=queue, Entries=entries)
                _arrived(parcel, taken=True)
            except UNAVAILABLE as error:
                if code_of(error) in TOO_LARGE:
                    _arrived(parcel, taken=False)
                else:
                    self._failed(client, error)

    async def _elsewhere(self, batch: list[_Parcel]) -> None:
        """The queue was deleted: it is made again, or its process is gone."""
        for topic in {parcel.topic for parcel in batch}:
            self._topology.forget(topic)
            if not await self._queues(topic):
                for parcel in batch:
                    _arrived(parcel, taken=True)

    def _entry(self, parcel: _Parcel) -> dict[str, Any]:
        return {"Id": parcel.id, "MessageBody": parcel.body, **self._topology.place_of(parcel.key, message_id=parcel.id)}

    def _failed(self, client: Client, error: BaseException) -> None:
        self._trouble = reason_of(error)
        self._link.failed(client, error)


def _arrived(parcel: _Parcel, *, taken: bool) -> None:
    if not parcel.arrived.done():
        parcel.arrived.set_result(taken)
