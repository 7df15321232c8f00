"""Maps and repeats that stand in for a step that has failed, outside of other maps and in their items."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import RefusedError, Retry, Saga
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.world import World


class Shop:
    """Refuses to take all at once, and takes each part."""

    def __init__(self) -> None:
        self.used: list[Any] = []
        self.steps = StepRegistry("shop")

        @self.steps.step(retry=Retry(attempts_max=1))
        async def all() -> str:
            raise RefusedError("too much at once")

        @self.steps.step
        async def part(x: int) -> int:
            return x * 10

        @self.steps.step
        async def use(what: Any) -> None:
            self.used.append(what)


async def test_conditions_and_values_see_what_the_items_of_a_map_have_given_that_stands_in(world: World) -> None:
    shop, order = Shop(), Saga[Any, Any]("order")
    everything = order.step("shop.all", id="everything", fallback=order.later("parts"))
    parts = order.map(order.input.parts, id="parts")
    parts.step("shop.part", inputs={"x": parts.item})
    whole = order.value("steps.everything.output", id="whole", after=[everything])
    order.step("shop.use", inputs={"what": whole.output}, when="steps.everything.failed && steps.everything.output[1] == 20")
    await world.node(shop.steps)
    state = await world.end_of(await world.start(order, {"parts": [1, 2]}))
    assert (state.status, shop.used) == (SagaStatus.COMPLETED, [[10, 20]])


@pytest.mark.parametrize("of_repeat", [False, True])
@pytest.mark.parametrize("is_last", [False, True])
async def test_an_item_gives_what_stands_in_for_its_step(world: World, is_last: bool, of_repeat: bool) -> None:
    shop, order = Shop(), Saga[Any, Any]("order")
    lines = order.map(order.input.lines, id="lines")
    everything = lines.step("shop.all", id="everything", fallback=lines.later("parts"))
    if of_repeat:
        turns = lines.repeat(until="index == 1", max=3, id="parts")
        turns.step("shop.part", inputs={"x": turns.index})
    else:
        parts = lines.map(lines.item, id="parts")
        parts.step("shop.part", inputs={"x": parts.item})
    if not is_last:
        lines.value("steps.everything.output", after=[everything])
    order.step("shop.use", inputs={"what": lines.output})
    await world.node(shop.steps)
    state = await world.end_of(await world.start(order, {"lines": [[1, 2], [3]]}))
    assert (state.status, shop.used) == (SagaStatus.COMPLETED, [[10, 10] if of_repeat else [[10, 20], [30]]])
