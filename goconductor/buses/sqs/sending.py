"""Sends: for each queue, what waits travels ten at a time in a few requests at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from goconductor.buses.shared.amazon import BUSY, UNAVAILABLE, Client, ServiceLink, backoff_seconds, call, code_of, reason_of
from goconductor.buses.shared.parcels import Parcel, Parcels
from goconductor.buses.sqs import wire
from goconductor.buses.sqs.topology import ABSENT, Topology
from goconductor.ports.bus import Message

BATCH = 10
"""Greatest number of messages in a request, as the service says."""
BATCH_BYTES_MAX = 256 * 1024
AT_ONCE = 8
"""Number of requests to one queue at a time, unless it keeps an order."""
ANSWER_SECONDS = 10.0
"""Seconds that the service has to answer."""
TOO_LARGE = {"BatchRequestTooLong", "InvalidAttributeValue", "InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"}


@dataclass(slots=True, eq=False, kw_only=True)
class _Parcel(Parcel):
    """One message on its way to one queue."""

    message: Message
    body: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


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
        self._trouble = "they are on their way"
        self._parcels: Parcels[str, _Parcel] = Parcels(
            self._attempt,
            pause_seconds=backoff_seconds,
            batch_max=BATCH,
            batch_bytes_max=BATCH_BYTES_MAX,
            at_once=1 if topology.fifo else AT_ONCE,
            send_timeout_seconds=send_timeout_seconds,
            trouble=lambda: self._trouble if link.is_present else link.trouble,
        )
        self.close = self._parcels.close

    async def send(self, messages: Sequence[Message]) -> list[Message]:
        """Send, and wait until the queues have taken all of them; those that are too large for their queue.

        Raises:
            BusUnavailableError: they have not by the end of the time; some may have been taken.
        """

        async def address() -> list[tuple[str, _Parcel]]:
            queues = {topic: await self._queues(topic) for topic in dict.fromkeys(message.topic for message in messages)}
            return [(queue, parcel) for message in messages for queue, parcel in _parcels(message, queues[message.topic])]

        addressed = await self._parcels.send(len(messages), address)
        return [parcel.message for _, parcel in addressed if not parcel.arrived.result()]

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

    async def _attempt(self, queue: str, batch: Sequence[_Parcel]) -> None:
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
            by_id[each["Id"]].settle(taken=True)
        for each in answer.get("Failed", []):
            if each.get("SenderFault") and each.get("Code") not in BUSY:
                by_id[each["Id"]].settle(taken=False)
            self._trouble = f"{each.get('Code')}: {each.get('Message', '')}"

    async def _one_by_one(self, client: Client, queue: str, batch: Sequence[_Parcel]) -> None:
        """Send the parcels one by one: the queue does not report which of them it refuses."""
        if len(batch) == 1:
            batch[0].settle(taken=False)
            return
        for parcel in batch:
            try:
                entries = [self._entry(parcel)]
                await call(client, "send_message_batch", ANSWER_SECONDS, QueueUrl=queue, Entries=entries)
                parcel.settle(taken=True)
            except UNAVAILABLE as error:
                if code_of(error) in TOO_LARGE:
                    parcel.settle(taken=False)
                else:
                    self._failed(client, error)

    async def _elsewhere(self, batch: Sequence[_Parcel]) -> None:
        """Send after a queue was deleted: it is created again, unless its process is gone."""
        for topic in {parcel.message.topic for parcel in batch}:
            self._topology.forget(topic)
            if not await self._queues(topic):
                for parcel in batch:
                    parcel.settle(taken=True)

    def _entry(self, parcel: _Parcel) -> dict[str, Any]:
        return {"Id": parcel.id, "MessageBody": parcel.body, **self._topology.place_of(parcel.message.key, message_id=parcel.id)}

    def _failed(self, client: Client, error: BaseException) -> None:
        self._trouble = reason_of(error)
        self._link.failed(client, error)


def _parcels(message: Message, queues: Sequence[str]) -> list[tuple[str, _Parcel]]:
    """Make a parcel for each queue."""
    body = wire.body_of(message)
    size = len(body.encode())
    return [(queue, _Parcel(size=size, message=message, body=body)) for queue in queues]
