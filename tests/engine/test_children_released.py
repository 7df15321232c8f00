"""Sub-sagas that are held are released when their parent has ended, each by itself."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Saga
from goconductor.engine.children import Children
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.state import SagaState
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.saga.plan import Plan
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.test_children import child_of
from tests.engine.test_children_held import GO, HOUR_SECONDS, Counter, begun


async def test_a_child_that_cannot_be_released_now_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Counter()
    node = await world.node(shop.steps)
    order: Saga[Any, Any] = Saga("order")
    sent = [order.saga(shop.parcel, id=name, inputs={"name": order.input.name}) for name in ("one", "two")]
    order.step("shop.sell", after=[order.approval("Sell?", after=sent)], pivot=True)
    saga_id = await begun(world, order)
    one, two = [await child_of(node, await world.state(saga_id), name) for name in ("one", "two")]
    release = Children._release_one

    async def flaky(children: Children, plan: Plan, state: SagaState, step: str) -> None:
        if step == "one":
            raise StoreUnavailableError
        await release(children, plan, state, step)

    with monkeypatch.context() as patched:
        patched.setattr("goconductor.engine.children.RELEASED_AT_ONCE", 1)
        patched.setattr(Children, "_release_one", flaky)
        await node.request(saga_id, GO)
        assert (await world.end_of(saga_id)).status is SagaStatus.COMPLETED
        await settle()
        assert (await world.state(two.saga_id)).status is SagaStatus.COMPLETED
    assert (await world.state(one.saga_id)).status is SagaStatus.HELD
    await world.live(HOUR_SECONDS + 60.0)
    assert (await world.state(one.saga_id)).status is SagaStatus.COMPLETED
