"""Processes whose conditions answer otherwise: what the log keeps counts, whoever goes on."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec

from goconductor import Saga
from goconductor.engine.facts import log
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.answers import Log
from goconductor.lifecycle.decide import begin, decide
from goconductor.lifecycle.facts.events import ActionSucceeded, PauseRequested, ResumeRequested, SagaStarted
from goconductor.lifecycle.facts.status import ActionStatus, SagaStatus
from goconductor.messages.envelope import Baton
from goconductor.saga.expressions.conditions import compile_condition
from goconductor.saga.plan import Plan
from goconductor.testing.clock import settle
from goconductor.testing.world import World


class Shop:
    """Three steps, of which the second is skipped; the third hangs when it runs first, until its process is dead."""

    def __init__(self) -> None:
        self.registry = StepRegistry("shop")
        self.ran: list[str] = []
        self.shipping = asyncio.Event()
        self.dead = asyncio.Event()

        @self.registry.step
        async def first() -> None:
            self.ran.append("first")

        @self.registry.step
        async def gift() -> None:
            self.ran.append("gift")

        @self.registry.step
        async def ship() -> None:
            self.ran.append("ship")
            if not self.shipping.is_set():
                self.shipping.set()
                await self.dead.wait()

        self.saga: Saga[Any] = Saga("order")
        begun = self.saga.step("shop.first")
        given = self.saga.step("shop.gift", after=[begun], when="input.gift")
        self.saga.step("shop.ship", after=[given])

    async def until_it_ships(self, world: World) -> UUID:
        saga_id = await world.start(self.saga, {"gift": False})
        await self.shipping.wait()
        await settle()
        return saga_id


async def otherwise(node: Node, saga: Saga[Any], when: str = "!input.gift") -> Node:
    """The node, in which each condition of the saga answers like this one."""
    plan = Plan((await node.definitions.plan(saga.definition.name)).definition)
    plan.conditions = dict.fromkeys(plan.conditions, compile_condition(when))
    read = node.definitions._kept.use(plan.version)
    assert read is not None
    node.definitions._kept.put(plan.version, (plan, read[1]))
    return node


def kept(world: World, saga_id: UUID) -> list[dict[str, Any] | None]:
    return [log.event(entry).answers for entry in world.store.data.logs[saga_id]]


def forget(world: World, saga_id: UUID) -> None:
    """Make the log what a version wrote that kept no answers."""
    entries = world.store.data.logs[saga_id]
    for place, entry in enumerate(entries):
        event = msgspec.structs.replace(log.event(entry), answers=None)
        data = log.entry(event, entry.event_id, participant="").data
        entries[place] = msgspec.structs.replace(entry, data=data)


async def test_who_inherits_a_saga_does_not_run_what_was_skipped(world: World) -> None:
    shop = Shop()
    dying = await world.node(shop.registry)
    saga_id = await shop.until_it_ships(world)
    for _ in range(2):
        await otherwise(await world.node(shop.registry), shop.saga)
    await world.sweep()
    for node in world.nodes[1:]:  # the leader's as well
        await otherwise(node, shop.saga)
    world.kill(dying)
    world.nodes.remove(dying)
    while (await world.state(saga_id)).status is not SagaStatus.COMPLETED:
        await world.live(1.0)
    assert shop.ran == ["first", "ship", "ship"]
    assert kept(world, saga_id)[:2] == [None, {"gift": False}]
    shop.dead.set()  # too late
    await dying.close()


async def test_who_sees_only_the_log_goes_by_it(world: World) -> None:
    shop = Shop()
    await world.node(shop.registry)
    saga_id = await shop.until_it_ships(world)
    reader = await otherwise(await world.node(), shop.saga)
    assert (await reader.view(saga_id)).state.step("gift").action.status is ActionStatus.SKIPPED
    shop.dead.set()
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED


async def test_a_saga_begun_in_a_first_event_keeps_what_that_asked(world: World) -> None:
    shop = Shop()
    await world.node(shop.registry)
    saga: Saga[Any] = Saga("gifts")
    saga.step("shop.gift", when="input.gift")
    saga.step("shop.first", when="input.missing == 1")
    saga_id = await world.start(saga, {"gift": True})
    while (await world.state(saga_id)).status is not SagaStatus.COMPENSATED:
        await world.live(1.0)
    answers = kept(world, saga_id)[0]
    assert answers is not None
    assert answers["gift"] is True
    assert "input.missing is not there" in str(answers["first"])
    reader = await otherwise(await world.node(), saga, "false")
    assert (await reader.view(saga_id)).state == (await world.state(saga_id))


async def test_an_older_log_is_answered_once_and_then_kept(world: World) -> None:
    """Two processes differ: the first to append settles it, and the other takes its own answer back."""
    shop = Shop()
    await world.node(shop.registry)
    saga_id = await shop.until_it_ships(world)
    forget(world, saga_id)
    right, wrong = await world.node(), await otherwise(await world.node(), shop.saga)
    assert (await right.view(saga_id)).state.unkept == {"gift": False}
    assert (await wrong.view(saga_id)).state.unkept == {"gift": True}
    await right.request(saga_id, PauseRequested())
    assert kept(world, saga_id) == [None, None, {"gift": False}]
    await wrong.request(saga_id, ResumeRequested())
    assert kept(world, saga_id) == [None, None, {"gift": False}, None]
    assert (await wrong.view(saga_id)).state.step("gift").action.status is ActionStatus.SKIPPED
    shop.dead.set()
    assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED
    assert shop.ran == ["first", "ship"]


async def test_of_two_that_append_at_once_one_wins_and_the_other_reads_the_whole_log(world: World) -> None:
    shop = Shop()
    await world.node(shop.registry)
    saga_id = await shop.until_it_ships(world)
    forget(world, saga_id)
    right, wrong = await world.node(), await otherwise(await world.node(), shop.saga)
    requests = [node.request(saga_id, PauseRequested()) for node in (right, wrong)]
    refused = [each for each in await asyncio.gather(*requests, return_exceptions=True) if isinstance(each, RequestRefusedError)]
    assert len(refused) == 1, "who lost has read that the saga is paused"
    settled = kept(world, saga_id)[2]
    assert settled in ({"gift": False}, {"gift": True})
    assert len(kept(world, saga_id)) == 3
    for node in (right, wrong):
        view = await node.view(saga_id)
        assert view.state.unkept == {}
        assert (view.state.step("gift").action.status is ActionStatus.SKIPPED) is (settled == {"gift": False})
    shop.dead.set()


async def test_a_message_of_an_older_version_is_believed_only_where_the_log_does_not_say(world: World) -> None:
    """It keeps no answers, and may have answered otherwise when it read the log."""
    shop = Shop()
    node = await world.node(shop.registry)
    saga_id = await shop.until_it_ships(world)
    plan, view = await node.definitions.plan(shop.saga.definition.name), await node.view(saga_id)
    begun = begin(plan, saga_id, SagaStarted(at=view.state.started_at, input={"gift": False})).state
    older = decide(plan, begun, ActionSucceeded("first"), Log(plan, otherwise={"gift": True})).state
    assert older.step("gift").action.status is ActionStatus.SENT
    carried = log.carried(plan, Baton(view.seq, view.tag, msgspec.structs.replace(older, unkept=None)), 100)
    assert carried is not None
    assert (carried.state.unkept, carried.known.seq) == ({"gift": True}, 0)
    (tail,) = await world.store.log.read([carried.known])
    brought_up = log.brought_up(plan, carried, saga_id, tail)
    assert brought_up is not None
    assert brought_up.state == view.state
    forget(world, saga_id)
    (tail,) = await world.store.log.read([carried.known])
    brought_up = log.brought_up(plan, carried, saga_id, tail)
    assert brought_up is not None
    assert brought_up.state.unkept == {"gift": True}
    shop.dead.set()
