"""A saga with many parallel steps costs as much as it has steps, not as their square: its messages only point at the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from goconductor import Saga
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import RequestRefusedError
from goconductor.lifecycle.decide import apply
from goconductor.lifecycle.facts.events import ActionSucceeded, Event, PauseRequested, ResumeRequested
from goconductor.lifecycle.fold import Fold
from goconductor.testing.world import World

WIDTH = 400


def wide(width: int = WIDTH) -> Saga[Any]:
    saga: Saga[Any] = Saga("wide")
    packed = [saga.step("shop.pack", id=f"s{number}", inputs={"number": number}) for number in range(width)]
    saga.step("shop.count", after=packed, inputs={"last": packed[-1].output})
    return saga


def shop(counted: asyncio.Event, *, concurrency: int = 20) -> StepRegistry:
    registry = StepRegistry("shop", concurrency=concurrency)

    @registry.step
    async def pack(number: int) -> int:
        return number

    @registry.step
    async def count(last: int) -> int:
        counted.set()
        return last + 1

    return registry


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the events that were folded after they had been read from the log."""
    folded: Counter[str] = Counter()

    def counting(fold: Fold, event: Any) -> None:
        folded["events"] += 1
        apply(fold, event)

    monkeypatch.setattr("goconductor.lifecycle.replay.apply", counting)
    return folded


async def test_a_wide_fan_out_is_not_folded_anew_for_each_of_its_messages(world: World, folded: Counter[str]) -> None:
    counted = asyncio.Event()
    for _ in range(2):
        await world.node(shop(counted), prefetch=10)
    saga_id = await world.start(wide(), node=await world.node())
    await counted.wait()
    in_all = folded["events"]
    state = await world.end_of(saga_id)
    assert state.steps["count"].output == WIDTH
    assert len(await world.events(saga_id)) == WIDTH + 2
    assert in_all < WIDTH * WIDTH / 8  # each message folding all of the log would make it four times as many, at least


async def test_what_a_process_has_written_meanwhile_does_not_make_each_message_fold_anew(
    world: World, folded: Counter[str]
) -> None:
    """The state that its own appends have led to is past the head that the messages of a batch have found."""
    counted = asyncio.Event()
    await world.node(shop(counted, concurrency=WIDTH // 2), prefetch=WIDTH)
    saga_id = await world.start(wide())
    await counted.wait()
    assert (await world.end_of(saga_id)).steps["count"].output == WIDTH
    assert folded["events"] < 10 * WIDTH


async def test_what_cannot_be_taken_leaves_the_events_of_its_batch_alone(world: World) -> None:
    node = await world.node()
    saga: Saga[Any] = Saga("asked")
    for number in range(4):
        saga.step("nobody.here", id=f"s{number}")
    saga_id = await world.start(saga, node=node)
    events: list[Event] = [
        ActionSucceeded("s0", 1, output=0),
        ResumeRequested(),  # of a saga that is not paused
        PauseRequested(),
        PauseRequested(),
        ActionSucceeded("s1", 1, output=1),
    ]
    answers = await asyncio.gather(*(node.request(saga_id, event) for event in events), return_exceptions=True)
    assert [isinstance(answer, RequestRefusedError) for answer in answers] == [False, True, False, True, False]
    state = await world.state(saga_id)
    assert state.status == "paused"
    assert state.outputs() == {"s0": 0, "s1": 1}
    assert await world.events(saga_id) == ["SagaStarted", "ActionSucceeded s0", "PauseRequested", "ActionSucceeded s1"]
