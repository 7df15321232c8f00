import secrets
import zlib
from itertools import count

import pytest

from goconductor.buses.kafka import KafkaBus
from goconductor.buses.kafka.configuration import GroupProtocol
from goconductor.ports.bus import Message
from goconductor.testing.contracts.bus import BusContract, NewBus

pytestmark = pytest.mark.kafka

PARTITIONS = 2


class TestKafkaBus(BusContract):
    lines = PARTITIONS
    group_protocol: GroupProtocol = "consumer"
    messages_together = 5

    @pytest.fixture
    def new_bus(self, kafka_server: str) -> NewBus:
        prefix = f"test-{secrets.token_hex(6)}."  # groups of this test's own: all tests share the broker
        return lambda: KafkaBus(
            kafka_server,
            partitions=PARTITIONS,
            messages_together=self.messages_together,
            group_prefix=prefix,
            group_protocol=self.group_protocol,
            open_timeout_seconds=60,
            send_timeout_seconds=60,
        )

    def messages(self, topic: str, *payloads: str) -> list[Message]:
        """With keys that bring one after the other to the next partition, where it is the keys that share."""
        return [
            Message(topic=topic, key=key_for(index % PARTITIONS, payload), payload=payload.encode())
            for index, payload in enumerate(payloads)
        ]


class TestKafkaBusWithTheClassicGroupProtocolAndPartitionsByKey(TestKafkaBus):
    group_protocol = "classic"
    messages_together = 1


def key_for(partition: int, payload: str) -> str:
    """A key that librdkafka's partitioner, by CRC-32, brings to this partition."""
    keys = (f"key {number} of {payload}" for number in count())
    return next(key for key in keys if zlib.crc32(key.encode()) % PARTITIONS == partition)
