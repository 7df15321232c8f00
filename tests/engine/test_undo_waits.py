"""Declared undos that nobody runs: a person confirms them, or a signal does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from goconductor import Conductor, RefusedError, RequestRefusedError, Saga, Undo
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.requests import StepNotFoundError
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.saga.checking.validate import problems
from goconductor.saga.data.moments import SECONDS_MAX
from goconductor.saga.definition import Binding, Definition, Step, Wait
from goconductor.saga.definition import Undo as UndoDefinition
from goconductor.saga.features import features_of
from goconductor.saga.writing.as_python import as_python
from goconductor.testing.world import World

QUESTION = "Is the cheque torn up?"


def services() -> StepRegistry:
    steps = StepRegistry("shop")

    @steps.step
    async def write_cheque() -> int:
        return 7

    @steps.step
    async def ship() -> None:
        raise RefusedError("no van")

    return steps


def order(undo: Undo, **options: Any) -> Saga[Any]:
    saga: Saga[Any] = Saga("order", **options)
    cheque = saga.step("shop.write_cheque", id="cheque", undo=undo)
    saga.step("shop.ship", after=[cheque])
    return saga


async def asked(world: World, saga: Saga[Any]) -> tuple[Conductor, UUID]:
    node = await world.node(services())
    saga_id = await world.start(saga)
    await world.live(1)
    return Conductor(node), saga_id


async def test_a_person_who_undid_it_approves(world: World) -> None:
    conductor, saga_id = await asked(world, order(Undo.approval(QUESTION), timeout="1h"))
    await world.live(86_400)
    state, detail = await world.state(saga_id), await conductor.saga(saga_id).view()
    assert (state.status, state.wake_at, state.features) == ("compensating", SECONDS_MAX, ())
    step = detail.steps[0]
    assert (step.status, step.reason, step.undo) == (
        *("compensating", f"waits for approval: {QUESTION}"),
        f"approval: {QUESTION}",
    )
    assert step.waits_for is not None
    assert (step.waits_for.approval, step.waits_for.round) == (QUESTION, 0)
    assert step.allowed == ["retry", "skip", "declare"]
    await conductor.saga(saga_id).approve("cheque", reason="torn up", round=0, by="ann")
    assert (await world.end_of(saga_id)).status == "compensated"
    story = [(line.text, line.consequences) for line in (await saga_story(ANYBODY, world.nodes[0], saga_id)).lines]
    assert ("ann confirmed the undo of cheque: torn up.") in [text for text, _ in story]
    assert "the undo of cheque waits for an approval" in [each for _, clauses in story for each in clauses]


async def test_a_signal_ends_it_and_one_from_before_is_refused(world: World) -> None:
    conductor, saga_id = await asked(world, order(Undo.signal("torn", timeout="2d")))
    handle = conductor.saga(saga_id)
    with pytest.raises(RequestRefusedError, match="not one that a person approves"):
        await handle.approve("cheque", reason="torn up", round=0)
    await handle.signal("torn", request_id="one")
    assert (await world.end_of(saga_id)).status == "compensated"
    assert (await handle.signal("torn", request_id="one")).status == "compensated"  # as before
    with pytest.raises(RequestRefusedError, match="no signal can reach it any more"):
        await handle.signal("torn", request_id="two")


async def test_it_is_stuck_when_its_time_is_over_and_is_told_again_or_skipped(world: World) -> None:
    conductor, saga_id = await asked(world, order(Undo.approval(QUESTION, timeout="1h")))
    await world.live(3_700)
    state = await world.state(saga_id)
    assert (state.status, str(state.step("cheque").failure)) == ("stuck", "WaitTimedOutError: no approval came within 3600 s")
    await conductor.saga(saga_id).retry("cheque")
    assert (await world.state(saga_id)).status == "compensating"
    await conductor.saga(saga_id).skip("cheque", reason="it was cashed")
    state = await world.end_of(saga_id)
    assert (state.status, state.left_standing, state.late_effects) == ("compensated", ["cheque"], False)


@pytest.mark.parametrize("forced", [False, True])
async def test_a_termination_ends_the_waiting(world: World, forced: bool) -> None:
    conductor, saga_id = await asked(world, order(Undo.approval(QUESTION)))
    await conductor.saga(saga_id).terminate(reason="enough", forced=forced)
    state = await world.end_of(saga_id)
    assert (state.status, state.late_effects) == ("terminated", False)


async def test_in_a_map_each_item_is_asked_for_and_a_pause_holds_nothing_of_it_back(world: World) -> None:
    node = await world.node(services())
    saga: Saga[Any] = Saga("order")
    lines = saga.map(saga.input["lines"], id="lines")
    lines.step("shop.write_cheque", id="cheque", undo=Undo.approval(QUESTION))
    saga.step("shop.ship", after=[lines])
    saga_id, conductor = await world.start(saga, {"lines": [1, 2]}), Conductor(node)
    await world.live(1)
    handle = conductor.saga(saga_id)
    await handle.pause()
    await handle.approve("lines[1].cheque", reason="torn up", round=0)
    with pytest.raises(StepNotFoundError):
        await handle.approve("lines[2].cheque", reason="torn up", round=0)
    await handle.resume()
    state = await world.state(saga_id)
    assert [state.step(f"lines[{place}].cheque").compensation.status for place in (0, 1)] == ["waiting", "done"]
    await handle.approve("lines[0].cheque", reason="torn up", round=0)
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_a_restart_asks_again_in_the_next_round(world: World) -> None:
    node = await world.node(services())
    saga: Saga[Any] = Saga("order")
    cheque = saga.step("shop.write_cheque", id="cheque", undo=Undo.approval(QUESTION))
    saga.wait("go", after=[cheque])
    saga_id = await world.start(saga)
    handle = Conductor(node).saga(saga_id)
    await world.live(1)
    await handle.restart(from_step="cheque", reason="wrong amount")
    assert (await world.state(saga_id)).status == "running"
    await handle.approve("cheque", reason="torn up", round=0)
    await world.live(1)
    await handle.abort()
    with pytest.raises(RequestRefusedError, match="is for its round 0, and the step is in round 1"):
        await handle.approve("cheque", reason="torn up", round=0, request_id="late")
    await handle.approve("cheque", reason="torn up", round=1)
    assert (await world.end_of(saga_id)).status == "compensated"


async def test_what_never_happened_is_asked_of_nobody(world: World) -> None:
    node = await world.node(services())
    saga: Saga[Any] = Saga("order")
    saga.step("shop.ship", undo=Undo.approval("Is the parcel back?"))
    saga_id = await world.start(saga)
    await world.live(1)
    assert (await world.state(saga_id)).step("ship").compensation.status == "waiting"  # it has no journal: a person looks
    await Conductor(node).saga(saga_id).declare("ship", happened=True, reason="it never left")
    assert (await world.end_of(saga_id)).status == "compensated"


@pytest.mark.parametrize(
    ("undo", "problem"),
    [
        (UndoDefinition(), "has neither run, wait nor saga"),
        (UndoDefinition(run="a.b", wait=Wait(event="go")), "but it has run; leave that out"),
        (UndoDefinition(wait=Wait(event="go"), inputs={"x": Binding(value=1)}), "but it has inputs; leave that out"),
        (UndoDefinition(wait=Wait(event="go", where="true")), "which it cannot ask"),
        (UndoDefinition(wait=Wait()), "must have either event or approval"),
        (UndoDefinition(wait=Wait(event="no name")), "name the event by"),
        (UndoDefinition(wait=Wait(approval=" ")), "has no question"),
        (UndoDefinition(wait=Wait(event="go", timeout_seconds=0.0)), "has a timeout of 0 seconds"),
    ],
)
def test_a_fault_is_named_with_its_remedy(undo: UndoDefinition, problem: str) -> None:
    found = problems(Definition(name="order", steps=(Step(id="a", run="shop.a", undo=undo),)))
    assert len(found) == 1
    assert problem in found[0]


@pytest.mark.parametrize("undo", [Undo.signal("torn", timeout="1m"), Undo.approval(QUESTION)])
def test_python_and_document_are_the_same(undo: Undo) -> None:
    definition = order(undo).definition
    text = as_python(definition)
    found: dict[str, Any] = {}
    exec(text, found)
    assert found["order"].definition == definition
    assert features_of(definition) == ("declared_undo", "undo_wait")
