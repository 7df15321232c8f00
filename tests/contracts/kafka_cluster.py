"""Another program's view of the tests' Kafka: it makes topics, and writes what we do not; and a receiver that counts."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from goconductor.ports.bus import Delivery, Message
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS


class Cluster:
    def __init__(self, url: str) -> None:
        self._servers: dict[str, Any] = {"bootstrap.servers": url.removeprefix("kafka://")}
        self._admin = AdminClient(self._servers)

    async def make(self, topic: str, partitions: int = 1, **settings: str) -> None:
        config = {name.replace("_", "."): value for name, value in settings.items()}
        await asyncio.wrap_future(self._admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic])

    async def delete(self, topic: str) -> None:
        await asyncio.wrap_future(self._admin.delete_topics([topic])[topic])

    async def add_partitions(self, topic: str, count: int) -> None:
        await asyncio.wrap_future(self._admin.create_partitions([NewPartitions(topic, count)])[topic])

    def partitions(self, topic: str) -> int:
        return len(self._admin.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions)

    def sizes(self, topic: str) -> list[int]:
        """How many records each partition has."""
        consumer = Consumer({**self._servers, "group.id": "sizes"})
        try:
            places = [TopicPartition(topic, partition) for partition in range(self.partitions(topic))]
            return [consumer.get_watermark_offsets(place, timeout=TIMEOUT_SECONDS)[1] for place in places]
        finally:
            consumer.close()

    def write(self, topic: str, **record: Any) -> None:
        producer = Producer(self._servers)
        producer.produce(topic, **record)
        assert producer.flush(TIMEOUT_SECONDS) == 0


def orders(topic: str, *payloads: str) -> list[Message]:
    return [Message(topic=topic, key=payload, payload=payload.encode()) for payload in payloads]


async def until(condition: Callable[[], bool], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Look again and again."""
    looked = asyncio.Event()  # is never set
    async with asyncio.timeout(timeout_seconds):
        while not condition():
            try:
                await asyncio.wait_for(looked.wait(), 0.02)
            except TimeoutError:
                continue


class Ledger:
    """A receiver that acknowledges, and counts each payload."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()

    async def __call__(self, delivery: Delivery) -> None:
        self.came[delivery.message.payload.decode()] += 1
        delivery.acknowledge()

    async def has(self, wanted: set[str], timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        await until(lambda: wanted <= self.came.keys(), timeout_seconds)
