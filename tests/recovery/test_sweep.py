"""The leader repairs whatever is not as the log says it should be, however that came about."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from goconductor import RefusedError, Retry, Saga, StepContext
from goconductor.engine.steps.registry import StepRegistry
from goconductor.ports.store import LeaseKey
from goconductor.recovery.burials import DEATH_SECONDS
from goconductor.recovery.resending import Resending
from goconductor.recovery.sweep import Sweeper
from goconductor.saga.ids import Direction
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Trade, Unrenewing, Unruly
from tests.recovery.passing import SIX_MINUTES, cut_off, until_ended


@pytest.mark.parametrize("failing", [set(), {"ship"}, {"pack"}, {"charge"}])
@pytest.mark.parametrize(
    "fault",
    [{"loses": 1.0}, {"loses": 0.5}, {"copies": 100}, {"copies": 3, "held": 5}, {"loses": 0.5, "copies": 4, "held": 7}],
    ids=str,
)
async def test_messages_may_be_lost_repeated_and_reordered(world: World, fault: dict[str, Any], failing: set[str]) -> None:
    trade = Trade()
    trade.failing = failing
    lost = fault.get("loses") == 1.0
    buses = [Unruly(world, seed=number, **fault) for number in range(3)]
    await world.node(bus=buses[0])
    await world.node(trade.shop, bus=buses[1])
    await world.node(trade.bank, bus=buses[2])
    saga_ids = [await world.start(trade.saga()) for _ in range(1 if lost else 5)]
    expected = "compensated" if failing else "completed"
    assert set(await until_ended(world, saga_ids, within_seconds=SIX_MINUTES)) == {expected}
    assert set(trade.effects.values()) == {1}
    for saga_id in saga_ids:
        assert set(Counter(await world.events(saga_id)).values()) == {1}


async def test_what_is_sent_again_is_sent_ever_more_seldom(world: World) -> None:
    client = await world.node(bus=Unruly(world, loses=1.0))
    saga: Saga[Any] = Saga("one")
    saga.step("shop.nobody")
    await world.start(saga, node=client)
    await world.live(600)
    resent = sum(node.counts["sweep_resent"] for node in world.nodes)
    assert 5 <= resent <= 12


def test_a_step_that_waits_for_days_is_still_sent_again() -> None:
    resending = Resending()
    key = LeaseKey(UUID(int=1), "nobody", Direction.ACTION, 0)
    for minute in range(0, 4 * 24 * 60, 2):  # days of one term: a pause that was doubled so often is no number any more
        assert resending.due_at(key, minute * 60.0, at_once=False) == minute * 60.0


async def test_a_dead_instance_is_buried_and_its_work_runs_elsewhere_under_the_same_key(world: World) -> None:
    shop = StepRegistry("shop")
    seen: list[tuple[int, str]] = []

    @shop.step
    async def pack(ctx: StepContext) -> str:
        seen.append((ctx.attempt, ctx.idempotency_key))
        if ctx.attempt == 1:
            await asyncio.Event().wait()
        return "packed"

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    await world.node()
    dying = await world.node(shop, drain_seconds=0)
    saga_id = await world.start(saga)
    await settle()
    await cut_off(world, dying)
    await world.node(shop)
    began = world.clock.now()
    assert await until_ended(world, [saga_id], within_seconds=10) == ["completed"]
    assert world.clock.now() - began < 5  # long before its lease has run out
    assert seen == [(1, f"{saga_id}/pack/action/0"), (2, f"{saga_id}/pack/action/0")]
    assert [each.dead_at is not None for each in await world.store.instances.registered("shop")] == [True, False]
    unknown = next(each for each in await world.store.sagas.history(saga_id) if each.event == "OutcomeUnknown")
    assert b"its instance died" in unknown.data


async def test_what_a_dead_instance_left_unsent_is_sent_at_once(world: World) -> None:
    trade = Trade()
    await world.node(trade.bank)
    dying = await world.node(trade.shop, bus=Unruly(world, loses=1.0))
    saga_id = await world.start(trade.saga(), node=dying)
    await settle()
    assert trade.effects.total() == 2  # reserve and pack; charge was never sent
    await cut_off(world, dying)
    await world.node(trade.shop)
    await world.live(3)
    assert (await world.state(saga_id)).status == "completed"


async def test_a_step_that_always_kills_its_instance_is_not_run_for_ever(world: World) -> None:
    shop = StepRegistry("shop")
    runs = 0
    began = asyncio.Event()

    @shop.step
    async def poison() -> None:
        nonlocal runs
        runs += 1
        began.set()
        await asyncio.Event().wait()

    @poison.compensation
    async def amend() -> None: ...

    saga: Saga[Any] = Saga("poisoned")
    saga.step(poison, unknowns_max=3)
    await world.node()
    saga_id = await world.start(saga)
    for _ in range(3):
        began.clear()
        dying = await world.node(shop, drain_seconds=0)
        while not began.is_set():
            await world.live(1)
        await cut_off(world, dying)
        await world.live(3)
    await world.node(shop)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]
    assert runs == 3
    assert "its outcome is unknown (its instance died)" in (await world.state(saga_id)).reason


@pytest.mark.parametrize("outcome", ["success", "failure"])
async def test_a_zombie_appends_late(world: World, outcome: str) -> None:
    """Stopped beyond its lease, it wakes while its successor runs: its success counts, its failure is of an old attempt."""
    shop = StepRegistry("shop")
    wake, second = asyncio.Event(), asyncio.Event()

    @shop.step
    async def pack(ctx: StepContext) -> str:
        if ctx.attempt == 1:
            await wake.wait()
            if outcome == "failure":
                raise RefusedError("too late")
            return "first"
        await second.wait()
        return "second"

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    await world.node()
    zombie = await world.node(shop, renewing=Unrenewing(world.clock))
    saga_id = await world.start(saga)
    await settle()
    for subscription in zombie.membership.subscriptions:
        await subscription.stop()
    successor = await world.node(shop, renewing=Unrenewing(world.clock))
    await world.live(21)  # the lease has run out after ten seconds, and the saga is looked at after twenty
    assert (await world.state(saga_id)).step("pack").action.attempt == 2
    assert successor.counts["steps_run"] == 1
    wake.set()
    await settle()
    second.set()
    state = await world.end_of(saga_id)
    assert state.status == "completed"
    assert state.outputs() == {"pack": "first" if outcome == "success" else "second"}
    assert zombie.counts["events_dropped"] == (1 if outcome == "failure" else 0)


async def test_a_living_lease_is_left_alone(world: World) -> None:
    shop = StepRegistry("shop")
    gate = asyncio.Event()

    @shop.step
    async def pack() -> None:
        await gate.wait()

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    node = await world.node(shop)
    saga_id = await world.start(saga)
    await settle()
    (lease,) = await world.store.recovery.leases([saga_id])
    for _ in range(30):
        await world.store.leases.renew([lease], 10)
        await world.live(3)
    gate.set()
    assert (await world.end_of(saga_id)).status == "completed"
    assert node.counts["steps_run"] == 1
    assert "OutcomeUnknown pack" not in await world.events(saga_id)


@pytest.mark.parametrize("wait_seconds", [20.0, 900.0])
async def test_timers_of_a_dead_instance_fire_on_time(world: World, wait_seconds: float) -> None:
    shop = StepRegistry("shop")
    at: list[float] = []

    @shop.step(retry=Retry(initial_seconds=wait_seconds, max_seconds=wait_seconds, jitter=0.0))
    async def pack() -> str:
        at.append(world.clock.now())
        if len(at) == 1:
            raise ValueError
        return "packed"

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    await world.node()
    dying = await world.node(shop)
    saga_id = await world.start(saga)
    await settle()
    await cut_off(world, dying)
    await dying._timers.close()
    await world.node(shop)
    await world.live(wait_seconds - 1)
    assert len(at) == 1
    await world.live(3)
    assert (await world.state(saga_id)).status == "completed"
    assert at[1] - at[0] == pytest.approx(wait_seconds, abs=2)


async def test_far_timers_fire_without_anybody_having_died(world: World) -> None:
    shop = StepRegistry("shop")
    at: list[float] = []

    @shop.step(retry=Retry(initial_seconds=1800, max_seconds=1800, jitter=0.0))
    async def pack() -> str:
        at.append(world.clock.now())
        if len(at) == 1:
            raise ValueError
        return "packed"

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    await world.node(shop)
    saga_id = await world.start(saga)
    await world.live(1803)
    assert (await world.state(saga_id)).status == "completed"
    assert at[1] - at[0] == pytest.approx(1800, abs=2)


async def test_a_sagas_deadline_turns_it_back(world: World) -> None:
    await world.node()
    saga: Saga[Any] = Saga("slow", timeout="90s")
    saga.step("shop.nobody")
    saga_id = await world.start(saga)
    await world.live(88)
    assert (await world.state(saga_id)).status == "queued"
    await world.live(4)
    state = await world.state(saga_id)
    assert state.deadline_passed
    assert state.status == "compensating"  # it may have run: its compensation waits for somebody who has it
    trade = StepRegistry("shop")
    trade.step(name="nobody")(settle)
    await world.node(trade)
    assert await until_ended(world, [saga_id], within_seconds=SIX_MINUTES) == ["compensated"]


@pytest.mark.parametrize("damage", [b"not JSON", b'{"output":{"a":', b"[]"])
async def test_a_saga_that_cannot_be_read_is_left_alone_and_the_others_go_on(
    world: World, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    from msgspec.structs import replace

    trade = Trade()
    await world.node(bus=Unruly(world, loses=1.0))
    broken, sound = await world.start(trade.saga()), await world.start(trade.saga())
    world.store.data.logs[broken][0] = replace(world.store.data.logs[broken][0], data=damage)
    await world.node(trade.shop)
    await world.node(trade.bank)
    with caplog.at_level(logging.ERROR, "goconductor.recovery"):
        assert await ended_beside(world, sound)
    assert f"saga {broken} cannot be swept by this version" in caplog.text
    assert caplog.text.count("cannot be swept") < 10


async def test_what_a_newer_version_wrote_is_left_to_newer_instances(world: World) -> None:
    from msgspec.structs import replace

    trade = Trade()
    await world.node(bus=Unruly(world, loses=1.0))
    newer, sound = await world.start(trade.saga()), await world.start(trade.saga())
    log = world.store.data.logs[newer]
    log.append(replace(log[0], event="FromTheFuture", seq=2, event_id=UUID(int=1)))
    await world.node(trade.shop)
    await world.node(trade.bank)
    assert await ended_beside(world, sound)
    assert len(await world.store.sagas.history(newer)) == 2


async def test_a_bug_in_one_saga_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from goconductor.recovery import sweep

    trade = Trade()
    await world.node(bus=Unruly(world, loses=1.0))
    broken, sound = await world.start(trade.saga()), await world.start(trade.saga())
    brought_up = sweep.log.brought_up  # type: ignore[attr-defined]

    def buggy(plan: Any, view: Any, saga_id: UUID, tail: Any) -> Any:
        if saga_id == broken and view is None:
            raise ZeroDivisionError
        return brought_up(plan, view, saga_id, tail)

    monkeypatch.setattr("goconductor.recovery.sweep.log.brought_up", buggy)
    await world.node(trade.shop)
    await world.node(trade.bank)
    assert await ended_beside(world, sound)


async def ended_beside(world: World, sound: UUID) -> bool:
    for _ in range(60):
        await world.live(2)
        if (await world.store.sagas.head(sound)).status == "completed":  # type: ignore[union-attr]
            return True
    return False


async def test_one_in_many_is_not_forgotten(world: World) -> None:
    """More sagas than one round looks at."""
    trade = Trade()
    client = await world.node(bus=Unruly(world, loses=1.0))
    saga_ids = [await world.start(trade.saga(), node=client) for _ in range(450)]
    await world.node(trade.shop)
    await world.node(trade.bank)
    statuses = await until_ended(world, saga_ids, within_seconds=SIX_MINUTES)
    assert set(statuses) == {"completed"}
    assert set(trade.effects.values()) == {1}


async def test_what_a_dead_instance_left_is_taken_over_in_batches_so_that_the_sweep_goes_on_beside_it(world: World) -> None:
    leader = await world.node()
    dying = await world.node(bus=Unruly(world, loses=1.0))
    saga: Saga[Any] = Saga("one")
    saga.step("shop.nobody")
    for _ in range(5):
        await world.start(saga, node=dying)
    await world.clock.advance(2.0)
    await cut_off(world, dying)
    term = await world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    sweeper = Sweeper(leader, batch=2)
    resent = []
    await sweeper.bury(term.epoch)  # which only suspects
    await world.clock.advance(DEATH_SECONDS)
    for _ in range(5):
        resent.append(leader.counts["sweep_resent"])
        await sweeper.bury(term.epoch)
    assert resent == [0, 2, 4, 5, 5]


async def test_two_looks_at_once_make_nobody_dead(world: World) -> None:
    """Hole 46: the loop comes by again at once while there are batches left over. Who came back in between begins anew."""
    leader, dying = await world.node(), await world.node()
    await world.clock.advance(2.0)
    world.kill(dying)
    term = await world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    sweeper = Sweeper(leader)

    async def looked(seconds: float) -> bool:
        await world.clock.advance(seconds)
        await sweeper.bury(term.epoch)
        one = next(each for each in await world.store.instances.registered() if each.serial == dying.instance.serial)
        return one.dead_at is not None

    assert [await looked(seconds) for seconds in (0.0, 0.0, 0.05, DEATH_SECONDS / 2)] == [False] * 4
    world.store.revive(dying.instance.serial)
    assert not await looked(DEATH_SECONDS)
    world.kill(dying)
    assert [await looked(seconds) for seconds in (0.0, DEATH_SECONDS * 0.9, DEATH_SECONDS * 0.1)] == [False, False, True]


async def test_many_steps_of_one_saga_that_a_dead_instance_ran_are_declared_unknown_in_few_appends(world: World) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack() -> None:
        await asyncio.Event().wait()

    leader = await world.node()
    dying = await world.node(shop, drain_seconds=0)
    saga: Saga[Any] = Saga("wide")
    for number in range(60):
        saga.step(pack, id=f"s{number}")
    saga_id = await world.start(saga, node=leader)
    await world.clock.advance(2.0)
    await cut_off(world, dying)
    term = await world.store.terms.raise_epoch("leader", 1e9)
    assert term is not None
    sweeper = Sweeper(leader)
    await sweeper.bury(term.epoch)
    await world.clock.advance(DEATH_SECONDS)
    await sweeper.bury(term.epoch)
    assert Counter(event.split()[0] for event in await world.events(saga_id)) == {"SagaStarted": 1, "OutcomeUnknown": 60}
    assert leader.counts["append_batches"] <= 3
