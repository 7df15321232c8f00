"""Sends: for each stream, what waits travels together in a few requests at once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from goconductor.buses.kinesis import wire
from goconductor.buses.kinesis.streams import ABSENT, IN_USE, Streams
from goconductor.buses.shared.amazon import UNAVAILABLE, Client, ServiceLink, backoff_seconds, call, code_of, reason_of
from goconductor.buses.shared.parcels import Parcel, Parcels
from goconductor.ports.bus import Message

BATCH = 500
"""Greatest number of records in a request, as the service says."""
BATCH_BYTES_MAX = 640 * 1024
"""About 1 MiB when encoded, which is what a shard accepts in a second; a larger body would block the loop."""
AT_ONCE = 4
"""Number of requests to one stream at a time."""
ANSWER_SECONDS = 10.0
"""Seconds that the service has to answer."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Parcel(Parcel):
    """One record on its way to one stream."""

    partition_key: str
    data: bytes


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
        self._trouble = "they are on their way"
        self._parcels: Parcels[str, _Parcel] = Parcels(
            self._attempt,
            pause_seconds=backoff_seconds,
            batch_max=BATCH,
            batch_bytes_max=BATCH_BYTES_MAX,
            at_once=AT_ONCE,
            send_timeout_seconds=send_timeout_seconds,
            trouble=lambda: self._trouble if link.is_present else link.trouble,
        )
        self.close = self._parcels.close

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

    async def _send(self, records: Sequence[tuple[str, wire.Record]]) -> None:
        async def address() -> list[tuple[str, _Parcel]]:
            return [(self._streams.name(record.topic), _parcel(key, record)) for key, record in records]

        await self._parcels.send(len(records), address)

    async def _attempt(self, stream: str, batch: Sequence[_Parcel]) -> None:
        client = await self._link.get()
        entries = [{"Data": parcel.data, "PartitionKey": parcel.partition_key} for parcel in batch]
        try:
            answer = await call(client, "put_records", ANSWER_SECONDS, StreamName=stream, Records=entries)
        except UNAVAILABLE as error:
            self._failed(client, error)
            if code_of(error) in {
                ABSENT,
                IN_USE,
            }:  # it does not distinguish a stream that is being made from one that is not there
                await self._make(client, stream)
            return
        results: list[dict[str, Any]] = answer["Records"]
        for parcel, result in zip(batch, results, strict=True):
            if result.get("ErrorCode"):
                self._trouble = f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}"
            else:
                parcel.settle(taken=True)

    async def _make(self, client: Client, stream: str) -> None:
        try:
            await self._streams.make(client, stream)
        except UNAVAILABLE as error:
            self._failed(client, error)

    def _failed(self, client: Client, error: BaseException) -> None:
        self._trouble = reason_of(error)
        self._link.failed(client, error)


def _parcel(key: str, record: wire.Record) -> _Parcel:
    data = wire.encode(record)
    return _Parcel(size=len(data) + len(key.encode()), partition_key=key, data=data)
