import hashlib
from itertools import count

import pytest

from goconductor.buses.kinesis import KinesisBus
from goconductor.ports.bus import Message
from goconductor.testing.contracts.bus import BusContract, NewBus

pytestmark = [pytest.mark.kinesis, pytest.mark.postgres]

SHARDS = 2


class TestKinesisBus(BusContract):
    lines = SHARDS

    @pytest.fixture(autouse=True)
    def sent_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a busy server has not answered in time would be sent again."""
        monkeypatch.setattr("goconductor.buses.kinesis.sending.ANSWER_SECONDS", 240.0)

    @pytest.fixture
    def poll_seconds(self, request: pytest.FixtureRequest) -> float:
        """Sixty shards, ten times a second, would be more than the server answers."""
        return 1.0 if "many_topics" in request.node.name else 0.1

    @pytest.fixture
    def new_bus(self, kinesis_url: str, postgres_url: str, amazon_prefix: str, poll_seconds: float) -> NewBus:
        return lambda: KinesisBus(
            kinesis_url,
            database_url=postgres_url,
            prefix=amazon_prefix,
            shards=SHARDS,
            send_timeout_seconds=60.0,
            poll_seconds=poll_seconds,
            tick_seconds=0.2,
            lease_seconds=30.0,  # nobody dies here
        )

    def messages(self, topic: str, *payloads: str) -> list[Message]:
        """With keys that bring one after the other to the next shard: it is the keys that share on Kinesis."""
        return [
            Message(topic=topic, key=key_for(index % SHARDS, payload), payload=payload.encode())
            for index, payload in enumerate(payloads)
        ]


def key_for(shard: int, payload: str) -> str:
    """A key that Kinesis, by its MD5, brings to this shard."""
    keys = (f"key {number} of {payload}" for number in count())
    return next(key for key in keys if int(hashlib.md5(key.encode()).hexdigest(), 16) * SHARDS >> 128 == shard)
