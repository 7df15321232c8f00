"""A saga that takes another way, run by the engine, and what people see of it."""

from __future__ import annotations

from typing import Any

from goconductor import PermanentError, Saga, StepContext
from goconductor.control.actor import ANYBODY
from goconductor.control.definitions.json_schema import definition_schema
from goconductor.control.diagrams.mermaid import mermaid
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.plan import plan
from goconductor.testing.world import World

shop = StepRegistry("shop")
STANDS: dict[str, str] = {}


@shop.step
async def pack(context: StepContext, by: str) -> str:
    STANDS[context.idempotency_key] = f"packed for {by}"
    return by


@pack.compensation
async def unpack(context: StepContext, by: str) -> None:
    STANDS.pop(context.action_key)


@shop.step
async def charge(context: StepContext) -> str:
    raise PermanentError("declined")


@shop.step
async def bill(context: StepContext) -> str:
    STANDS[context.idempotency_key] = "billed"
    return "bill"


order: Saga[Any, Any] = Saga("order")
payment = order.savepoint("payment", first="card", otherwise=["invoice"])
packed = order.step(pack, inputs={"by": payment.output})
charged = order.step(charge, after=[packed], when="steps.payment.output == 'card'")
billed = order.step(bill, after=[packed], when="steps.payment.output == 'invoice'")
order.returns(payment.output)


async def test_what_was_done_on_the_first_way_is_undone_and_the_second_one_is_shown(world: World) -> None:
    STANDS.clear()
    conductor = await world.conductor(shop)
    handle = await conductor.start(order, {})
    assert await handle.result() == "invoice"
    assert sorted(STANDS.values()) == ["billed", "packed for invoice"]
    view = await handle.view()
    (shown,) = (step for step in view.steps if step.id == "payment")
    assert (shown.output, shown.status.value) == ("invoice", "succeeded")
    assert shown.reason == "on way 'invoice', number 2 of 2, because of step 'charge': PermanentError: declined"
    story = (await saga_story(ANYBODY, world.nodes[0], handle.saga_id)).lines
    assert any("savepoint payment takes way 'invoice'" in line.consequences for line in story)


async def test_before_anything_fails_it_is_on_its_first_way(world: World) -> None:
    conductor = await world.conductor()
    handle = await conductor.start(order, {})
    (shown,) = (step for step in (await handle.view()).steps if step.id == "payment")
    assert (shown.output, shown.reason) == ("card", "on way 'card', the first of 2")


def test_it_is_drawn_and_described() -> None:
    assert "tries card, then invoice" in mermaid(plan(order.definition))
    assert definition_schema()["$defs"]["Savepoint"]["properties"]["otherwise"]["minItems"] == 1
