"""Steps that work something out, run by the engine: on memory, and on PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import Participant, Saga, Settings, connect
from goconductor.app import migrate
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.story import saga_story
from goconductor.engine.facts import log
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import ConditionError
from goconductor.lifecycle.facts.events import RetryRequested
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.lifecycle.replay import replay
from goconductor.saga.expressions import value
from goconductor.saga.plan import plan
from goconductor.testing.world import World


def total() -> Saga[Any, Any]:
    order: Saga[Any, Any] = Saga("order")
    quoted = order.step("shop.quote")
    total = order.value("{'cents': steps.quote.output * input.pieces, 'all': [steps.quote.output]}", id="total", after=[quoted])
    return order.returns(order.step("shop.charge", inputs={"cents": total.output.cents}).output)


def shop() -> StepRegistry:
    made = StepRegistry("shop")

    @made.step
    async def quote() -> int:
        return 250

    @made.step
    async def charge(cents: int) -> str:
        return f"paid {cents}"

    return made


async def test_a_step_takes_what_a_value_gives(world: World) -> None:
    node = await world.node(shop())
    saga_id = await world.start(total(), {"pieces": 3})
    state = await world.end_of(saga_id)
    assert state.outputs() == {"quote": 250, "total": {"all": [250], "cents": 750}, "charge": "paid 750"}
    lines = [clause for line in (await saga_story(ANYBODY, node, saga_id)).lines for clause in line.consequences]
    assert "total is worked out" in lines


async def test_a_saga_of_values_alone_has_ended_when_it_has_started(world: World) -> None:
    order: Saga[Any, Any] = Saga("order")
    doubled = order.value("input.n * 2", id="doubled")
    order.value("steps.doubled.output + 1", id="more", after=[doubled])
    await world.node()
    saga_id = await world.start(order, {"n": 4})
    assert (await world.end_of(saga_id)).outputs() == {"doubled": 8, "more": 9}


async def test_a_replay_reads_what_was_worked_out_and_never_asks_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.node(shop())
    saga_id = await world.start(total(), {"pieces": 3})
    ended = await world.end_of(saga_id)

    def another(*_: object) -> object:
        raise ConditionError("total", "another release cannot evaluate it")

    monkeypatch.setattr(value.Value, "of", another)
    kept = [log.event(entry) for entry in await world.store.sagas.history(saga_id, limit=100)]
    assert replay(plan(total().definition), saga_id, kept).steps["total"] == ended.steps["total"]


async def test_a_value_behind_the_pivot_that_cannot_be_worked_out_is_tried_again_or_declared(world: World) -> None:
    order: Saga[Any, Any] = Saga("order")
    quoted = order.step("shop.quote", pivot=True)
    order.value("input.missing", id="net", after=[quoted])
    node = await world.node(shop())
    saga_id = await world.start(order, {})
    state = await world.end_of(saga_id)
    assert (state.status, state.stuck_steps) == (SagaStatus.STUCK, ["net"])
    with pytest.raises(Exception, match="step 'net' still cannot begin: NoValueError"):
        await node.request(saga_id, RetryRequested("net"))


@pytest.mark.postgres
async def test_the_same_on_postgresql(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    service = Participant("shop")

    @service.step
    async def quote() -> int:
        return 250

    @service.step
    async def charge(cents: int) -> str:
        return f"paid {cents}"

    async with service.running(settings), connect(settings) as conductor:
        handle = await conductor.start(total(), {"pieces": 3})
        assert await handle.result(timeout_seconds=300) == "paid 750"
        outputs = {step.id: step.output for step in (await handle.view()).steps}
        assert outputs == {"quote": 250, "total": {"all": [250], "cents": 750}, "charge": "paid 750"}
