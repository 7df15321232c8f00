"""Hard cases of compensation, as users of other engines have met them: what interleaves, with a leader and with time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Annotated, Any, cast
from uuid import UUID

import pytest

from goconductor import Output, RefusedError, Retry, Saga, StepContext, TemporaryError
from goconductor.control.actor import ANYBODY
from goconductor.control.sagas.story import saga_story
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import FencedError
from goconductor.lifecycle.facts.events import AbortRequested
from goconductor.ports.store import Append, Outcome, Store
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.sweep import Sweeper
from goconductor.stores.memory import MemoryStore
from goconductor.stores.memory.log.appends import MemoryLog
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from goconductor.testing.world.signalling import WorldStore
from tests.recovery.passing import SIX_MINUTES, cut_off, until_ended


class Flight:
    """Three steps in a row and one that is refused; the order of what ran stands in ``ran``."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.keys: dict[str, set[str]] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.shop = StepRegistry("shop")

        async def act(ctx: StepContext) -> None:
            await self._note(ctx, ctx.step)

        async def amend(ctx: StepContext) -> None:
            await self._note(ctx, f"undo {ctx.step}")

        async def refuse() -> None:
            raise RefusedError("no")

        self.shop.step(name="act")(act).compensation(amend)
        self.shop.step(name="refuse")(refuse)

    async def _note(self, ctx: StepContext, what: str) -> None:
        self.ran.append(what)
        self.keys.setdefault(what, set()).add(ctx.idempotency_key)
        if what in self.gates:
            await self.gates[what].wait()

    def saga(self) -> Saga[Any]:
        saga: Saga[Any] = Saga("flight")
        a = saga.step("shop.act", id="a")
        b = saga.step("shop.act", id="b", after=[a])
        c = saga.step("shop.act", id="c", after=[b])
        saga.step("shop.refuse", after=[c])
        return saga


class Stoppable(MemoryStore):
    """A leader's store that stops, as its process may, before it appends that an outcome is unknown."""

    def __init__(self, store: WorldStore) -> None:
        super().__init__(data=store.data)
        self.stopped, self.wake = stopped, wake = asyncio.Event(), asyncio.Event()

        class Log(MemoryLog):
            async def append(self, appends: Sequence[Append]) -> list[Outcome]:
                if any(entry.event == "OutcomeUnknown" for each in appends for entry in each.entries):
                    stopped.set()
                    await wake.wait()
                return await store.log.append(appends)

        self.log = Log(self.data, self._held)


async def renewed(world: World, saga_id: UUID, seconds: float) -> None:
    """Let time pass while the holders of leases keep them, as their renewals do."""
    for _ in range(int(seconds / 3)):
        await world.store.leases.renew(await world.store.recovery.leases([saga_id]), 10)
        await world.live(3)


async def test_the_compensation_of_a_slow_action_waits_for_it_and_sees_its_effect(world: World) -> None:
    shop = StepRegistry("shop")
    gate, ran = asyncio.Event(), list[str]()

    @shop.step(timeout="10m")
    async def book() -> str:
        await gate.wait()
        ran.append("booked")
        return "booked"

    @book.compensation
    async def cancel(booked: str | None) -> None:
        ran.append(f"cancelled {booked}")

    saga: Saga[Any] = Saga("trip", timeout="1s")
    saga.step(book)
    await world.node(shop)
    saga_id = await world.start(saga)
    await settle()
    await renewed(world, saga_id, 60)
    assert (await world.state(saga_id)).status == "compensating"
    assert ran == []
    gate.set()
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    assert ran == ["booked", "cancelled booked"]


async def test_a_compensation_slower_than_every_patience_never_runs_beside_itself(world: World) -> None:
    flight = Flight()
    flight.gates["undo c"] = asyncio.Event()
    await world.node(flight.shop)
    await world.node(flight.shop)
    saga_id = await world.start(flight.saga())
    await settle()
    await renewed(world, saga_id, 120)
    assert flight.ran == ["a", "b", "c", "undo c"]
    flight.gates["undo c"].set()
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    assert flight.ran == ["a", "b", "c", "undo c", "undo b", "undo a"]


async def test_a_compensation_that_was_given_up_counts_when_it_succeeds_late(world: World) -> None:
    flight = Flight()
    flight.gates["undo c"] = asyncio.Event()
    await world.node()
    stopped = await world.node(flight.shop, drain_seconds=0)
    saga_id = await world.start(flight.saga(), node=stopped)
    await settle()
    await cut_off(world, stopped)
    while "OutcomeUnknown c" not in await world.events(saga_id):
        await world.live(1)
    flight.gates["undo c"].set()  # the stopped one wakes: it ran under the same key
    await settle()
    assert (await world.state(saga_id)).step("c").compensation.status == "done"
    await world.node(flight.shop)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    assert flight.ran == ["a", "b", "c", "undo c", "undo b", "undo a"]


async def test_an_effect_that_lands_after_its_compensation_is_reported(world: World, caplog: pytest.LogCaptureFixture) -> None:
    flight = Flight()
    flight.gates["c"] = asyncio.Event()
    await world.node()
    stopped = await world.node(flight.shop, drain_seconds=0)
    saga_id = await world.start(flight.saga(), node=stopped)
    await settle()
    await cut_off(world, stopped)
    await stopped.request(saga_id, AbortRequested())
    await world.node(flight.shop)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    flight.gates["c"].set()
    await settle()
    assert (await world.state(saga_id)).status == "compensated"
    assert stopped.counts["late_effects"] == 1
    assert f"the action of step 'c' of saga {saga_id} succeeded only after its compensation had begun" in caplog.text


async def test_a_success_while_its_compensation_runs_stands_in_the_history_and_reaches_its_next_attempt(world: World) -> None:
    shop, booked, cancelled = StepRegistry("shop"), asyncio.Event(), asyncio.Event()
    met: list[str] = []

    @shop.step
    async def book() -> str:
        await booked.wait()
        return "LH 1"

    @book.compensation
    async def cancel(output: Annotated[str | None, Output]) -> None:
        met.append(output or "nothing")
        if output is None:
            await cancelled.wait()
            raise TemporaryError("the airline does not know this customer")

    await world.node()
    stopped = await world.node(shop, drain_seconds=0)
    saga: Saga[Any] = Saga("trip")
    saga.step(book)
    saga_id = await world.start(saga, node=stopped)
    await settle()
    await cut_off(world, stopped)
    await stopped.request(saga_id, AbortRequested())
    await world.node(shop)
    while not met:
        await world.live(1)
    booked.set()
    await settle()
    assert (await world.events(saga_id))[-1] == "ActionSucceeded book"
    state = await world.state(saga_id)
    assert (state.outputs(), state.late_effects) == ({"book": "LH 1"}, True)
    assert stopped.counts["late_effects"] == 1
    told = await saga_story(ANYBODY, stopped, saga_id)
    assert "ran book" in told.lines[-1].text
    assert "but only after its compensation had begun" in told.lines[-1].text
    cancelled.set()
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    assert met == ["nothing", "LH 1"]


async def test_who_takes_over_in_the_middle_of_turning_back_repeats_only_what_was_not_recorded(world: World) -> None:
    flight = Flight()
    flight.gates["undo b"] = asyncio.Event()
    await world.node()
    dying = await world.node(flight.shop, drain_seconds=0)
    saga_id = await world.start(flight.saga(), node=dying)
    await settle()
    assert flight.ran == ["a", "b", "c", "undo c", "undo b"]
    await cut_off(world, dying)
    del flight.gates["undo b"]
    await world.node(flight.shop)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    assert flight.ran == ["a", "b", "c", "undo c", "undo b", "undo b", "undo a"]
    assert len(flight.keys["undo b"]) == 1


async def test_a_leader_that_was_stopped_between_taking_a_lease_and_appending_starts_no_second_undo(world: World) -> None:
    flight = Flight()
    flight.gates["c"] = asyncio.Event()
    dying = await world.node(flight.shop, drain_seconds=0)
    saga_id = await world.start(flight.saga(), node=dying)
    await settle()
    await cut_off(world, dying)
    await dying.request(saga_id, AbortRequested(reason="the customer left"))
    store = Stoppable(world.store)
    first = Sweeper(await world.node(store=cast("Store", store)), lease_seconds=10)
    term = await world.store.terms.raise_epoch("first", 1e9)
    assert term is not None
    leading = asyncio.create_task(first.lead(LeadTerm(term, world.clock, 1e12)))
    while not store.stopped.is_set():
        await world.clock.advance(1)
    await world.node(flight.shop)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    store.wake.set()
    await asyncio.wait([leading])
    assert isinstance(leading.exception(), FencedError)
    assert flight.ran == ["a", "b", "c", "undo c", "undo b", "undo a"]
    assert (await world.events(saga_id)).count("OutcomeUnknown c") == 1


@pytest.mark.parametrize("seed", range(20))
async def test_the_order_of_undoing_is_that_of_the_graph_whatever_the_clock_says(world: World, seed: int) -> None:
    """Steps take no time at all, so many of them have one moment. Each graph is another one."""
    chance = random.Random(seed)
    flight = Flight()
    await world.node(flight.shop)
    saga: Saga[Any] = Saga(f"graph-{seed}")
    after: dict[str, set[str]] = {}
    steps: dict[str, Any] = {}
    for number in range(12):
        name = f"s{number}"
        after[name] = {other for other in steps if chance.random() < 0.3}
        steps[name] = saga.step("shop.act", id=name, after=[steps[other] for other in after[name]])
    saga.step("shop.refuse", after=list(steps.values()))
    saga_id = await world.start(saga)
    await world.end_of(saga_id)
    undone = [what.removeprefix("undo ") for what in flight.ran if what.startswith("undo ")]
    assert sorted(undone) == sorted(steps)
    for earlier, later in itertools.combinations(undone, 2):
        assert earlier not in after[later], f"{earlier} was undone before {later}, which came after it"


async def test_only_the_owners_own_word_ends_a_compensation_and_a_transport_error_does_not(world: World) -> None:
    shop = StepRegistry("shop")
    answers: list[Exception | None] = [ConnectionError("404 from a gateway"), ConnectionError("410 from a gateway"), None]

    @shop.step(compensation_retry=Retry(attempts_max=5))
    async def reserve() -> None: ...

    @reserve.compensation
    async def release() -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    @shop.step
    async def decline() -> None:
        raise RefusedError("no")

    saga: Saga[Any] = Saga("order")
    saga.step(decline, after=[saga.step(reserve)])
    await world.node(shop)
    saga_id = await world.start(saga)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    answers += [RefusedError("no reservation was ever made under this number")]
    stuck = await world.start(saga)
    assert (await world.end_of(stuck)).stuck_steps == ["reserve"]
    assert answers == []
