"""A bus that is absent when a node opens is waited for, and said; doors answer meanwhile."""

from __future__ import annotations

import asyncio
import logging

import pytest

from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.engine import node as node_module
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import BusUnavailableError, ConfigurationError
from goconductor.stores.memory import MemoryStore


class Absent(MemoryBus):
    """A bus that is away until it is told to come, or refuses us."""

    def __init__(self, refusal: str = "") -> None:
        super().__init__(MemoryBroker())
        self.there, self.asked = asyncio.Event(), asyncio.Event()
        self._refusal = refusal

    async def open(self) -> None:
        self.asked.set()
        await self.there.wait()
        if self._refusal:
            raise ConfigurationError(self._refusal)
        self.there.clear()
        await super().open()


class Odd(Absent):
    """A bus whose client fails in a way that nobody foresaw, once it is there."""

    async def open(self) -> None:
        await self.there.wait()
        raise ValueError("a reply that cannot be read")


class AwayOnce(MemoryBus):
    """It could be opened, and went away before the first subscription."""

    opened = asked = 0

    async def open(self) -> None:
        self.opened += 1
        await super().open()

    async def subscribe(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        self.asked += 1
        if self.asked == 1:
            raise BusUnavailableError("gone again")
        return await super().subscribe(*arguments, **options)  # type: ignore[arg-type]


def node_on(bus: MemoryBus, *, with_steps: bool) -> Node:
    registry = StepRegistry("shop")
    if with_steps:

        @registry.step
        async def pack() -> None: ...

    store = MemoryStore()
    return Node(store=store, bus=bus, open_store=lambda: store, registry=registry)


async def test_a_participant_waits_for_the_bus_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    bus = Absent()
    node = node_on(bus, with_steps=True)
    opening = asyncio.create_task(node.open())
    async with asyncio.timeout(300):
        with caplog.at_level(logging.WARNING):
            while "waiting for the bus" not in caplog.text:
                await asyncio.wait({opening}, timeout=0.05)
        assert not opening.done()
        bus.there.set()
        await opening
        assert len(node.membership.subscriptions) == 1
        await node.close()


async def test_who_runs_no_steps_opens_without_the_bus_and_joins_it_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "BUS_SECONDS", 0.05)
    bus = Absent()
    node = node_on(bus, with_steps=False)
    async with asyncio.timeout(300):
        await node.open()
        assert node.bus_problem
        bus.there.set()
        while node.bus_problem:
            await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0))})
        await node.close()


async def test_a_participant_that_waits_can_be_ended() -> None:
    bus = Absent()
    opening = asyncio.create_task(node_on(bus, with_steps=True).open())
    await bus.asked.wait()
    opening.cancel()
    async with asyncio.timeout(300):
        await asyncio.wait({opening})
    assert opening.cancelled()


async def test_a_bus_that_refuses_us_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    bus = Absent("wrong password")
    bus.there.set()
    with pytest.raises(ConfigurationError, match="wrong password"):
        await node_on(bus, with_steps=True).open()
    assert "cannot join the bus: wrong password" in caplog.text


async def test_a_bus_that_goes_before_the_first_subscription_is_opened_once() -> None:
    bus = AwayOnce(MemoryBroker())
    node = node_on(bus, with_steps=True)
    async with asyncio.timeout(300):
        await node.open()
    assert (bus.opened, bus.asked) == (1, 2)
    await node.close()


async def test_a_bus_that_fails_unexpectedly_while_it_is_waited_for_is_logged_and_named_as_the_problem(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node_module, "BUS_SECONDS", 0.05)
    bus = Odd()
    node = node_on(bus, with_steps=False)
    async with asyncio.timeout(300):
        await node.open()
        bus.there.set()
        while "unexpected ValueError" not in node.bus_problem:
            await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0))})
        await node.close()
    assert "a reply that cannot be read" in caplog.text
