"""After the database was away, leases and signs of life say nothing for a while; then everything is looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import Saga
from goconductor.aio.tasks import end
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Head
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.sweep import Sweeper
from goconductor.stores.memory.leading.recovery import MemoryRecovery
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Trade, Unrenewing, Unruly
from tests.recovery.passing import cut_off, until_ended


async def test_after_the_database_was_away_nobody_is_judged_for_one_leases_life(world: World) -> None:
    shop = StepRegistry("shop")
    gate = asyncio.Event()

    @shop.step
    async def pack() -> str:
        await gate.wait()
        return "packed"

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    await world.node()
    node = await world.node(shop, renewing=Unrenewing(world.clock), drain_seconds=0)
    saga_id = await world.start(saga)
    await world.live(19)  # the lease has run out, and the saga is due in a second
    assert "OutcomeUnknown pack" not in await world.events(saga_id)
    world.store.truncate_leases()
    world.kill(node)  # its session was lost with the database
    await world.live(9.5)
    assert "OutcomeUnknown pack" not in await world.events(saga_id)
    assert all(each.dead_at is None for each in await world.store.instances.registered("shop"))
    world.store.revive(node.instance.serial)
    gate.set()
    assert (await world.end_of(saga_id)).outputs() == {"pack": "packed"}
    assert node.counts["steps_run"] == 1


async def test_after_a_crash_of_the_database_all_live_sagas_are_walked_through_once(world: World) -> None:
    """Also when there are more than the sweep takes at once, and when the leader changes in the middle."""
    trade = Trade()
    silent = await world.node(bus=Unruly(world, loses=1.0))
    sagas = [await world.start(trade.saga(), node=silent) for _ in range(25)]
    await world.node(trade.shop)
    await world.node(trade.bank)
    world.store.truncate_leases()
    node = await world.node()
    for number in range(2):
        leader, epoch = await leader_of(world, node, batch=10)
        assert await leader.may_judge(epoch) is (number > 0)
        await world.clock.advance(0 if number else 10)
        assert await leader.may_judge(epoch)
        assert await leader.sweep_once(epoch) == 10
        await settle()
        assert await world.store.recovery.leases_truncated()
    while await leader.sweep_once(epoch) == 10:
        await settle()
    assert not await world.store.recovery.leases_truncated()
    assert await until_ended(world, sagas, within_seconds=1) == ["completed"] * 25


async def leader_of(world: World, node: Node, batch: int) -> tuple[Sweeper, int]:
    term = await world.store.terms.raise_epoch("a leader", 1e9)
    assert term is not None
    return Sweeper(node, lease_seconds=10.0, batch=batch), term.epoch


async def test_after_the_database_was_away_what_really_died_is_found(world: World) -> None:
    trade = Trade()
    await world.node(trade.bank)
    dying = await world.node(trade.shop, bus=Unruly(world, loses=1.0))
    saga_id = await world.start(trade.saga(), node=dying)
    await settle()
    await cut_off(world, dying)
    world.store.truncate_leases()
    await world.node(trade.shop)
    assert await until_ended(world, [saga_id], within_seconds=20) == ["completed"]


async def test_leaders_that_change_often_judge_all_the_same(world: World) -> None:
    """Hole 49: each new one waited a whole lease, so that with terms shorter than that nothing went on for ever."""
    trade = Trade()
    await world.node(trade.bank)
    dying = await world.node(trade.shop, bus=Unruly(world, loses=1.0))
    saga_id = await world.start(trade.saga(), node=dying)
    await settle()
    await cut_off(world, dying)
    world.store.truncate_leases()
    await world.node(trade.shop)
    node = await world.node()
    for _ in range(8):
        leader, epoch = await leader_of(world, node, batch=200)
        for _ in range(6):  # three seconds a term
            if await leader.may_judge(epoch):
                await leader.bury(epoch)
            await leader.sweep_once(epoch)
            await world.clock.advance(0.5)
    assert (await world.state(saga_id)).status == "completed"


class AwayForLong(MemoryRecovery):
    """Of a store that answers no sweep."""

    is_away = True

    async def due(self, limit: int) -> list[Head]:
        if self.is_away:
            raise StoreUnavailableError("nobody answers at log:5432")
        return await super().due(limit)


async def test_a_sweep_that_waits_for_the_store_is_logged_at_growing_intervals(caplog: pytest.LogCaptureFixture) -> None:
    async with World() as world:
        away = world.store.recovery = AwayForLong(world.store.data, MemoryLeases(world.store.data))
        node = await world.node()
        term = await world.store.terms.raise_epoch("a leader", 1e9)
        assert term is not None
        leading = asyncio.create_task(Sweeper(node).lead(LeadTerm(term, world.clock, 1e10)))

        def lines() -> int:
            return caplog.text.count("the saga store is away, the sweep waits: nobody answers at log:5432")

        await world.clock.advance(1.0)
        assert lines() == 1
        await world.clock.advance(600.0)
        assert 5 <= lines() <= 15
        before = lines()
        away.is_away = False
        await world.clock.advance(2.0)
        away.is_away = True
        await world.clock.advance(2.0)
        assert lines() == before + 1
        await end(leading)
