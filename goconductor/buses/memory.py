"""A bus within one process: for tests, examples and a first look. What it holds is gone with its process.

It keeps the port's duties by the same contract suite as the real ones, and is as strict as they are: messages are encoded
when sent and decoded when delivered, so that nothing is shared by accident. A topic without a subscriber keeps its
messages for the first group that comes; a group gets what is sent after it first subscribed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec

from goconductor.errors import BusUnavailableError
from goconductor.ports.bus import Message, Receiver, sendable
from goconductor.ports.clock import Clock
from goconductor.ports.figures import Lag
from goconductor.redaction import logger_of

logger = logger_of(__name__)


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
            reader.take(_Delivery(reader, self, *self.waiting.popleft()))


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


class _Delivery:
    def __init__(self, subscription: _Subscription, queue: _Queue, encoded: bytes, deliveries: int) -> None:
        self.message = msgspec.msgpack.decode(encoded, type=Message)
        self.deliveries = deliveries + 1
        self.queue, self.encoded = queue, encoded
        self._subscription = subscription

    def acknowledge(self) -> None:
        self._subscription.settle(self, None)

    def give_back(self, delay_seconds: float = 0.0) -> None:
        self._subscription.settle(self, delay_seconds)


class _Subscription:
    def __init__(self, bus: MemoryBus, queues: list[_Queue], receiver: Receiver, prefetch: int) -> None:
        self._bus, self._queues, self._receiver, self._prefetch = bus, queues, receiver, prefetch
        self._in_hand: set[_Delivery] = set()
        self._receiving: set[asyncio.Task[None]] = set()
        self._paused = False

    def has_room(self) -> bool:
        return not self._paused and len(self._in_hand) < self._prefetch

    def take(self, delivery: _Delivery) -> None:
        self._in_hand.add(delivery)
        receiving = asyncio.create_task(self._receive(delivery))
        self._receiving.add(receiving)
        receiving.add_done_callback(self._receiving.discard)

    async def _receive(self, delivery: _Delivery) -> None:
        try:
            await self._receiver(delivery)
        except Exception:
            logger.exception("a receiver raised; its message %r comes again", delivery.message.key)
            delivery.give_back(min(0.01 * 2 ** min(delivery.deliveries, 12), 30.0))

    def settle(self, delivery: _Delivery, delay_seconds: float | None) -> None:
        if delivery in self._in_hand:
            self._in_hand.remove(delivery)
            if delay_seconds is not None:
                self._bus.put_later(delay_seconds, delivery)
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _hand_out(self) -> None:
        for queue in self._queues:
            queue.hand_out()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._hand_out()

    async def stop(self) -> None:
        for queue in self._queues:
            queue.readers = [reader for reader in queue.readers if reader is not self]
        await asyncio.gather(*self._receiving)
        for delivery in list(self._in_hand):
            delivery.give_back()


class MemoryBus:
    """A bus object as one process would have it.

    Args:
        broker: shared by the bus objects that are to reach one another; a new one if None.
        payload_bytes_max: larger payloads are refused, in bytes.
        clock: for the delays of ``give_back``; the event loop's own if None.
    """

    def __init__(
        self, broker: MemoryBroker | None = None, *, payload_bytes_max: int = 1 << 20, clock: Clock | None = None
    ) -> None:
        self.payload_bytes_max = payload_bytes_max
        self._broker = broker or MemoryBroker()
        self._sleep = clock.sleep if clock else asyncio.sleep
        self._subscriptions: list[_Subscription] | None = None

    async def open(self) -> None:
        self._subscriptions = []

    async def close(self) -> None:
        subscriptions, self._subscriptions = self._subscriptions, None
        await asyncio.gather(*(subscription.stop() for subscription in subscriptions or ()))

    async def send(self, messages: Sequence[Message]) -> None:
        self._opened()
        fit, refusal = sendable(messages, self.payload_bytes_max)
        for message in fit:
            for queue in self._broker.queues(message.topic):
                queue.put(msgspec.msgpack.encode(message))
        if refusal:
            raise refusal

    async def subscribe(self, topics: Sequence[str], group: str, receiver: Receiver, *, prefetch: int) -> _Subscription:
        subscriptions = self._opened()
        queues = [self._broker.queue(topic, group) for topic in topics]
        subscriptions.append(subscription := _Subscription(self, queues, receiver, prefetch))
        for queue in queues:
            queue.readers.append(subscription)
        subscription.resume()
        return subscription

    async def lag(self, topic: str, group: str) -> Lag | None:
        """As :class:`goconductor.ports.figures.MeasuredBus` says; of what waits here nobody knows since when."""
        queue = self._broker.topics.get(topic, {}).get(group)
        return Lag(messages=len(queue.waiting)) if queue is not None else None

    def put_later(self, delay_seconds: float, delivery: _Delivery) -> None:
        if delay_seconds <= 0:
            delivery.queue.put(delivery.encoded, delivery.deliveries)
            return
        delay = asyncio.ensure_future(self._sleep(delay_seconds))
        self._broker.delays.add(delay)
        delay.add_done_callback(self._broker.delays.discard)
        delay.add_done_callback(lambda _: delivery.queue.put(delivery.encoded, delivery.deliveries))

    def _opened(self) -> list[_Subscription]:
        if self._subscriptions is None:
            raise BusUnavailableError("the bus is not open; call `await bus.open()` first")
        return self._subscriptions
