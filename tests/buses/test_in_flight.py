"""What a subscription of any bus has in hand."""

import asyncio

import pytest

from goconductor.buses.shared import HeldDelivery, InFlight
from goconductor.ports.bus import Delivery, Message, pass_on


class Bus:
    """It remembers what became of its deliveries."""

    def __init__(self, *, prefetch: int) -> None:
        self.given: list[Delivery] = []
        self.settled: list[tuple[int, float | None]] = []
        self.came = asyncio.Event()
        self.in_flight: InFlight[int] = InFlight(self.receive, prefetch=prefetch, on_settled=self.on_settled)

    async def receive(self, delivery: Delivery) -> None:
        self.given.append(delivery)
        self.came.set()
        if delivery.message.payload == b"poison":
            raise ZeroDivisionError

    def on_settled(self, delivery: HeldDelivery[int], delay_seconds: float | None) -> None:
        self.settled.append((delivery.tag, delay_seconds))

    async def take(self, *tags: int, payload: bytes = b"") -> None:
        for tag in tags:
            self.in_flight.take(Message(topic="orders", key="k", payload=payload), 1, tag)
        await asyncio.sleep(0)  # receivers are tasks of their own


async def test_no_more_than_the_prefetch_are_given_out_and_the_next_follows_at_once() -> None:
    bus = Bus(prefetch=2)
    await bus.take(1, 2, 3)
    assert (len(bus.given), bus.in_flight.in_hand, bus.in_flight.room) == (2, 2, 0)
    bus.given[0].acknowledge()
    await asyncio.sleep(0)
    assert len(bus.given) == 3
    assert bus.settled == [(1, None)]


async def test_what_waits_goes_back_on_a_pause_and_what_comes_then_as_well() -> None:
    bus = Bus(prefetch=1)
    await bus.take(1, 2)
    bus.in_flight.pause()
    await bus.take(3)
    assert bus.settled == [(2, 0.0), (3, 0.0)]
    assert not bus.in_flight.wants
    bus.in_flight.resume()
    bus.given[0].give_back(-1.0)
    await bus.take(4)
    assert bus.settled == [(2, 0.0), (3, 0.0), (1, 0.0)]
    assert len(bus.given) == 2


async def test_a_receiver_that_raises_gives_its_message_back_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus(prefetch=1)
    await bus.take(1, payload=b"poison")
    await bus.came.wait()
    ((tag, delay_seconds),) = bus.settled
    assert tag == 1
    assert delay_seconds
    assert "a receiver raised" in caplog.text


async def test_what_was_withdrawn_can_be_settled_no_more() -> None:
    bus = Bus(prefetch=3)
    await bus.take(1, 2, 3)
    assert sorted(bus.in_flight.withdraw(lambda tag: tag != 2)) == [1, 3]
    assert not bus.in_flight.has(lambda tag: tag == 1)
    assert bus.in_flight.has(lambda tag: tag == 2)
    for delivery in bus.given:
        delivery.acknowledge()
    assert bus.settled == [(2, None)]


async def test_at_the_end_what_receivers_keep_is_given_back_and_what_was_passed_on_is_told_apart() -> None:
    bus = Bus(prefetch=2)
    await bus.take(1, 2)
    pass_on(bus.given[0], 5.0)
    assert bus.given[0].is_for_others  # type: ignore[attr-defined]  # of a HeldDelivery
    await bus.in_flight.finish()
    assert bus.settled == [(1, 5.0), (2, 0.0)]
