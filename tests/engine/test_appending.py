"""Events come into the log once, whoever else writes, and whatever became of the answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from goconductor import RequestRefusedError, Retry, Saga
from goconductor.engine.log.folding import Expected, Submission
from goconductor.engine.steps.registry import StepRegistry
from goconductor.engine.work.granted import Granted
from goconductor.errors import SagaChangedError, StoreUnavailableError
from goconductor.lifecycle.facts.events import ActionFailed, ActionSucceeded, Event, PauseRequested, ResumeRequested, TimerFired
from goconductor.lifecycle.facts.state import Failure
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Behind, Trade, Unanswering


async def test_many_nodes_append_to_one_saga_at_once_and_no_event_is_lost_or_doubled(world: World) -> None:
    shop = StepRegistry("shop")
    runs: Counter[int] = Counter()
    gate = asyncio.Event()

    @shop.step
    async def pack(number: int) -> int:
        runs[number] += 1
        if sum(runs.values()) == 40:
            gate.set()
        await gate.wait()
        return number

    nodes = [await world.node(shop, prefetch=3) for _ in range(4)]
    client = await world.node()
    saga: Saga[Any] = Saga("wide")
    for number in range(40):
        saga.step(pack, id=f"s{number}", inputs={"number": number})
    saga_id = await world.start(saga, node=client)
    state = await world.end_of(saga_id)
    assert state.status == "completed"
    assert state.outputs() == {f"s{number}": number for number in range(40)}
    assert set(runs.values()) == {1}
    assert Counter(await world.events(saga_id)).most_common(1)[0][1] == 1
    assert len(await world.events(saga_id)) == 41
    assert sum(node.counts["append_conflict"] for node in nodes) > 0


async def test_a_lease_whose_answer_was_lost_does_not_stand_in_the_way_of_its_own_message(world: World) -> None:
    trade = Trade()
    store = Unanswering(world)
    await world.node(trade.shop)
    node = await world.node(trade.bank, store=store)
    store.unanswered_acquires = 2
    saga_id = await world.start(trade.saga())
    await world.clock.advance(3.0)  # the message comes again after a second; the lease would last for ten
    assert (await world.end_of(saga_id)).status == "completed"
    assert set(trade.effects.values()) == {1}
    assert node.counts["messages_leased_elsewhere"] == 0


async def test_the_first_lease_of_a_start_whose_answer_was_lost_is_freed_by_what_comes_next(world: World) -> None:
    trade = Trade()
    store = Unanswering(world)
    node = await world.node(trade.shop, store=store)
    await world.node(trade.bank)
    store.unanswered_starts = 1
    with pytest.raises(StoreUnavailableError):
        await world.start(trade.saga(), key="one", node=node)
    other = await world.start(trade.saga(), key="two", node=node)
    assert (await world.end_of(other)).status == "completed"
    (mine,) = [head.saga_id for head in await world.store.recovery.live(10)]
    assert await world.store.recovery.leases([mine]) == []
    assert await world.start(trade.saga(), key="one", node=node) == mine
    await world.live(21)
    assert (await world.end_of(mine)).status == "completed"
    assert set(trade.effects.values()) == {1}


async def test_work_whose_lease_ran_out_before_it_began_is_handed_on_at_once(world: World) -> None:
    trade = Trade()
    slow = await world.node(trade.shop)
    await world.node(trade.bank)
    expired = slow._executor._performer.event_of

    async def late(work: Granted) -> Event | None:
        monkey.undo()
        return await expired(msgspec.structs.replace(work, expires=world.clock.monotonic()))

    with pytest.MonkeyPatch.context() as monkey:
        monkey.setattr(slow._executor._performer, "event_of", late)
        saga_id = await world.start(trade.saga(), node=slow)
        assert (await world.end_of(saga_id)).status == "completed"
    assert slow.counts["leases_expired_before_start"] == 1
    assert set(trade.effects.values()) == {1}


@pytest.mark.parametrize("lost", range(1, 3))
async def test_a_commit_whose_answer_was_lost_counts_once_and_the_work_goes_on_at_once(world: World, lost: int) -> None:
    trade = Trade()
    store = Unanswering(world)
    await world.node(trade.shop)
    node = await world.node(trade.bank, store=store)
    store.unanswered = lost
    saga_id = await world.start(trade.saga())
    for _ in range(2 * lost):
        await world.clock.advance(0.25)
    assert (await world.end_of(saga_id)).status == "completed"
    assert set(trade.effects.values()) == {1}
    assert set(Counter(await world.events(saga_id)).values()) == {1}
    assert store.unanswered == 0
    assert node.counts["store_unavailable"] >= lost


async def test_parallel_branches_whose_answers_are_lost(world: World) -> None:
    """What another branch has learnt of the log in the meantime must not hide that ours was won."""
    shop = StepRegistry("shop")
    gates = {name: asyncio.Event() for name in ("a", "b")}

    @shop.step
    async def work(name: str) -> str:
        if name in gates:
            await gates[name].wait()
        return name

    store = Unanswering(world)
    await world.node(shop, store=store)
    saga: Saga[Any] = Saga("branches")
    a = saga.step(work, id="a", inputs={"name": "a"})
    saga.step(work, id="b", inputs={"name": "b"})
    saga.step(work, id="c", inputs={"name": "c"}, after=[a])
    saga_id = await world.start(saga)
    await settle()
    store.unanswered = 1
    gates["a"].set()
    await settle()
    gates["b"].set()
    await settle()
    await world.clock.advance(0.5)
    assert (await world.end_of(saga_id)).status == "completed"
    assert set(Counter(await world.events(saga_id)).values()) == {1}


async def test_a_request_whose_answer_was_lost_is_accepted_once(world: World) -> None:
    store = Unanswering(world)
    node = await world.node(store=store)
    saga: Saga[Any] = Saga("waiting")
    saga.step("shop.pack")
    saga_id = await world.start(saga)
    store.unanswered = 1
    asked = asyncio.create_task(node.request(saga_id, PauseRequested()))
    await settle()
    other = await world.node()
    await other.request(saga_id, ResumeRequested())
    await world.clock.advance(0.5)
    assert (await asked).state.status == "queued"
    assert (await world.events(saga_id)).count("PauseRequested") == 1


async def test_a_request_bound_to_what_was_seen_is_accepted_once_though_its_answer_was_lost(world: World) -> None:
    store = Unanswering(world)
    node = await world.node(store=store)
    saga: Saga[Any] = Saga("waiting")
    saga.step("shop.pack")
    saga_id = await world.start(saga)
    view = await node.view(saga_id)
    seen = Expected(view.seq, view.tag)
    store.unanswered = 1
    asked = asyncio.create_task(node.request(saga_id, PauseRequested(), expected=seen))
    await settle()
    await world.clock.advance(0.5)
    assert (await asked).state.status == "paused"
    with pytest.raises(SagaChangedError):
        await node.request(saga_id, ResumeRequested(), expected=seen)
    assert await world.events(saga_id) == ["SagaStarted", "PauseRequested"]


async def test_while_the_store_is_away_outcomes_wait(world: World) -> None:
    trade = Trade()
    store = Unanswering(world)
    await world.node(trade.shop)
    await world.node(trade.bank, store=store)
    store.away = 40
    saga_id = await world.start(trade.saga())
    await world.clock.advance(9.5)
    assert "ActionSucceeded charge" not in await world.events(saga_id)
    await world.clock.advance(1)
    assert (await world.end_of(saga_id)).status == "completed"
    assert set(trade.effects.values()) == {1}


async def test_an_outcome_in_one_batch_with_a_timer_that_was_too_early_is_kept(world: World) -> None:
    """Our estimate of the database's time was ahead: the timer has to wait, the success beside it must not be lost with it."""
    node = await world.node()
    saga: Saga[Any] = Saga("both")
    saga.step("shop.steady")
    saga.step("shop.shaky", retry=Retry(initial_seconds=10.0, jitter=0.0))
    saga_id = await world.start(saga)
    await node.request(saga_id, ActionFailed("shaky", 1, failure=Failure("ValueError")))
    timer, success = await asyncio.gather(
        node.appender.submit(Submission(saga_id, None, TimerFired("shaky", 2))),
        node.appender.submit(Submission(saga_id, None, ActionSucceeded("steady", 1, output="done"))),
    )
    assert (timer.view, success.dropped) == (None, "")
    assert node.counts["append_not_due"] == 1
    assert (await world.state(saga_id)).outputs() == {"steady": "done"}
    await world.clock.advance(10)
    assert (await world.events(saga_id))[-1] == "TimerFired shaky"


async def test_a_timer_whose_clock_is_ahead_waits_for_the_database(world: World) -> None:
    shop = StepRegistry("shop")
    began = world.clock.now()
    at: list[float] = []

    @shop.step(retry=Retry(initial_seconds=10.0, jitter=0.0))
    async def pack() -> None:
        at.append(world.clock.now() - began)
        if len(at) == 1:
            raise ValueError

    node = await world.node(shop, clock=Behind(world.clock, 0.2))
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack")
    saga_id = await world.start(saga)
    await world.clock.advance(11)
    assert (await world.end_of(saga_id)).status == "completed"
    assert at == [0, pytest.approx(10.2, abs=0.02)]
    assert node.counts["append_not_due"] > 0


async def test_two_timers_of_one_saga_at_one_moment(world: World) -> None:
    shop = StepRegistry("shop")
    runs: Counter[str] = Counter()

    @shop.step(retry=Retry(initial_seconds=10.0, jitter=0.0))
    async def work(name: str) -> str:
        runs[name] += 1
        if runs[name] == 1:
            raise ValueError
        return name

    await world.node(shop)
    saga: Saga[Any] = Saga("timers")
    for name in "abc":
        saga.step(work, id=name, inputs={"name": name})
    saga_id = await world.start(saga)
    await world.clock.advance(10)
    assert (await world.end_of(saga_id)).status == "completed"
    assert set(runs.values()) == {2}


async def test_one_bad_event_leaves_the_others_of_its_batch_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from goconductor.lifecycle.decide import apply as real

    node = await world.node()
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack")
    bad, good = await world.start(saga), await world.start(saga)

    def buggy(fold: Any, event: Any) -> None:
        if fold.state.saga_id == bad:
            raise TypeError("a bug of ours")
        real(fold, event)

    monkeypatch.setattr("goconductor.engine.log.folding.apply", buggy)
    answers = await asyncio.gather(*(node.request(each, PauseRequested()) for each in (bad, good)), return_exceptions=True)
    assert "a bug of ours" in str(answers[0])
    assert (await world.state(good)).status == "paused"


async def test_a_repeated_outcome_changes_nothing(world: World) -> None:
    trade = Trade()
    node = await world.node(trade.shop)
    await world.node(trade.bank)
    saga_id = await world.start(trade.saga())
    await world.end_of(saga_id)
    events = await world.events(saga_id)
    with pytest.raises(RequestRefusedError, match="completed"):
        await node.request(saga_id, PauseRequested())
    await node.request(saga_id, ActionSucceeded("pack", 1, output="again"))
    assert await world.events(saga_id) == events


async def test_compensation_goes_back_in_reverse_order(world: World) -> None:
    trade = Trade()
    trade.failing = {"ship"}
    await world.node(trade.shop)
    await world.node(trade.bank)
    state = await world.end_of(saga_id := await world.start(trade.saga()))
    assert state.status == "compensated"
    back = [each.split()[1] for each in await world.events(saga_id) if each.startswith("CompensationSucceeded")]
    assert back[0] == "ship"
    assert back[-1] == "reserve"
    assert back.index("book") < back.index("charge")
    assert set(trade.effects.values()) == {1}
