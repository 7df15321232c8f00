"""What an append or a start has taken is run or released, also when whoever asked is gone, and whatever the store says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from goconductor import Retry, Saga
from goconductor.engine.log.folding import Submission
from goconductor.engine.node import Node
from goconductor.engine.observer import Observer
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import ConfigurationError, FencedError, GoConductorError, SchemaError
from goconductor.lifecycle.facts.events import ActionFailed, ActionSucceeded, PauseRequested, ResumeRequested
from goconductor.lifecycle.facts.state import Failure
from goconductor.ports.store import Append, Outcome, Verdict
from goconductor.recovery.sweep import Sweeper
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Gated, Unrenewing


class Canceller(Observer):
    """Cancels a task between a batch's answer and the task's awakening."""

    def __init__(self) -> None:
        self.victim: asyncio.Task[Any] | None = None

    def flushed(self, kind: str, items: int, seconds: float) -> None:
        if self.victim is not None:
            asyncio.get_running_loop().call_soon(self.victim.cancel)
            self.victim = None


def one_step(*, retry: Retry | None = None) -> tuple[StepRegistry, Saga[Any], list[int]]:
    shop, runs = StepRegistry("shop", concurrency=1), list[int]()

    @shop.step(retry=retry)
    async def pack() -> str:
        runs.append(1)
        if retry is not None and len(runs) == 1:
            raise ValueError
        return "packed"

    saga: Saga[Any] = Saga("one")
    saga.step(pack)
    return shop, saga, runs


async def nothing_held(world: World, *nodes: Node) -> None:
    await settle()
    heads = [head.saga_id for head in (await world.store.sagas.heads()).heads]
    assert await world.store.recovery.leases(heads) == []
    assert [node.metrics()["steps_running"] for node in nodes] == [0] * len(nodes)


@pytest.mark.parametrize("when", ["in flight", "answered"])
async def test_work_of_a_request_whose_caller_is_gone_runs_all_the_same(world: World, when: str) -> None:
    shop, saga, runs = one_step()
    store, canceller = Gated(world), Canceller()
    client = await world.node()
    saga_id = await world.start(saga, node=client)
    await client.request(saga_id, PauseRequested())
    node = await world.node(shop, store=store, observer=canceller)
    await settle()
    store.gate.clear()
    store.done.clear()
    asking = asyncio.create_task(node.request(saga_id, ResumeRequested()))
    await store.done.wait()
    if when == "answered":
        canceller.victim = asking
    else:
        asking.cancel()
    store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await world.end_of(saga_id)).status == "completed"
    assert runs == [1]
    await nothing_held(world, node)


@pytest.mark.parametrize("when", ["in flight", "answered"])
async def test_a_start_whose_caller_is_gone_goes_on_at_once(world: World, when: str) -> None:
    shop, saga, runs = one_step()
    store, canceller = Gated(world), Canceller()
    node = await world.node(shop, store=store, observer=canceller)
    plan = await node.definitions.register(saga.definition)
    store.gate.clear()
    starting = asyncio.create_task(node.starting.start(plan.name, None, version=plan.version))
    await store.done.wait()
    if when == "answered":
        canceller.victim = starting
    else:
        starting.cancel()
    store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    (head,) = (await world.store.sagas.heads()).heads
    assert (await world.end_of(head.saga_id)).status == "completed"
    assert runs == [1]
    await nothing_held(world, node)


async def test_a_timer_that_is_cancelled_by_a_drain_leaves_its_work_to_others(world: World) -> None:
    shop, saga, runs = one_step(retry=Retry(initial_seconds=5.0, jitter=0.0))
    store = Gated(world)
    await world.node()
    leaving = await world.node(shop, store=store)
    saga_id = await world.start(saga, node=leaving)
    await settle()
    assert "ActionFailed pack" in await world.events(saga_id)
    store.gate.clear()
    store.done.clear()
    await world.clock.advance(5)
    await store.done.wait()
    assert leaving.metrics()["steps_running"] == 1
    closing = asyncio.create_task(world.leave(leaving))
    await settle()
    staying = await world.node(shop)
    store.gate.set()
    await closing
    await settle()
    assert (await world.state(saga_id)).status == "completed"
    assert (runs, staying.counts["steps_run"]) == ([1, 1], 1)
    await nothing_held(world, leaving, staying)


async def test_a_message_that_is_cancelled_while_its_lease_is_taken_leaves_no_lease(world: World) -> None:
    shop, saga, runs = one_step()
    store = Gated(world)
    client = await world.node()
    leaving = await world.node(shop, store=store)
    store.gate.clear()
    saga_id = await world.start(saga, node=client)
    await store.done.wait()
    assert len(await world.store.recovery.leases([saga_id])) == 1
    closing = asyncio.create_task(world.leave(leaving))
    await settle()
    store.gate.set()
    await closing
    staying = await world.node(shop)
    await world.clock.advance(2)
    await settle()
    assert (await world.state(saga_id)).status == "completed"
    assert runs == [1]
    await nothing_held(world, leaving, staying)


@pytest.mark.parametrize("gated", ["acquire", "append"])
async def test_a_leader_that_is_stopped_in_the_middle_of_a_look_leaves_no_lease(world: World, gated: str) -> None:
    shop = StepRegistry("shop")
    shop.step(name="pack")(asyncio.Event().wait)
    saga: Saga[Any] = Saga("one")
    saga.step("shop.pack")
    frozen = await world.node(shop, renewing=Unrenewing(world.clock), drain_seconds=0)
    saga_id = await world.start(saga)
    await settle()
    store = Gated(world)
    leader = await world.node(store=store)
    term = await world.store.terms.raise_epoch(leader.name, 1e9)
    assert term is not None
    sweeper = Sweeper(leader, lease_seconds=10)
    assert await sweeper.may_judge(term.epoch)
    await world.clock.advance(60)
    store.gated = {gated}
    store.gate.clear()
    looking = asyncio.create_task(sweeper.sweep_once(term.epoch))
    await store.done.wait()
    looking.cancel()
    await asyncio.wait([looking])
    store.gate.set()
    await settle()
    living = [lease for lease in await world.store.recovery.leases([saga_id]) if lease.expires_at > world.clock.now()]
    assert {lease.instance for lease in living} <= {frozen.instance.serial}  # what is left remembers the frozen one's attempt


@pytest.mark.parametrize("error", [SchemaError(), ConfigurationError("INSERT was revoked")])
async def test_an_outcome_outlives_a_database_that_refuses_us(world: World, error: GoConductorError) -> None:
    shop, runs = StepRegistry("shop", concurrency=1), list[str]()

    @shop.step
    async def pack(name: str) -> str:
        runs.append(name)
        if name == "first":
            store.refusing = error
        return name

    store = Gated(world)
    node = await world.node(shop, store=store)
    saga: Saga[Any] = Saga("two")
    first = saga.step(pack, id="first", inputs={"name": "first"})
    saga.step(pack, id="second", inputs={"name": "second"}, after=[first])
    saga_id = await world.start(saga)
    await settle()
    assert runs == ["first"]
    with pytest.raises(type(error)):
        await node.request(saga_id, PauseRequested())  # which says so, and does not wait
    assert node.metrics()["steps_running"] == 0
    store.refusing = None
    await world.clock.advance(2)
    assert (await world.end_of(saga_id)).status == "completed"
    assert runs == ["first", "second"]
    await nothing_held(world, node)


async def test_an_error_of_ours_gives_places_and_leases_back(world: World) -> None:
    shop, saga, _ = one_step()
    store = Gated(world)
    client = await world.node()
    saga_id = await world.start(saga, node=client)
    await client.request(saga_id, PauseRequested())
    node = await world.node(shop, store=store)
    await settle()
    store.refusing = ZeroDivisionError("a bug")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await node.request(saga_id, ResumeRequested())
    await nothing_held(world, node)
    store.refusing = None
    await node.request(saga_id, ResumeRequested())
    assert (await world.end_of(saga_id)).status == "completed"


async def test_an_unexpected_error_after_a_step_is_logged_with_its_saga(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, saga, _ = one_step()
    node = await world.node(shop)

    async def broken(_: object) -> object:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(node.appender, "submit", broken)
    saga_id = await world.start(saga)
    await settle()
    (record,) = [record for record in caplog.records if record.exc_info and "a bug" in str(record.exc_info[1])]
    assert record.name == "goconductor.engine"
    assert record.__dict__["saga_id"] == str(saga_id)
    assert node.metrics()["steps_running"] == 0


async def test_an_outcome_is_not_refused_together_with_the_write_of_an_old_leader(world: World) -> None:
    node = await world.node()
    saga: Saga[Any] = Saga("both")
    saga.step("shop.steady")
    saga.step("shop.shaky")
    saga_id = await world.start(saga)
    term = await world.store.terms.raise_epoch(node.name, 1e9)
    assert term is not None
    failed = ActionFailed("shaky", 1, failure=Failure("ValueError"))
    old, outcome = await asyncio.gather(
        node.appender.submit(Submission(saga_id, None, failed, epoch=term.epoch + 7)),
        node.appender.submit(Submission(saga_id, None, ActionSucceeded("steady", 1, output="done"))),
        return_exceptions=True,
    )
    assert isinstance(old, FencedError)
    assert not isinstance(outcome, BaseException)
    assert await world.events(saga_id) == ["SagaStarted", "ActionSucceeded steady"]
    assert node.counts["append_fenced"] == 1


async def test_an_outcome_is_not_refused_together_with_another_of_its_saga(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await world.node()
    saga: Saga[Any] = Saga("both")
    saga.step("shop.steady")
    saga.step("shop.shaky")
    saga_id = await world.start(saga)
    append = world.store.log.append

    async def particular(appends: Sequence[Append]) -> list[Outcome]:
        if any(b"poison" in entry.data for each in appends for entry in each.entries):
            return [Outcome(verdict=Verdict.REJECTED, problem="a NUL byte")] * len(appends)
        return await append(appends)

    monkeypatch.setattr(world.store.log, "append", particular)
    answers = await asyncio.gather(
        node.appender.submit(Submission(saga_id, None, ActionSucceeded("shaky", 1, output="poison"))),
        node.appender.submit(Submission(saga_id, None, ActionSucceeded("steady", 1, output="done"))),
        return_exceptions=True,
    )
    assert "a NUL byte" in str(answers[0])
    assert not isinstance(answers[1], BaseException)
    assert await world.events(saga_id) == ["SagaStarted", "ActionSucceeded steady"]
