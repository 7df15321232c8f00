"""What may ask for locks, and by which keys: a saga, a step, a map."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Lock, Saga
from goconductor.lifecycle.facts.events import (
    AbortRequested,
)
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.moves.kinds.lock import HELD_SHARED, NO_KEY
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.bank import Bank, account, go, holders, one, status


@pytest.fixture
def bank() -> Bank:
    return Bank()


async def test_the_locks_of_a_saga_are_held_before_its_first_step(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("all", locks=[account("input.a"), account("input.b", mode="shared")])
    saga.step(bank.book, id="never", inputs={"account": saga.input["a"]}, when="false")
    left = saga.step(bank.book, id="left", inputs={"account": saga.input["a"]})
    right = saga.step(bank.book, id="right", inputs={"account": saga.input["b"]})
    wait = saga.wait("go", after=[left, right])
    saga.step(bank.close, id="last", inputs={"account": saga.input["a"]}, after=[wait, saga.later("never")], pivot=True)
    first = await world.start(saga, {"a": "1", "b": "2"})
    await settle()
    second = await world.start(saga, {"a": "2", "b": "1"})
    await settle()
    assert bank.done == [("book", "1"), ("book", "2")]
    await go(node, first)
    assert (await world.end_of(first)).status is SagaStatus.COMPLETED
    await settle()
    assert bank.done[2:] == [("close", "1"), ("book", "2"), ("book", "1")]
    assert (await world.state(second)).locks.keys() == {"account:1", "account:2"}


async def test_a_saga_whose_pivot_comes_first_can_be_aborted_while_it_waits(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("all", locks=[account("input.a")])
    saga.step(bank.close, inputs={"account": saga.input["a"]}, pivot=True)
    await world.start(one(bank), {"a": "7"})
    await settle()
    second = await world.start(saga, {"a": "7"})
    assert await status(world, second) is SagaStatus.WAITING
    await node.request(second, AbortRequested(reason="no"))
    assert (await world.end_of(second)).status is SagaStatus.COMPENSATED


async def test_a_map_asks_for_the_locks_of_all_its_items_at_once(world: World, bank: Bank) -> None:
    node = await world.node(bank.steps)
    saga = Saga[Any]("lines")
    lines = saga.map(saga.input["accounts"], locks=[account("item.id")])
    lines.step(bank.book, inputs={"account": lines.item["id"]})
    saga.wait("go", after=[lines])
    first = await world.start(saga, {"accounts": [{"id": "2"}, {"id": "1"}, {"id": "2"}]})
    await settle()
    second = await world.start(saga, {"accounts": [{"id": "1"}, {"id": "2"}]})
    await settle()
    assert (await world.state(first)).locks.keys() == {"account:1", "account:2"}
    assert await status(world, second) is SagaStatus.WAITING
    await go(node, first)
    assert await holders(world, "account:1") == [second]
    nothing = await world.start(saga, {"accounts": []})
    await go(node, nothing)
    assert (await world.end_of(nothing)).status is SagaStatus.COMPLETED


@pytest.mark.parametrize("value", [None, True, 1.5, {"x": 1}, "", "x" * 10_000, "a\nb"])
async def test_what_is_no_key_fails_the_step_by_one_clear_error(world: World, bank: Bank, value: Any) -> None:
    await world.node(bank.steps)
    saga = Saga[Any]("one")
    saga.step(bank.book, inputs={"account": saga.input["a"]}, locks=[Lock("{input.a}")])
    state = await world.end_of(await world.start(saga, {"a": value}))
    assert state.status is SagaStatus.COMPENSATED
    assert NO_KEY in state.reason
    assert len(state.reason) < 300
    assert bank.done == []


async def test_to_ask_alone_for_what_the_saga_holds_shared_is_the_steps_failure(world: World, bank: Bank) -> None:
    await world.node(bank.steps)
    saga = Saga[Any]("one")
    first = saga.step(bank.book, id="first", inputs={"account": "1"}, locks=[account("input.a", mode="shared")])
    saga.step(bank.book, inputs={"account": "2"}, after=[first], locks=[account("input.a")])
    state = await world.end_of(await world.start(saga, {"a": 1}))
    assert state.status is SagaStatus.COMPENSATED
    assert HELD_SHARED in state.reason
    assert bank.done == [("book", "1"), ("unbook", "1")]
