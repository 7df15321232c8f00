"""How much a subscription fetches: no more than its receivers and its loop take."""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from goconductor.buses.kafka import KafkaBus
from goconductor.buses.kafka.reading import BATCH, Reader
from goconductor.testing.contracts.bus import opening
from goconductor.testing.contracts.inbox import TIMEOUT_SECONDS, Inbox
from tests.contracts.kafka_cluster import Ledger, orders, until

pytestmark = pytest.mark.kafka


def unused() -> str:
    return f"orders-{secrets.token_hex(6)}"


@pytest.fixture
async def bus(kafka_server: str) -> AsyncIterator[KafkaBus]:
    async with opening(partial(KafkaBus, kafka_server, open_timeout_seconds=60, group_prefix=f"{unused()}.")) as open_one:
        yield await open_one()


async def test_who_is_full_fetches_no_more(bus: KafkaBus) -> None:
    topic, inbox = unused(), Inbox(hold=True)
    subscription = await bus.subscribe([topic], "group", inbox, prefetch=10)
    for begin in range(0, 5000, 500):
        await bus.send(orders(topic, *(f"{begin + number}" for number in range(500))))
    await inbox.has(10)
    await until(lambda: subscription._reader is not None and subscription._reader.full)
    assert len(subscription._ready) < 2000
    for delivery in inbox.deliveries:
        delivery.acknowledge()
    inbox._hold = False
    await inbox.has(5000)


async def test_a_loop_that_is_busy_does_not_get_the_whole_log_at_once(bus: KafkaBus, kafka_server: str) -> None:
    topic, ledger = unused(), Ledger()
    subscription = await bus.subscribe([topic], "group", ledger, prefetch=5000)
    reader = subscription._reader
    assert isinstance(reader, Reader)
    await reader.joined.wait()

    async def send() -> None:
        async with opening(partial(KafkaBus, kafka_server, open_timeout_seconds=60)) as open_one:
            sender = await open_one()
            for begin in range(0, 5000, 500):
                await sender.send(orders(topic, *(f"{begin + number}" for number in range(500))))

    sending = threading.Thread(target=asyncio.run, args=(send(),))
    sending.start()
    patience = time.monotonic() + TIMEOUT_SECONDS
    while not reader._paused and time.monotonic() < patience:
        time.sleep(0.01)  # noqa: ASYNC251  (it is the loop that is busy)
    assert reader._paused
    assert reader._handed_over - reader._taken <= 2 * BATCH
    await ledger.has({f"{number}" for number in range(5000)})
    await asyncio.to_thread(sending.join)
