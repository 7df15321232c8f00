"""What every bus object does alike, seen at one that has no broker."""

import asyncio
from collections.abc import Sequence

import pytest

from goconductor.buses.shared.frame import BusFrame, Reading, begun_within
from goconductor.errors import BusUnavailableError, ConfigurationError, PayloadError
from goconductor.ports.bus import Delivery, Message


class Taking:
    """A subscription that only ends."""

    stopped = False

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True


class Bus(BusFrame[str, Taking]):
    """It refuses the payload ``broker``."""

    def __init__(self) -> None:
        super().__init__(payload_bytes_max=10)
        self.sent: list[bytes] = []
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.takings: list[Taking] = []
        self.closed: list[str] = []

    async def _open(self) -> str:
        return "a connection"

    async def _close(self, opened: str) -> None:
        self.closed.append(opened)

    async def _send(self, opened: str, messages: Sequence[Message]) -> tuple[Message, str] | None:
        if messages[0].payload == b"slow":
            self.asked.set()
            await self.answer.wait()
        refused = [message for message in messages if message.payload == b"broker"]
        self.sent += [message.payload for message in messages if message not in refused]
        return (refused[0], "raise its limit") if refused else None

    async def _take(self, opened: str, reading: Reading) -> Taking:
        self.takings.append(Taking())
        self.asked.set()
        await self.answer.wait()
        return self.takings[-1]


async def nothing(_: Delivery) -> None: ...


def message(payload: bytes) -> Message:
    return Message(topic="orders", key="k", payload=payload)


async def test_what_the_broker_refuses_is_named_by_its_place_among_all_that_were_given() -> None:
    bus = Bus()
    await bus.open()
    with pytest.raises(PayloadError, match="raise its limit") as raised:
        await bus.send([message(b"one"), message(b"broker"), message(b"two")])
    assert raised.value.path == "$[1].payload"
    with pytest.raises(PayloadError) as raised:  # the first of all is told, whoever refused it
        await bus.send([message(b"x" * 11), message(b"broker"), message(b"three")])
    assert raised.value.path == "$[0].payload"
    assert bus.sent == [b"one", b"two", b"three"]


async def test_a_bus_that_is_closed_while_somebody_subscribes_leaves_nobody_reading() -> None:
    bus = Bus()
    await bus.open()
    subscribing = asyncio.create_task(bus.subscribe(["orders"], "group", nothing, prefetch=1))
    await bus.asked.wait()
    await bus.close()
    bus.answer.set()
    with pytest.raises(BusUnavailableError, match="closed"):
        await subscribing
    assert bus.takings[0].stopped
    assert bus.closed == ["a connection"]


async def test_a_close_waits_for_what_was_given_to_send() -> None:
    bus = Bus()
    await bus.open()
    sending = asyncio.create_task(bus.send([message(b"slow")]))
    await bus.asked.wait()
    closing = asyncio.create_task(bus.close())
    await asyncio.wait({closing}, timeout=0.01)
    assert not bus.closed
    bus.answer.set()
    await closing
    assert sending.done()
    assert bus.sent == [b"slow"]
    assert bus.closed == ["a connection"]


@pytest.mark.parametrize(
    ("topics", "group", "prefetch"), [([], "group", 1), (["a b"], "group", 1), (["orders"], "", 1), (["orders"], "group", 0)]
)
async def test_there_must_be_something_to_read(topics: list[str], group: str, prefetch: int) -> None:
    bus = Bus()
    await bus.open()
    with pytest.raises(ConfigurationError, match="prefetch"):
        await bus.subscribe(topics, group, nothing, prefetch=prefetch)
    assert not bus.takings


async def test_a_beginning_that_takes_too_long_says_how_long_it_was_waited_for() -> None:
    with pytest.raises(BusUnavailableError, match=r"within 0\.01 s: TimeoutError"):
        await begun_within(
            0.01,
            asyncio.Event().wait(),
            unavailable=(TimeoutError,),
            reason_of=lambda error: type(error).__name__,
        )
