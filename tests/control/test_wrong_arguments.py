"""What is given in Python and is of a wrong type, or is no number: an error of ours that names the argument, at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from goconductor import ArgumentError, Conductor, Dataflow, DefinitionError, Flow, Participant, Undo, connect
from goconductor.blocking import connect as blocking_connect
from goconductor.testing import World

NAN = float("nan")

shop = Participant("shop")


@shop.builder
async def price(car: Any) -> int:
    return 1


PRICE = Dataflow("price", target="price", builders=[shop])


@pytest.fixture
async def conductor() -> AsyncIterator[Conductor]:
    async with World() as world:
        yield await world.conductor(shop)


async def test_a_wait_for_nan_seconds_would_never_be_over_and_is_refused(conductor: Conductor) -> None:
    flow = Flow(conductor, "order")
    await flow.create_step(price, inputs={"car": "van"})
    execution = await flow.execute()
    for asked in (
        conductor.run(PRICE, "p1", {"car": 1}, timeout_seconds=NAN),
        conductor.saga(execution).result(timeout_seconds=NAN),
        flow.result(execution, wait_seconds=NAN),
        flow.stop(execution, reason="it is over", wait_seconds=NAN),
        flow.execute(sync=True, wait_seconds=NAN),
        flow.execute(wait_seconds=NAN),
    ):
        with pytest.raises(ArgumentError, match="_seconds is nan, which is not a number"):
            await asked
    assert (await conductor.sagas(saga="price")).sagas == []


async def test_a_connection_is_not_waited_for_nan_seconds() -> None:
    with pytest.raises(ArgumentError, match="open_timeout_seconds is nan"):
        async with connect(open_timeout_seconds=NAN):
            pass
    with pytest.raises(ArgumentError, match="open_timeout_seconds is nan"):
        blocking_connect(open_timeout_seconds=NAN)


async def test_a_datum_is_named_by_a_text(conductor: Conductor) -> None:
    wrong: Any = {1: 2}
    with pytest.raises(ArgumentError, match="a key of data is of type int; give the name of a datum"):
        await conductor.run(PRICE, "p1", wrong)
    names: Any = [1]
    with pytest.raises(ArgumentError, match="a name in given is of type int"):
        Dataflow("price", target="price", builders=[shop], given=names)
    with pytest.raises(ArgumentError, match="a name in transients is of type int"):
        Dataflow("price", target="price", builders=[shop], transients=names)


async def test_a_step_of_a_flow_is_given_what_a_document_can_hold(conductor: Conductor) -> None:
    flow = Flow(conductor, f"order-{uuid4().hex[:6]}")
    for step in (price, "shop.price"):
        with pytest.raises(DefinitionError, match="input 'car' of step 'price' has a constant that cannot be kept"):
            await flow.create_step(step, inputs={"car": object()})
    with pytest.raises(DefinitionError, match="input 'car' of the undo of step 'price' has a constant that cannot be kept"):
        await flow.create_step("shop.price", undo=Undo("shop.price", inputs={"car": object()}))
