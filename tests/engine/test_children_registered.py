"""Which versions of sagas a definition means whose steps start them: those that were active when it was registered."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor import DefinitionError, Saga, Undo
from goconductor.engine.facts.definitions import Definitions
from goconductor.testing.world import World


def parcel(step: str = "pack", name: str = "parcel") -> Saga[Any, Any]:
    made: Saga[Any, Any] = Saga(name)
    made.step(f"shop.{step}")
    return made


def order(child: str | Saga[Any, Any] = "parcel", name: str = "order") -> Saga[Any, Any]:
    made: Saga[Any, Any] = Saga(name)
    made.saga(child, undo=Undo("shop.take_back"))
    return made


async def test_the_stored_document_has_the_version_that_was_active(world: World) -> None:
    node = await world.node()
    first = await node.definitions.register(parcel().definition, activate=True)
    plan = await node.definitions.register(order().definition)
    assert [step.saga.version for step in plan.definition.steps if step.saga is not None] == [first.version]
    second = await node.definitions.register(parcel("wrap").definition, activate=True)
    await node.store.definitions.put((await stored(node.definitions, "parcel", second.version)), activate=True)
    again = await node.definitions.register(order().definition)
    assert again.version == plan.version, "who has registered it keeps what it found"
    other = Definitions(node.store.definitions)
    assert (await other.register(order().definition, activate=True)).version != plan.version


async def stored(definitions: Definitions, saga: str, version: str) -> Any:
    found = await definitions._stored.get("default", saga, version)
    assert found is not None
    return found


async def test_a_saga_that_is_not_there_is_refused(world: World) -> None:
    node = await world.node()
    with pytest.raises(DefinitionError, match="step 'parcel' starts a saga that is not there: there is no definition"):
        await node.definitions.register(order().definition)


async def test_a_saga_starts_an_earlier_version_of_itself_and_no_circle_comes_about(world: World) -> None:
    node = await world.node()
    first = await node.definitions.register(parcel().definition, activate=True)
    plan = await node.definitions.register(order("parcel", name="parcel").definition)
    (step,) = plan.definition.steps
    assert step.saga is not None
    assert (step.saga.version, plan.version != first.version) == (first.version, True)


async def test_at_most_eight_sagas_stand_one_below_the_other(world: World) -> None:
    node = await world.node()
    await node.definitions.register(parcel(name="saga1").definition)
    for depth in range(2, 9):
        await node.definitions.register(order(f"saga{depth - 1}", name=f"saga{depth}").definition)
    with pytest.raises(DefinitionError, match="at most 8 may stand"):
        await node.definitions.register(order("saga8", name="saga9").definition)


async def test_sagas_in_python_are_registered_with_the_one_that_starts_them(world: World) -> None:
    conductor = await world.conductor()
    below = parcel()
    handle = await conductor.start(order(below), None)
    plan = await world.nodes[0].plan_of(await world.state(handle.saga_id))
    (step,) = plan.definition.steps
    assert step.saga is not None
    assert step.saga.version == below.definition.version
