"""What a Kafka bus remembers of topics."""

import secrets
from typing import Any

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from goconductor.buses.kafka import KafkaBus
from tests.contracts.kafka_cluster import orders

pytestmark = pytest.mark.kafka


async def test_only_the_topics_used_last_are_remembered(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server answers thousands of processes, each under a topic of its own."""
    asked = []

    describe_topics = AdminClient.describe_topics

    def noting(client: AdminClient, topics: TopicCollection, **options: Any) -> Any:
        asked.append(topics)
        return describe_topics(client, topics, **options)

    monkeypatch.setattr(AdminClient, "describe_topics", noting)
    monkeypatch.setattr("goconductor.buses.shared.topics.TOPICS_KNOWN_MAX", 2)
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
