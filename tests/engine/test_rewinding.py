"""The log has gone back: what a process told it is told again, and what it and its messages know to be missing is noted."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from goconductor import Saga
from goconductor.engine.facts import rewinding
from goconductor.engine.facts.log import View
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.ports.store import Loss, StoredDefinition
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.saga.writing.builder import Saga as SagaOf
from goconductor.stores.memory.leading.failovers import MemoryFailovers
from goconductor.testing.clock import settle
from goconductor.testing.world import World


def shop() -> tuple[StepRegistry, SagaOf[Any]]:
    registry = StepRegistry("shop")

    @registry.step
    async def pack() -> str:
        return "packed"

    saga: SagaOf[Any] = Saga("order")
    saga.step(pack)
    return registry, saga


def rewind(world: World, saga_id: UUID, *, events: int) -> None:
    """As a standby has it that lagged behind; none of its events means that the saga is gone."""
    store, log = world.store, world.store.data.logs[saga_id]
    if not events:
        del store.data.logs[saga_id], store.data.heads[saga_id]
        return
    del log[events:]
    head = store.data.heads[saga_id]
    store.data.heads[saga_id] = replace(head, seq=events, tag=log[-1].tag, status="running", wake_at=world.clock.now())


async def test_what_was_acknowledged_and_is_gone_is_noted_once(world: World) -> None:
    registry, saga = shop()
    node = await world.node(registry)
    kept, cut, gone = [await world.start(saga) for _ in range(3)]
    await settle()
    rewind(world, cut, events=1)
    rewind(world, gone, events=0)
    for _ in range(2):
        node._rewinding.rewound()
        await settle()
    losses = {one.saga_id: one for one in await world.store.failovers.losses(10)}
    assert losses.keys() == {cut, gone}
    assert kept not in losses
    assert (losses[cut].seq, losses[cut].status, losses[cut].known_by) == (2, "completed", node.name)
    assert node.counts["commits_missing"] == 2


async def test_what_a_process_did_and_the_log_has_lost_is_done_again(world: World) -> None:
    """Its own newest view of the saga was one that there had never been: by it, the same outcome is superfluous."""
    registry, _ = shop()
    saga: SagaOf[Any] = Saga("order")
    packed = saga.step("shop.pack")
    saga.step("depot.weigh", after=[packed])
    node = await world.node(registry)
    saga_id = await world.start(saga)
    await settle()
    assert [entry.event for entry in world.store.data.logs[saga_id]] == ["SagaStarted", "ActionSucceeded"]  # nobody weighs yet
    rewind(world, saga_id, events=1)
    node._rewound()
    depot = StepRegistry("depot")

    @depot.step
    async def weigh() -> str:
        return "heavy"

    await world.node(depot)
    assert (await world.end_of(saga_id, within_seconds=60.0)).status == "completed"


async def test_a_message_that_knows_more_than_the_log_says_so(world: World) -> None:
    registry, saga = shop()
    client, node = await world.node(), await world.node()
    saga_id = await world.start(saga, node=client)
    plan, view = await client._reader.look(saga_id)
    owner = await world.node(registry)
    await settle()
    client.send(plan, View(view.state, 7, 4711), [RunAction("pack", 1, 0)])
    await settle()
    assert [(one.saga_id, one.seq, one.tag, one.known_by) for one in await world.store.failovers.losses(10)] == [
        (saga_id, 7, 4711, owner.name)
    ]
    assert (owner.counts["commits_missing"], node.counts["commits_missing"]) == (1, 0)
    assert (await world.end_of(saga_id)).status == "completed"


async def test_a_definition_that_the_log_has_lost_is_put_again_and_is_active_again(world: World) -> None:
    registry, saga = shop()
    node = await world.node(registry)
    plan = await node.definitions.register(saga.definition)
    world.store.data.definitions.clear()
    world.store.data.active.clear()
    assert await world.store.definitions.get(DEFAULT_NAMESPACE, "order") is None
    node._rewinding.rewound()
    await settle()
    stored = await world.store.definitions.get(DEFAULT_NAMESPACE, "order")
    assert stored is not None
    assert (stored.version, stored.active) == (plan.version, True)
    other: SagaOf[Any] = Saga("order")
    other.step("shop.pack", id="other")
    newer = other.definition
    await world.store.definitions.put(
        StoredDefinition(namespace=DEFAULT_NAMESPACE, saga="order", version=newer.version, document=newer.document()),
        activate=True,
        pin=True,
    )
    node._rewinding.rewound()
    await settle()
    active = await world.store.definitions.get(DEFAULT_NAMESPACE, "order")
    assert active is not None
    assert active.version == newer.version  # that another one chose since stays


class Away(MemoryFailovers):
    """Of a store that is away for the first tries of noting."""

    tries = 3

    async def lost(self, told: Any) -> list[Loss]:
        self.tries -= 1
        if self.tries >= 0:
            raise StoreUnavailableError
        return await super().lost(told)


async def test_it_goes_on_trying_while_the_store_is_away_and_ends_with_its_node() -> None:
    async with World() as world:
        away = world.store.failovers = Away(world.store.data)
        registry, saga = shop()
        node = await world.node(registry)
        saga_id = await world.start(saga)
        await settle()
        rewind(world, saga_id, events=1)
        node._rewinding.rewound()
        await settle()
        assert await world.store.failovers.losses(10) == []
        await world.clock.advance(rewinding.AGAIN_SECONDS * 4)
        assert [one.saga_id for one in await world.store.failovers.losses(10)] == [saga_id]
        away.tries = 1_000
        node._rewinding.rewound()
        await asyncio.sleep(0)


class Odd(MemoryFailovers):
    """Of a store that fails in a way that nobody foresaw."""

    async def lost(self, told: Any) -> list[Loss]:
        raise ValueError("a row that cannot be read")


async def test_an_error_that_nobody_expected_is_logged_while_the_process_lives(caplog: pytest.LogCaptureFixture) -> None:
    async with World() as world:
        world.store.failovers = Odd(world.store.data)
        registry, saga = shop()
        node = await world.node(registry)
        await world.start(saga)
        await settle()
        node._rewinding.rewound()
        await settle()
        assert "the task 'repeating what the log lost' ended by an unexpected error" in caplog.text
        assert "a row that cannot be read" in caplog.text


async def test_only_so_much_is_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewinding, "REMEMBERED_MAX", 2)
    registry, saga = shop()
    node = await world.node(registry)
    sagas = [await world.start(saga) for _ in range(4)]
    await settle()
    assert [number for number, _ in node._rewinding._places.items()] == [saga_id.int for saga_id in sagas[2:]]
