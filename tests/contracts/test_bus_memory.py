import asyncio

import pytest

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.ports.bus import Message
from goconductor.testing.contracts.bus import BusContract, NewBus
from goconductor.testing.contracts.inbox import Inbox


class TestMemoryBus(BusContract):
    @pytest.fixture
    def new_bus(self) -> NewBus:
        broker = MemoryBroker()
        return lambda: MemoryBus(broker)


class HandClock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.sleeping: dict[float, asyncio.Future[None]] = {}

    def monotonic(self) -> float:
        return 0.0

    def now(self) -> float:
        return 0.0

    def observe(self, database_seconds: float) -> None: ...

    async def sleep(self, seconds: float) -> None:
        self.sleeping[seconds] = asyncio.get_running_loop().create_future()
        await self.sleeping[seconds]


async def test_a_delay_is_measured_by_the_clock_that_was_given() -> None:
    clock = HandClock()
    bus, inbox = MemoryBus(clock=clock), Inbox(hold=True)
    await bus.open()
    await bus.subscribe(["orders"], "group", inbox, prefetch=10)
    await bus.send([Message(topic="orders", key="k", payload=b"first")])
    (await inbox.has(1))[0].give_back(delay_seconds=3600)
    await bus.send([Message(topic="orders", key="k", payload=b"second")])
    await inbox.has(2)
    clock.sleeping[3600].set_result(None)
    await inbox.has(3)
    assert inbox.payloads == [b"first", b"second", b"first"]
    await bus.close()


async def test_nothing_is_shared_with_the_sender() -> None:
    bus, inbox, headers = MemoryBus(), Inbox(), {"a": "1"}
    await bus.open()
    await bus.send([Message(topic="orders", key="k", payload=b"", headers=headers)])
    headers["a"] = "2"
    await bus.subscribe(["orders"], "group", inbox, prefetch=10)
    assert (await inbox.has(1))[0].message.headers == {"a": "1"}
    await bus.close()


async def test_readers_of_one_queue_take_turns() -> None:
    bus, one, other = MemoryBus(), Inbox(), Inbox()
    await bus.open()
    await bus.subscribe(["orders"], "group", one, prefetch=10)
    await bus.subscribe(["orders"], "group", other, prefetch=10)
    await bus.send([Message(topic="orders", key="k", payload=b"")] * 10)
    await one.has(5)
    await other.has(5)
    assert len(one.deliveries) == len(other.deliveries) == 5
    await bus.close()
