"""A bus within one process: for tests, examples and a first look. What it holds is gone with its process.

It keeps the port's duties by the same contract suite as the real ones, and is as strict as they are: messages are encoded
when sent and decoded when delivered, so that nothing is shared by accident. A topic without a subscriber keeps its
messages for the first group that comes; a group gets what is sent after it first subscribed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from goconductor.buses.shared.frame import BusFrame, Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.ports.bus import Message
from goconductor.ports.bus_metrics import Lag
from goconductor.ports.clock import Clock


class _Queue:
    """What waits for one group of one topic."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[bytes, int]] = deque()
        self.readers: list[_Subscription] = []

    def put(self, encoded: bytes, deliveries: int = 0) -> None:
        self.waiting.append((encoded, deliveries))
        self.hand_out()

    def hand_out(self) -> None:
        while self.waiting and (reader := next((each for each in self.readers if each.has_room()), None)):
            self.readers.remove(reader)
            self.readers.append(reader)  # the next message is another reader's
            reader.take(self, *self.waiting.popleft())


class MemoryBroker:
    """What several :class:`MemoryBus` objects share, as several processes share a server."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[str, _Queue]] = {}
        self.delays: set[asyncio.Future[None]] = set()

    def queue(self, topic: str, group: str) -> _Queue:
        groups = self.topics.setdefault(topic, {})
        if group not in groups:
            groups[group] = groups.pop("") if "" in groups else _Queue()
        return groups[group]

    def queues(self, topic: str) -> list[_Queue]:
        return list(self.topics.setdefault(topic, {"": _Queue()}).values())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a delivery comes from, and what goes back there."""

    queue: _Queue
    encoded: bytes


class _Subscription:
    def __init__(self, bus: MemoryBus, queues: list[_Queue], reading: Reading) -> None:
        self._bus, self._queues = bus, queues
        self._in_flight: InFlight[_Place] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self.stopped = False
        for queue in queues:
            queue.readers.append(self)
        self._hand_out()

    def has_room(self) -> bool:
        return self._in_flight.wants and self._in_flight.room > 0

    def take(self, queue: _Queue, encoded: bytes, deliveries: int) -> None:
        self._in_flight.take(msgspec.msgpack.decode(encoded, type=Message), deliveries + 1, _Place(queue, encoded))

    def _on_settled(self, delivery: HeldDelivery[_Place], delay_seconds: float | None) -> None:
        if delay_seconds is not None:
            self._bus.put_later(delay_seconds, delivery.tag.queue, delivery.tag.encoded, delivery.deliveries)
        asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        for queue in self._queues:
            queue.hand_out()

    def pause(self) -> None:
        self._in_flight.pause()

    def resume(self) -> None:
        self._in_flight.resume()
        self._hand_out()

    async def stop(self) -> None:
        self.stopped = True
        for queue in self._queues:
            queue.readers = [reader for reader in queue.readers if reader is not self]
        await self._in_flight.finish()


class MemoryBus(BusFrame[MemoryBroker, _Subscription]):
    """A bus object as one process would have it.

    Args:
        broker: shared by the bus objects that are to reach one another; a new one if None.
        payload_bytes_max: larger payloads are refused, in bytes.
        clock: for the delays of ``give_back``; the event loop's own if None.
    """

    def __init__(
        self, broker: MemoryBroker | None = None, *, payload_bytes_max: int = 1 << 20, clock: Clock | None = None
    ) -> None:
        super().__init__(payload_bytes_max=payload_bytes_max)
        self._broker = broker or MemoryBroker()
        self._sleep = clock.sleep if clock else asyncio.sleep

    async def _open(self) -> MemoryBroker:
        return self._broker

    async def _close(self, opened: MemoryBroker) -> None:
        """Do nothing: the messages in the broker stay there."""

    async def _send(self, opened: MemoryBroker, messages: Sequence[Message]) -> None:
        for message in messages:
            for queue in opened.queues(message.topic):
                queue.put(msgspec.msgpack.encode(message))

    async def _take(self, opened: MemoryBroker, reading: Reading) -> _Subscription:
        return _Subscription(self, [opened.queue(topic, reading.group) for topic in reading.topics], reading)

    async def lag(self, topic: str, group: str) -> Lag | None:
        """Return the lag as :class:`goconductor.ports.MeasuredBus` defines it; the age of messages is unknown."""
        queue = self._broker.topics.get(topic, {}).get(group)
        return Lag(messages=len(queue.waiting)) if queue is not None else None

    def put_later(self, delay_seconds: float, queue: _Queue, encoded: bytes, deliveries: int) -> None:
        if delay_seconds <= 0:
            queue.put(encoded, deliveries)
            return
        delay = asyncio.ensure_future(self._sleep(delay_seconds))
        self._broker.delays.add(delay)
        delay.add_done_callback(self._broker.delays.discard)
        delay.add_done_callback(lambda _: queue.put(encoded, deliveries))
