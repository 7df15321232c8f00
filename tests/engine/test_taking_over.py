"""Who takes over a lease that another let run out tells the log first: hole 47. The other may have done it, and died."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from goconductor import RefusedError, Saga, StepContext
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.effects import RunAction
from goconductor.lifecycle.facts.events import PauseRequested, ResumeRequested
from goconductor.ports.store import Lease, LeaseKey
from goconductor.saga.ids import Direction
from goconductor.saga.writing.builder import Saga as SagaOf
from goconductor.testing.clock import settle
from goconductor.testing.contracts.store.material import acquire, lead
from goconductor.testing.world import World
from tests.recovery.passing import cut_off

LEASE_SECONDS = 10.0


class Bank:
    """One pivot without a journal: the first run charges and is never heard of again, the others are declined."""

    def __init__(self) -> None:
        self.steps = StepRegistry("bank")
        self.runs: list[int] = []

        @self.steps.step
        async def charge(ctx: StepContext) -> None:
            self.runs.append(ctx.attempt)
            if len(self.runs) == 1:
                await asyncio.Event().wait()
            raise RefusedError("declined: no money left")

        self.saga: SagaOf[Any] = Saga("one")
        self.saga.step(charge, pivot=True)


async def charged(world: World, bank: Bank) -> tuple[UUID, Node]:
    """A saga whose pivot has charged in a process that died; and the process that comes in its place."""
    await world.node()
    dying = await world.node(bank.steps, drain_seconds=0)
    saga_id = await world.start(bank.saga)
    await settle()
    assert bank.runs == [1]
    await cut_off(world, dying)
    return saga_id, await world.node(bank.steps)


async def repeated(world: World, saga_id: UUID) -> None:
    """The message comes once more."""
    client = world.nodes[0]
    plan, view = await client._reader.look(saga_id)
    client.send(plan, view, [RunAction("charge", 1, 0)])
    await settle()


async def assert_not_forgotten(world: World, bank: Bank, saga_id: UUID) -> None:
    assert bank.runs == [1, 2]
    events = await world.events(saga_id)
    assert events.count("OutcomeUnknown charge") == 1
    assert events.index("OutcomeUnknown charge") < events.index("ActionFailed charge")
    state = await world.end_of(saga_id)
    assert (state.status, state.stuck_steps) == ("stuck", ["charge"])


async def test_a_repeated_message_that_comes_before_the_sweep_is_no_first_attempt(world: World) -> None:
    bank = Bank()
    saga_id, successor = await charged(world, bank)
    await repeated(world, saga_id)
    assert bank.runs == [1]  # its lease has not run out
    await world.clock.advance(LEASE_SECONDS + 0.5)
    await repeated(world, saga_id)
    await assert_not_forgotten(world, bank, saga_id)
    assert successor.counts["leases_taken_over"] == 1


@pytest.mark.parametrize("by", ["the owner of the step", "somebody else"])
async def test_a_pause_forgets_no_attempt(world: World, by: str) -> None:
    """Nobody sweeps a paused saga; a resume by the step's owner may go on at once, in its own append."""
    bank = Bank()
    saga_id, successor = await charged(world, bank)
    client = world.nodes[0]
    await client.request(saga_id, PauseRequested(by="anna", reason=""))
    await world.live(LEASE_SECONDS * 3)
    await (client if by == "somebody else" else successor).request(saga_id, ResumeRequested(by="anna"))
    await settle()
    await assert_not_forgotten(world, bank, saga_id)


async def test_a_message_that_comes_while_it_is_paused_tells_the_log_all_the_same(world: World) -> None:
    """It is not due, and its lease is freed again: then nobody would remember."""
    bank = Bank()
    saga_id, _ = await charged(world, bank)
    client = world.nodes[0]
    await client.request(saga_id, PauseRequested(by="anna", reason=""))
    await world.clock.advance(LEASE_SECONDS + 0.5)
    await repeated(world, saga_id)
    assert bank.runs == [1]
    assert "OutcomeUnknown charge" in await world.events(saga_id)
    assert await world.store.recovery.leases([saga_id]) == []
    await client.request(saga_id, ResumeRequested(by="anna"))
    await settle()
    await assert_not_forgotten(world, bank, saga_id)


async def test_a_successor_that_dies_before_it_has_told_is_no_end_of_it(world: World) -> None:
    bank = Bank()
    saga_id, _ = await charged(world, bank)
    await world.clock.advance(LEASE_SECONDS + 0.5)
    key = LeaseKey(saga_id, "charge", Direction.ACTION)
    for token in (7, 8):
        taken = await acquire(world.store, Lease(key=key, instance=99, token=token), seconds=1.0)
        assert taken.granted
        await world.clock.advance(1.5)
    await repeated(world, saga_id)
    await assert_not_forgotten(world, bank, saga_id)


async def test_a_leader_that_is_overtaken_while_it_buries_leaves_a_trace(world: World) -> None:
    """Were the dead one's lease freed before it is taken, whoever comes in between would find it absent."""
    bank = Bank()
    saga_id, _ = await charged(world, bank)
    await world.clock.advance(2.0)
    [dead] = await world.store.instances.missing()
    leases, _ = await world.store.instances.mark_dead(dead.serial, epoch=await lead(world.store))
    assert [lease.key.step for lease in leases] == ["charge"]
    await repeated(world, saga_id)
    await assert_not_forgotten(world, bank, saga_id)


async def test_where_the_log_knows_the_outcome_the_lease_is_freed_and_nothing_runs(world: World) -> None:
    bank = Bank()
    saga_id, successor = await charged(world, bank)
    key = LeaseKey(saga_id, "charge", Direction.COMPENSATION)
    await acquire(world.store, Lease(key=key, instance=99, token=7), seconds=0.0)
    client = world.nodes[0]
    plan, view = await client._reader.look(saga_id)
    from goconductor.lifecycle.facts.effects import RunCompensation

    client.send(plan, view, [RunCompensation("charge", 1, 0)])
    await settle()
    assert successor.counts["leases_taken_over"] == 1
    assert {lease.key for lease in await world.store.recovery.leases([saga_id])} == {
        LeaseKey(saga_id, "charge", Direction.ACTION)
    }
    assert bank.runs == [1]
