"""A consumer's thread that never comes back from librdkafka, as was seen once after the broker had stood still."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from goconductor.buses.kafka import KafkaBus, reading
from goconductor.buses.kafka.reading import Reader
from tests.contracts.kafka_cluster import Ledger, orders

pytestmark = pytest.mark.kafka


@pytest.fixture
async def bus(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KafkaBus]:
    monkeypatch.setattr(reading, "STUCK_SECONDS", 1.0)
    opened = KafkaBus(kafka_server, drain_seconds=0.1, open_timeout_seconds=60, group_prefix="stuck.")
    await opened.open()
    yield opened
    await opened.close()


async def test_it_is_left_behind_and_another_one_reads_on(
    bus: KafkaBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, freed = threading.Event(), threading.Event()
    store = Reader._store

    def never(reader: Reader, consumer: Any) -> None:
        if not stuck.is_set():
            stuck.set()
            freed.wait()
        store(reader, consumer)

    ledger = Ledger()
    await bus.subscribe(["stuck-orders"], "group", ledger, prefetch=10)
    await bus.send(orders("stuck-orders", "before"))
    await ledger.has({"before"})
    monkeypatch.setattr(Reader, "_store", never)
    try:
        assert await asyncio.to_thread(stuck.wait, 30)
        await bus.send(orders("stuck-orders", *(f"{number}" for number in range(20))))
        await ledger.has({f"{number}" for number in range(20)}, timeout_seconds=120)
        assert "does not come back from librdkafka" in caplog.text
    finally:
        freed.set()
