"""The frame of a subscription that one task serves: what a stop waits for, and what wakes the task."""

from __future__ import annotations

import asyncio

from goconductor.buses.shared import HeldDelivery, Reading, ServedSubscription
from goconductor.ports.bus import Delivery, Message


class Served(ServedSubscription[int]):
    """Notes what happens to it, in order."""

    def __init__(self) -> None:
        self.may_settle = asyncio.Event()
        self.woken: asyncio.Queue[None] = asyncio.Queue()
        self.noted: list[str] = []
        super().__init__(Reading(topics=("orders",), group="shop", receiver=self._receive, prefetch=10))

    async def _receive(self, delivery: Delivery) -> None:
        await self.may_settle.wait()
        delivery.acknowledge()

    def _on_settled(self, delivery: HeldDelivery[int], delay_seconds: float | None) -> None:
        self.noted.append(f"{delivery.tag} settled after {delay_seconds}")

    async def _settle_last(self) -> None:
        self.noted.append("last")

    def start(self) -> None:
        self._begin(self._run())

    async def _run(self) -> None:
        while not self.stopped:
            await self._news.wait()
            self._news.clear()
            self.woken.put_nowait(None)
        self.noted.append("ended")

    def take(self, number: int) -> None:
        self._in_flight.take(Message(topic="orders", key="k", payload=b""), 1, number)


async def test_a_stop_waits_for_what_is_in_hand_and_then_for_the_task() -> None:
    served = Served()
    served.start()
    served.take(1)
    stopping = asyncio.create_task(served.stop())
    async with asyncio.timeout(60):
        await served.woken.get()
        assert (served.stopped, served.noted) == (False, [])
        served.may_settle.set()
        await stopping
    assert served.noted == ["1 settled after None", "last", "ended"]


async def test_a_pause_and_a_resume_wake_the_task() -> None:
    served = Served()
    served.start()
    async with asyncio.timeout(60):
        for change in (served.pause, served.resume):
            change()
            await served.woken.get()
        await served.stop()
    assert served.stopped


async def test_one_that_never_began_can_be_stopped() -> None:
    served = Served()
    await served.stop()
    assert (served.stopped, served.noted) == (True, ["last"])
