"""The bus is changed for another while sagas run: phase by phase, by whoever asks, and back at any moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest

from goconductor import Saga
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.installation import changes
from goconductor.control.models import ChangeDetail
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import BusUnavailableError, ConfigurationError, RequestRefusedError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages.topics import steps_topic
from goconductor.ports.bus import Message
from goconductor.ports.store.leading.choices import BUS
from goconductor.recovery.sweep import Sweeper
from goconductor.switchover.bus import SwitchableBus
from goconductor.switchover.follower import Follower
from goconductor.testing.world import World


class Broker(MemoryBroker):
    """One that can be out of reach, and counts what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.sent = 0

    def readers(self, participant: str) -> int:
        return sum(len(queue.readers) for queue in self.queues(steps_topic(participant)))


class CountedBus(MemoryBus):
    def __init__(self, broker: Broker, world: World) -> None:
        super().__init__(broker, clock=world.clock)
        self._counted = broker

    async def open(self) -> None:
        if self._counted.away:
            raise BusUnavailableError("nobody answers at new:9092")
        await super().open()

    async def send(self, messages: Sequence[Message]) -> None:
        self._counted.sent += len(messages)
        await super().send(messages)


class Installation:
    """Two services and a client on one store, with an old and a new bus."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.brokers = {"old": Broker(), "new": Broker(), "third": Broker()}
        self.effects: list[str] = []
        self.order: Saga[Any] = Saga("order")
        number = self.order.input["number"]
        reserved = self.order.step("stock.reserve", id="reserve", inputs={"number": number})
        self.order.step("bank.charge", id="charge", inputs={"number": number}, after=[reserved])

    def registry(self, name: str, step: str) -> StepRegistry:
        registry = StepRegistry(name)

        @registry.step(name=step)
        async def effect(number: int) -> None:
            self.effects.append(f"{step} {number}")

        return registry

    async def node(self, registry: StepRegistry | None = None, *, names: Sequence[str] = ("old", "new")) -> Node:
        """One process."""

        follower = Follower(
            BUS,
            names,
            choices=self.world.store.choices,
            instance=lambda: self.serial_of(bus),
            clock=self.world.clock,
            strict=registry is not None,
        )
        makes = {name: partial(CountedBus, self.brokers[name], self.world) for name in names}
        bus = SwitchableBus(makes, follower=follower, clock=self.world.clock)
        return await self.world.node(registry, bus=bus)

    def serial_of(self, bus: SwitchableBus) -> int:
        """Of the process that is just opening, or has opened, this bus: the last that registered."""
        found = next((node.instance.serial for node in self.world.nodes if node.bus is bus), None)
        return found or max(self.world.store.data.instances)

    async def services(self) -> list[Node]:
        return [await self.node(self.registry("stock", "reserve")), await self.node(self.registry("bank", "charge"))]

    async def ask(self, to: str, **more: Any) -> ChangeDetail:
        return await changes.change(Actor("ann"), self.world.store, BUS, to=to, named=["old", "new"], **more)

    async def until_done(self, to: str, **more: Any) -> ChangeDetail:
        """As the command does: asks, and asks again."""
        for _ in range(60):
            found = await self.ask(to, **more)
            if found.done:
                return found
            await self.world.clock.advance(0.5)
        raise AssertionError(found)

    async def run(self, number: int, node: Node) -> SagaStatus:
        saga_id = await self.world.start(self.order, {"number": number}, node=node)
        while True:  # no time passes: on a busy machine end_of would open a node that sweeps, and that has none of these buses
            appended = self.world.store.appended
            if (status := (await self.world.state(saga_id)).status).ended:
                return status
            await appended.wait()


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    async with World() as world:
        yield Installation(world)


async def test_messages_go_over_the_new_bus_and_the_old_one_is_left(installation: Installation) -> None:
    old, new = installation.brokers["old"], installation.brokers["new"]
    await installation.services()
    client = await installation.node()
    assert await installation.run(1, client) is SagaStatus.COMPLETED
    assert (old.sent > 0, new.sent, new.readers("stock")) == (True, 0, 0)

    found = await installation.until_done("new")
    assert (found.chosen, found.beside, found.phase, found.number, found.by) == ("new", None, "settled", 3, "ann")
    assert [(each.participant, each.uses, each.names) for each in found.instances] == [
        (name, "new", ["old", "new"]) for name in ("stock", "bank", "client")
    ]
    sent = old.sent
    assert await installation.run(2, client) is SagaStatus.COMPLETED
    assert (old.sent, old.readers("stock"), old.readers("bank")) == (sent, 0, 0)
    assert new.sent > 0

    assert (await installation.until_done("old")).chosen == "old"
    assert await installation.run(3, client) is SagaStatus.COMPLETED
    assert installation.effects == [f"{step} {number}" for number in (1, 2, 3) for step in ("reserve", "charge")]


async def test_nobody_sends_over_the_new_bus_before_everybody_reads_it(installation: Installation) -> None:
    new = installation.brokers["new"]
    new.away = True
    await installation.services()
    client = await installation.node()
    await installation.ask("new")
    await installation.world.clock.advance(5)
    found = await installation.ask("new")
    assert (found.phase, found.chosen, found.beside) == ("joining", "old", "new")
    assert {waited.partition(": ")[2] for waited in found.waits_for} == {"'new': nobody answers at new:9092"}
    assert await installation.run(1, client) is SagaStatus.COMPLETED
    assert new.sent == 0
    new.away = False
    assert (await installation.until_done("new")).chosen == "new"


async def test_a_change_is_turned_back_at_any_moment(installation: Installation) -> None:
    await installation.services()
    client = await installation.node()
    assert (await installation.ask("new")).phase == "joining"
    assert (await installation.until_done("old")).chosen == "old"
    await installation.ask("new")
    await installation.world.clock.advance(1.5)
    assert ((await installation.ask("new")).phase, (await installation.ask("new")).chosen) == ("draining", "new")
    found = await installation.ask("old")
    assert (found.phase, found.chosen, found.beside) == ("draining", "old", "new")
    assert (await installation.until_done("old")).chosen == "old"
    assert await installation.run(1, client) is SagaStatus.COMPLETED
    assert installation.brokers["new"].readers("stock") == 0


async def test_who_starts_in_the_middle_of_a_change_takes_part_in_it(installation: Installation) -> None:
    await installation.services()
    client = await installation.node()
    await installation.ask("new")
    await installation.world.clock.advance(1.5)
    assert (await installation.ask("new")).phase == "draining"
    second = await installation.node(installation.registry("stock", "reserve"))
    await installation.world.clock.advance(0.5)
    assert [installation.brokers[name].readers("stock") for name in ("old", "new")] == [2, 2]
    assert (await installation.until_done("new")).chosen == "new"
    assert [installation.brokers[name].readers("stock") for name in ("old", "new")] == [0, 2]
    assert await installation.run(1, client) is SagaStatus.COMPLETED
    assert second.bus_problem == ""


async def test_who_comes_back_with_old_settings_is_refused_and_told_what_to_do(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    await installation.services()
    await installation.until_done("new")
    with pytest.raises(ConfigurationError, match=r"these settings do not name it; add it to bus\.others"):
        await installation.node(installation.registry("stock", "reserve"), names=["old"])
    with caplog.at_level(logging.WARNING):
        client = await installation.node(names=["old"])  # whose sagas the sweep begins
    assert "these settings do not name it" in caplog.text
    await installation.world.clock.advance(1)
    found = await changes.present(ANYBODY, installation.world.store, BUS, named=["old", "new"])
    assert found.waits_for == [
        f"client {client.instance.serial} ({client.name}) does not name new; restart it with settings that do"
    ]
    renamed = await installation.node(installation.registry("bank", "charge"), names=["new"])
    await installation.world.leave(client)
    await installation.world.clock.advance(1)
    assert (await changes.present(ANYBODY, installation.world.store, BUS, named=["old", "new"])).done
    assert renamed.bus_problem == ""


async def test_what_cannot_be_done_is_refused_with_its_remedy(installation: Installation) -> None:
    await installation.services()
    with pytest.raises(RequestRefusedError, match=r"nobody names bus 'nwe', there are new and old; add it to bus\.others"):
        await installation.ask("nwe")
    alone = await installation.node(installation.registry("stock", "reserve"), names=["old"])
    told = f"1 living processes do not name bus 'new': stock {alone.instance.serial} .*; roll out bus.others to them first"
    with pytest.raises(RequestRefusedError, match=told):
        await installation.ask("new")
    assert (await installation.ask("old")).done  # it is used already
    forced = await installation.ask("new", force=True)
    assert forced.phase == "joining"
    third = await installation.node(names=["third", "old"])
    with pytest.raises(RequestRefusedError, match="asked for by ann; end that first, with --to new or --to old"):
        await installation.ask("third")
    assert third.bus_problem == ""
    assert await installation.world.store.choices.current(BUS) is not None


async def test_who_was_left_behind_by_force_is_named_hears_of_it_and_does_not_stand_in_the_way_back(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    await installation.services()
    alone = await installation.node(installation.registry("stock", "reserve"), names=["old"])
    forced = await installation.until_done("new", force=True)
    assert forced.left_behind == [f"stock {alone.instance.serial} ({alone.name})"]
    with caplog.at_level(logging.WARNING):
        await installation.world.clock.advance(6)
    assert isinstance(alone.bus, SwitchableBus)
    assert alone.bus.left_behind
    assert "the settings do not name it; restart with settings that do" in caplog.text
    left = f"stock {alone.instance.serial} ({alone.name}) does not name new; restart it with settings that do"
    assert (await changes.present(ANYBODY, installation.world.store, BUS, named=["old"])).waits_for == [left]
    back = await installation.until_done("old")
    assert (back.chosen, back.left_behind) == ("old", [])
    assert not alone.bus.left_behind


async def test_who_goes_on_with_a_change_does_not_turn_back_what_somebody_else_asks_for(installation: Installation) -> None:
    await installation.services()
    installation.brokers["new"].away = True
    assert (await installation.ask("new")).phase == "joining"
    assert (await installation.ask("new", going_on=True)).phase == "joining"
    assert (await installation.ask("old")).phase == "settled"
    with pytest.raises(RequestRefusedError, match="ann has asked for the bus old meanwhile; agree with them"):
        await installation.ask("new", going_on=True)


async def test_an_instance_that_is_just_starting_is_waited_for(installation: Installation) -> None:
    await installation.services()
    starting = await installation.world.store.instances.register("stock", "stock-2", {})
    found = await installation.ask("new")
    assert (found.phase, found.number) == ("settled", 0)
    assert found.waits_for == [
        f"stock {starting.serial} (stock-2) has not reported what it names: it is just starting, or of an older version"
    ]
    await installation.world.store.instances.unregister(starting.serial)
    assert (await installation.until_done("new")).chosen == "new"


async def test_processes_that_use_several_buses_are_told_apart(installation: Installation) -> None:
    await installation.node(installation.registry("stock", "reserve"))
    await installation.node(installation.registry("bank", "charge"), names=["new", "old"])
    assert (await changes.present(ANYBODY, installation.world.store, BUS, named=["old", "new"])).chosen is None
    with pytest.raises(RequestRefusedError, match="living processes use several: new and old; give all the same bus first"):
        await installation.ask("new")


async def test_what_the_old_bus_still_has_when_it_is_left_is_sent_again_by_the_sweep(installation: Installation) -> None:
    stock = installation.registry("stock", "reserve")
    bank, client = await installation.node(installation.registry("bank", "charge")), await installation.node()
    saga_id = await installation.world.start(installation.order, {"number": 1}, node=client)  # to a service that is not there
    await installation.world.clock.advance(0.5)
    assert installation.brokers["old"].sent == 1
    assert (await installation.until_done("new")).chosen == "new"
    await installation.node(stock, names=["new"])
    term = await installation.world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    sweeper = Sweeper(client)
    while not installation.effects:
        await sweeper.sweep_once(term.epoch)
        await installation.world.clock.advance(1)
    assert (await installation.world.end_of(saga_id)).status is SagaStatus.COMPLETED
    assert installation.effects == ["reserve 1", "charge 1"]
    assert bank.bus_problem == ""


async def test_an_old_bus_that_is_away_for_good_holds_nobody_up(installation: Installation) -> None:
    await installation.services()
    client = await installation.node()
    await installation.ask("new")
    await installation.world.clock.advance(1.5)
    assert (await installation.ask("new")).phase == "draining"
    installation.brokers["old"].away = True
    await installation.node(installation.registry("bank", "charge"))
    assert (await installation.until_done("new")).chosen == "new"
    assert await installation.run(1, client) is SagaStatus.COMPLETED


async def test_the_old_bus_is_read_until_nothing_comes_any_more_but_no_longer_than_asked(installation: Installation) -> None:
    running, go_on = asyncio.Event(), asyncio.Event()
    follower = Follower(
        BUS,
        ["old", "new"],
        choices=installation.world.store.choices,
        instance=lambda: serial,
        clock=installation.world.clock,
        strict=True,
    )
    serial = (await installation.world.store.instances.register("stock", "stock-1", {"reserve": {}})).serial
    makes = {
        name: partial(CountedBus, broker, installation.world) for name, broker in installation.brokers.items() if name != "third"
    }
    bus = SwitchableBus(makes, follower=follower, clock=installation.world.clock)
    await bus.open()

    async def receive(delivery: Any) -> None:
        running.set()
        await go_on.wait()
        delivery.acknowledge()

    await bus.subscribe(["t"], "stock", receive, prefetch=10)
    await bus.send([Message(topic="t", key="k", payload=b"")])
    await running.wait()
    await installation.ask("new")
    await installation.world.clock.advance(1.5)
    await installation.ask("new")
    await installation.world.clock.advance(30)
    found = await installation.ask("new")
    assert (found.phase, found.waits_for) == ("draining", [f"stock {serial} (stock-1) still receives over old"])
    assert (await installation.ask("new", drain_seconds=25)).phase == "settled"
    go_on.set()
    await installation.world.clock.advance(2)
    assert (await installation.ask("new")).done
    await bus.close()
