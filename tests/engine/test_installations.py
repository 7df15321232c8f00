"""Two environments share a broker by mistake: each leaves the other's messages, and says what to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from goconductor import Saga
from goconductor.engine.facts.installation import HEADER, Installation
from goconductor.engine.steps.registry import StepRegistry
from goconductor.ports.bus import Message
from goconductor.testing.world import World

SAGAS = 10


@pytest.fixture
async def worlds() -> AsyncIterator[tuple[World, World]]:
    """Two logs and two clocks, and one broker."""
    async with World() as production, World() as staging:
        staging.broker = production.broker
        yield production, staging


def shop() -> StepRegistry:
    registry = StepRegistry("shop")

    @registry.step
    async def pack() -> str:
        return "packed"

    return registry


def packing(name: str) -> Saga[Any]:
    saga: Saga[Any] = Saga(name)
    saga.step("shop.pack")
    return saga


async def test_each_leaves_the_others_messages_and_tells_the_remedy_once(
    worlds: tuple[World, World], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    clients = [await world.node() for world in worlds]
    shops = [await world.node(shop()) for world in worlds]
    sagas = [
        (world, await world.start(packing("parcel"), node=client))
        for world, client in zip(worlds, clients, strict=True)
        for _ in range(SAGAS)
    ]
    for _ in range(20):
        for world in worlds:
            await world.clock.advance(0.5)
    assert [(await world.state(saga_id)).status for world, saga_id in sagas] == ["completed"] * len(sagas)
    foreign = [node.counts["messages_foreign"] for node in shops]
    assert any(foreign)
    assert not any(node.counts["dead_letters"] for node in shops)
    told = [record.getMessage() for record in caplog.records if "another installation" in record.getMessage()]
    assert len(told) == sum(count > 0 for count in foreign)
    assert all("prefix" in text for text in told)
    assert not [record for record in caplog.records if "cannot be taken here" in record.getMessage()]


async def test_all_processes_of_one_log_have_one_id_and_those_of_another_have_another(worlds: tuple[World, World]) -> None:
    here = await asyncio.gather(*(Installation(worlds[0].store.choices, worlds[0].clock).learn() for _ in range(5)))
    there = await Installation(worlds[1].store.choices, worlds[1].clock).learn()
    assert len({*here}) == 1
    assert there not in here
    assert all((*here, there))


async def test_what_does_not_say_where_it_comes_from_is_taken(world: World) -> None:
    installation = Installation(world.store.choices, world.clock)
    ours = await installation.learn()
    headers: tuple[dict[str, str], ...] = ({}, {HEADER: ours}, {HEADER: "another"})
    messages = [Message(topic="orders", key="", payload=b"", headers=each) for each in headers]
    assert [await installation.is_foreign(each) for each in messages] == [False, False, True]


async def test_a_store_that_does_not_tell_the_id_keeps_no_message_back(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(_: str) -> None:
        raise PermissionError

    monkeypatch.setattr(world.store.choices, "current", refused)
    await world.node(shop())
    client = await world.node()
    assert (await world.end_of(await world.start(packing("parcel"), node=client))).status == "completed"
    assert "rights on table choices" in caplog.text
