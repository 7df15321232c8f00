"""A saga's id has its home in it: by its start key where there is one, wherever it is started."""

from __future__ import annotations

from typing import Any

from goconductor import Saga
from goconductor.saga.ids import DEFAULT_NAMESPACE, home, home_of
from goconductor.testing.world import World


def order() -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    saga.step("shop.pack", id="pack")
    return saga


async def test_a_start_with_a_key_makes_an_id_of_the_keys_home(world: World) -> None:
    saga = order()
    nodes = [await world.node(), await world.node()]
    keys = [f"order-{number}" for number in range(8)]
    started = [await world.start(saga, key=key, node=nodes[number % 2]) for number, key in enumerate(keys)]
    assert [home_of(saga_id) for saga_id in started] == [home(DEFAULT_NAMESPACE, saga.name, key) for key in keys]


async def test_starts_without_a_key_draw_their_homes(world: World) -> None:
    saga = order()
    await world.node()
    started = [await world.start(saga) for _ in range(16)]
    assert len({home_of(saga_id) for saga_id in started}) > 1
