"""What a Kafka bus remembers of topics."""

import asyncio
import secrets
from typing import Any

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from goconductor.buses.kafka import KafkaBus
from goconductor.errors import BusUnavailableError
from goconductor.testing.contracts.inbox import Inbox
from tests.contracts.kafka_cluster import Cluster, orders

pytestmark = pytest.mark.kafka


async def test_only_the_topics_used_last_are_remembered(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server answers thousands of processes, each under a topic of its own."""
    asked = []

    describe_topics = AdminClient.describe_topics

    def noting(client: AdminClient, topics: TopicCollection, **options: Any) -> Any:
        asked.append(topics)
        return describe_topics(client, topics, **options)

    monkeypatch.setattr(AdminClient, "describe_topics", noting)
    monkeypatch.setattr("goconductor.buses.shared.bounds.TOPICS_KNOWN_MAX", 2)
    prefix = f"known-{secrets.token_hex(8)}"
    bus = KafkaBus(kafka_server, partitions=1, open_timeout_seconds=60, send_timeout_seconds=60)
    await bus.open()

    async def asks_for(topic: str) -> bool:
        asked.clear()
        await bus.send(orders(f"{prefix}-{topic}", "one"))
        return bool(asked)

    try:
        asks = [await asks_for(topic) for topic in ("one", "two", "one", "three", "one", "two")]
    finally:
        await bus.close()
    assert asks == [True, True, False, True, False, True]


async def test_what_is_sent_together_shares_a_partition_and_of_many_the_next_one_gets_a_share(kafka_server: str) -> None:
    topic, cluster = f"waves-{secrets.token_hex(8)}", Cluster(kafka_server)
    await cluster.make(topic, 3)
    bus = KafkaBus(kafka_server, messages_together=4, open_timeout_seconds=60, send_timeout_seconds=60)
    await bus.open()
    try:
        await bus.send(orders(topic, *map(str, range(10))))
        assert sorted(await asyncio.to_thread(cluster.sizes, topic)) == [2, 4, 4]
        await bus.send(orders(topic, *map(str, range(3))))
        await bus.send(orders(topic, *map(str, range(2))))
        assert sorted(await asyncio.to_thread(cluster.sizes, topic)) == [2, 4 + 2, 4 + 3]
    finally:
        await bus.close()


async def test_where_nothing_is_sent_together_the_key_chooses_the_partition(kafka_server: str) -> None:
    topic, cluster = f"keys-{secrets.token_hex(8)}", Cluster(kafka_server)
    await cluster.make(topic, 3)
    bus = KafkaBus(kafka_server, messages_together=1, open_timeout_seconds=60, send_timeout_seconds=60)
    await bus.open()
    try:
        for _ in range(4):
            await bus.send(orders(topic, "the same"))
        await bus.send(orders(topic, *["the same"] * 4))
    finally:
        await bus.close()
    assert sorted(await asyncio.to_thread(cluster.sizes, topic)) == [0, 0, 8]


async def test_partitions_that_were_added_are_written_to(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goconductor.buses.kafka.topics.COUNT_AGAIN_SECONDS", 0.0)
    topic, cluster = f"grows-{secrets.token_hex(8)}", Cluster(kafka_server)
    await cluster.make(topic, 1)
    bus = KafkaBus(kafka_server, open_timeout_seconds=60, send_timeout_seconds=60)
    await bus.open()
    try:
        await bus.send(orders(topic, "before"))
        await cluster.add_partitions(topic, 2)
        async with asyncio.timeout(120):
            while not (await asyncio.to_thread(cluster.sizes, topic))[-1]:
                await bus.send(orders(topic, "after"))
    finally:
        await bus.close()


async def test_a_copy_for_a_partition_that_is_not_there_goes_to_another(kafka_server: str) -> None:
    topic, inbox = f"copies-{secrets.token_hex(8)}", Inbox(hold=True)
    bus = KafkaBus(kafka_server, partitions=2, open_timeout_seconds=60, send_timeout_seconds=60)
    await bus.open()
    try:
        subscription = await bus.subscribe([topic], "group", inbox, prefetch=10)
        subscription._another_partition = lambda *_: 5  # as where the topic was forgotten, and the settings name more
        await bus.send(orders(topic, "one"))
        (delivery,) = await inbox.has(1)
        delivery.give_back(1.0)
        await inbox.has(2)
    finally:
        await bus.close()


async def test_a_topic_without_partitions_is_no_topic_yet(kafka_server: str) -> None:
    bus = KafkaBus(kafka_server, open_timeout_seconds=60)
    await bus.open()
    try:
        assert bus._opened is not None
        with pytest.raises(BusUnavailableError, match="no partitions yet"):
            bus._opened.topics._learn("half-made", 0)
    finally:
        await bus.close()
