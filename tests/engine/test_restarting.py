"""A saga that is restarted from a step, run by the engine: undone under its old round, and run again under a new one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from goconductor import MessageError, RequestRefusedError, Saga, StepContext
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas import queries
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages import codec
from goconductor.messages.envelope import Baton, SagaEnded
from goconductor.saga.features import KNOWN, REWIND, USES
from goconductor.testing.clock import settle
from goconductor.testing.world import World


class Agency:
    """Books hotels and tickets under their idempotency keys; a ticket waits until it may be sold."""

    def __init__(self) -> None:
        self.booked: dict[str, str] = {}
        self.ran: list[tuple[str, int]] = []
        self.may_sell = asyncio.Event()
        self.registry = StepRegistry("agency")

        @self.registry.step
        async def quote() -> str:
            self.ran.append(("quote", 0))
            return "cheap"

        @self.registry.step
        async def hotel(context: StepContext, room: str) -> str:
            self.ran.append(("hotel", context.round))
            self.booked[context.idempotency_key] = room
            return room

        @hotel.compensation
        async def leave(context: StepContext) -> None:
            self.booked.pop(context.action_key)

        @self.registry.step
        async def ticket(context: StepContext, to: str) -> str:
            self.ran.append(("ticket", context.round))
            await self.may_sell.wait()
            self.booked[context.idempotency_key] = f"ticket to the {to}"
            return "sold"

        @ticket.compensation
        async def refund(context: StepContext) -> None:
            self.booked.pop(context.action_key, None)

        saga: Saga[Any] = Saga("trip")
        first = saga.step(quote)
        booked = saga.step(hotel, inputs={"room": saga.input.room}, after=[first])
        saga.returns(saga.step(ticket, inputs={"to": booked.output}).output)
        self.saga = saga


@pytest.fixture
def agency() -> Agency:
    return Agency()


async def test_what_runs_is_awaited_then_all_is_undone_and_runs_again(world: World, agency: Agency) -> None:
    conductor = await world.conductor(agency.registry)
    handle = await conductor.start(agency.saga, {"room": "hall"})
    await settle()
    seen = await handle.restart("hotel", reason="a better room", inputs={"room": "suite"}, by="ann")
    assert seen.rewinding == ["hotel", "ticket"]
    agency.may_sell.set()
    assert await handle.result() == "sold"
    assert sorted(agency.booked.values()) == ["suite", "ticket to the suite"]
    assert agency.ran == [("quote", 0), ("hotel", 0), ("ticket", 0), ("hotel", 1), ("ticket", 1)]
    view = await handle.view()
    assert {step.id: step.round for step in view.steps} == {"quote": 0, "hotel": 1, "ticket": 1}
    lines = (await saga_story(ANYBODY, world.nodes[0], handle.saga_id)).lines
    (asked,) = (line for line in lines if line.event == "RestartRequested")
    assert asked.text == "ann asked to restart from hotel with another room: a better room."
    assert asked.consequences == ["hotel and ticket go back"]
    (again,) = (line for line in lines if "hotel and ticket begin again in round 1" in line.consequences)
    assert (again.event, again.step) == ("CompensationSucceeded", "hotel")


async def test_a_step_that_nobody_runs_is_unknown_at_once_and_is_not_run_for_its_old_round(world: World, agency: Agency) -> None:
    conductor = await world.conductor()
    handle = await conductor.start(agency.saga, {"room": "hall"})
    await settle()
    await handle.restart(reason="it never began")
    agency.may_sell.set()
    await world.node(agency.registry)
    assert (await world.end_of(handle.saga_id)).phase is SagaStatus.COMPLETED
    assert agency.ran == [("quote", 0), ("hotel", 1), ("ticket", 1)]
    assert "OutcomeUnknown quote" in await world.events(handle.saga_id)


async def test_a_repeated_request_restarts_once(world: World, agency: Agency) -> None:
    conductor = await world.conductor(agency.registry)
    handle = await conductor.start(agency.saga, {"room": "hall"})
    await settle()
    await handle.restart("ticket", reason="another train", request_id="r1")
    agency.may_sell.set()
    await handle.result()
    assert (await handle.restart("ticket", reason="another train", request_id="r1")).status == "completed"
    assert (await world.events(handle.saga_id)).count("RestartRequested") == 1


async def test_messages_of_a_restarted_saga_are_left_to_who_knows_restarts(
    world: World, agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    conductor = await world.conductor()
    handle = await conductor.start(agency.saga, {"room": "hall"})
    await handle.restart(reason="again")
    state = await world.state(handle.saga_id)
    assert state.features == (REWIND,)
    assert REWIND in KNOWN
    node = world.nodes[0]

    async def unready(features: tuple[str, ...]) -> list[str]:
        assert features == (REWIND,)
        return ["old-1"]

    monkeypatch.setattr(node.definitions, "unready", unready)
    with pytest.raises(RequestRefusedError, match="old-1 cannot run a saga that was restarted"):
        await handle.restart(reason="again")
    message = codec.encode(
        SagaEnded(saga_id=handle.saga_id, saga="trip", status=SagaStatus.COMPLETED, baton=Baton(1, 1, state, state.features)),
        message_id="1",
        source="here",
        time="2026-01-01T00:00:00Z",
    )
    codec.decode(message)
    monkeypatch.setattr(codec, "KNOWN", frozenset(USES))
    with pytest.raises(MessageError, match="its saga uses what this instance does not know") as left:
        codec.decode(message)
    assert left.value.newer


async def test_a_saga_shows_what_goes_back_and_why_a_step_waits(world: World, agency: Agency) -> None:
    conductor = await world.conductor(agency.registry)
    handle = await conductor.start(agency.saga, {"room": "hall"})
    await settle()
    await handle.restart("ticket", reason="another train")
    detail = await queries.saga_status(ANYBODY, world.nodes[0], handle.saga_id)
    (ticket,) = (step for step in detail.steps if step.id == "ticket")
    assert (detail.status, detail.rewinding, ticket.status.value) == ("running", ["ticket"], "running")
    agency.may_sell.set()
    await handle.result()
    assert (await handle.view()).rewinding == []


async def test_what_a_restart_would_do_is_told_and_nothing_has_changed(world: World, agency: Agency) -> None:
    conductor = await world.conductor(agency.registry)
    handle = await conductor.start(agency.saga, {"room": "hall"})
    await settle()
    told = await handle.preview_restart("hotel", inputs={"room": "suite"})
    assert (told.accepted, told.problem, told.refusing) == (True, None, [])
    assert (told.steps, told.compensated, told.awaited) == (["hotel", "ticket"], ["ticket", "hotel"], ["ticket"])
    assert told.warning is not None
    assert (await handle.view()).revision == told.revision
    assert "RestartRequested" not in await world.events(handle.saga_id)
    asked = await handle.restart("hotel", reason="a better room", revision=told.revision)
    assert asked.rewinding == told.steps
    again = await handle.preview_restart("ticket")
    assert (again.accepted, again.problem is not None and "rewinds already" in again.problem) == (False, True)
    agency.may_sell.set()
    await handle.result()
    ended = await handle.preview_restart()
    assert (ended.accepted, ended.problem is not None and "is completed" in ended.problem) == (False, True)


async def test_a_preview_names_the_steps_that_refuse_and_those_in_maps(world: World, agency: Agency) -> None:
    saga: Saga[Any] = Saga("paid")
    rooms = saga.map(saga.input.rooms, id="rooms")
    booked = rooms.step("agency.hotel", inputs={"room": rooms.item})
    saga.step("agency.ticket", id="pay", inputs={"to": "x"}, after=[rooms], pivot=True)
    conductor = await world.conductor(agency.registry)
    handle = await conductor.start(saga, {"rooms": ["a", "b"]})
    await settle()
    told = await handle.preview_restart(f"rooms[1].{booked.id}")
    assert told.steps == ["rooms[0].hotel", "rooms[1].hotel", "rooms", "pay"]
    assert told.compensated == ["rooms[1].hotel", "rooms[0].hotel"]
    assert [each.step for each in told.refusing] == ["pay"]
    assert not told.accepted
    with pytest.raises(RequestRefusedError, match="has no step 'roms'"):
        await handle.preview_restart("roms")
