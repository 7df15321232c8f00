"""What the client does to threads: one never comes back from it, others meet what is no exception; and what is passed on."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer

from goconductor.buses.kafka import KafkaBus, consuming, producing, reading
from goconductor.buses.kafka.reading import Reader
from goconductor.ports.bus import Delivery, pass_on
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS
from tests.contracts.kafka_cluster import Ledger, orders

pytestmark = pytest.mark.kafka

PATIENT: dict[str, Any] = {"open_timeout_seconds": 60, "send_timeout_seconds": 60}


@pytest.fixture
async def bus(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KafkaBus]:
    monkeypatch.setattr(reading, "STUCK_SECONDS", 1.0)
    opened = KafkaBus(kafka_server, drain_seconds=0.1, group_prefix="stuck.", **PATIENT)
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
        assert await asyncio.to_thread(stuck.wait, TIMEOUT_SECONDS)
        await bus.send(orders("stuck-orders", *(f"{number}" for number in range(20))))
        await ledger.has({f"{number}" for number in range(20)})
        assert "does not come back from librdkafka" in caplog.text
    finally:
        freed.set()


async def test_what_is_no_exception_ends_no_thread(bus: KafkaBus, kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left = {Consumer: 1, Producer: 1}

    class FailingConsumer(Consumer):
        def poll(self, *arguments: Any) -> Any:
            if left[Consumer]:
                left[Consumer] -= 1
                raise KafkaError(KafkaError._ALL_BROKERS_DOWN, "bare")  # type: ignore[misc]  # but the client can
            return super().poll(*arguments)

    class FailingProducer(Producer):
        def poll(self, *arguments: Any) -> Any:
            if left[Producer]:
                left[Producer] -= 1
                raise KafkaError(KafkaError._ALL_BROKERS_DOWN, "bare")  # type: ignore[misc]  # but the client can
            return super().poll(*arguments)

    monkeypatch.setattr(reading, "Consumer", FailingConsumer)
    monkeypatch.setattr(producing, "Producer", FailingProducer)
    monkeypatch.setattr(producing, "POLL_SECONDS", 0.02)
    sender = KafkaBus(kafka_server, **PATIENT)
    await sender.open()
    try:
        ledger = Ledger()
        await bus.subscribe(["bare-orders"], "group", ledger, prefetch=10)
        await sender.send(orders("bare-orders", "one"))
        await ledger.has({"one"})
        assert left == {Consumer: 0, Producer: 0}
    finally:
        await sender.close()


async def test_what_can_never_be_taken_here_is_not_kept_here(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming, "LOCAL_FOR_SECONDS", 86_400.0)  # what only waits would wait here

    async def unable(delivery: Delivery) -> None:
        pass_on(delivery, 0.01)

    buses = [KafkaBus(kafka_server, partitions=4, group_prefix="passing.", **PATIENT) for _ in range(2)]
    try:
        ledger = Ledger()
        for bus in buses:
            await bus.open()
        await buses[0].subscribe(["passed-orders"], "group", unable, prefetch=10)
        await buses[1].subscribe(["passed-orders"], "group", ledger, prefetch=10)
        await buses[0].send(orders("passed-orders", *(f"{number}" for number in range(20))))
        await ledger.has({f"{number}" for number in range(20)})
    finally:
        await asyncio.gather(*(bus.close() for bus in buses))
