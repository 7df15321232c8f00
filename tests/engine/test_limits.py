"""Limits over all instances: ``concurrency_total`` and ``rate``."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from goconductor import ArgumentError, FencedError, Retry, Saga
from goconductor.control.actor import ANYBODY
from goconductor.control.doctor.limits import of_limits
from goconductor.control.sagas.queries import saga_status
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import AbortRequested
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.clock import settle
from goconductor.testing.world import World


class Code:
    """A service whose step is limited. It counts how many run at once, and may be held up."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.running = self.most = 0
        self.begun = list[tuple[str, float]]()
        self.go = asyncio.Event()
        self.go.set()

    def registry(self, **limits: Any) -> StepRegistry:
        shop = StepRegistry("shop")

        async def run(what: str) -> None:
            self.begun.append((what, self.world.clock.now()))
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await self.go.wait()
                await settle()
            finally:
                self.running -= 1

        limited: Any = shop.step(**limits)

        async def charge(order: str) -> str:
            await run(order)
            return order

        @limited(charge).compensation  # type: ignore[untyped-decorator]
        async def refund(order: str) -> None:
            await run(f"back {order}")

        @shop.step(retry=Retry(attempts_max=1))
        async def ship(order: str) -> None:
            if order.startswith("bad"):
                raise ValueError("no van")

        return shop

    async def until(self, count: int) -> None:
        while len(self.begun) < count:
            await settle()

    def runs(self) -> Counter[str]:
        return Counter(what for what, _ in self.begun)


order = Saga[Any]("order")
charged = order.step("shop.charge", inputs={"order": order.input["id"]}, compensation=True)
order.step("shop.ship", inputs={"order": charged.output}, compensation=False)


async def start(world: World, names: list[str]) -> list[UUID]:
    return [await world.start(order, {"id": name}) for name in names]


async def ends(world: World, sagas: list[UUID]) -> Counter[SagaStatus]:
    return Counter([(await world.end_of(saga)).status for saga in sagas])


async def test_a_permit_does_not_stay_taken_where_an_outcome_cannot_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For a reason that nobody has foreseen."""

    async def submit(*_: Any) -> Any:
        raise FencedError

    code = Code(world)
    node = await world.node(code.registry(concurrency_total=1))
    with monkeypatch.context() as patched:
        patched.setattr(node.appender, "submit", submit)
        [saga] = await start(world, ["o1"])
        await code.until(1)
        while node.metrics()["permits_taken"] or node.metrics()["steps_running"]:
            await world.live(1.0)
    assert "ended by an unexpected error" in caplog.text
    await world.live(60.0)
    assert (await world.end_of(saga)).status == "completed"
    assert node.metrics()["permits_taken"] == 0


async def test_no_more_run_at_once_than_all_instances_may(world: World) -> None:
    code = Code(world)
    nodes = [await world.node(code.registry(concurrency_total=2)) for _ in range(3)]
    names = [f"o{number}" for number in range(30)]
    assert await ends(world, await start(world, names)) == {SagaStatus.COMPLETED: 30}
    assert (code.most, code.runs()) == (2, Counter(names))
    assert sum(node.counts["steps_not_permitted"] for node in nodes) > 0
    assert [node.metrics()["permits_taken"] for node in nodes] == [0, 0, 0]
    [use] = await world.store.permits.usage()
    assert (use.running, use.waiting) == (0, 0)


async def test_who_waits_first_is_served_first_and_without_time_going_on(world: World) -> None:
    """Test that a permit which is given back wakes the next: no clock and no sweep is needed."""
    code = Code(world)
    await world.node(code.registry(concurrency_total=1))
    names = [f"o{number}" for number in range(10)]
    for name in names:
        await start(world, [name])
        await settle()
    began = world.clock.now()
    await code.until(len(names))
    assert [what for what, _ in code.begun] == names
    assert world.clock.now() == began


async def test_compensations_count_as_well(world: World) -> None:
    code = Code(world)
    for _ in range(2):
        await world.node(code.registry(concurrency_total=1))
    assert await ends(world, await start(world, [f"bad{number}" for number in range(5)])) == {SagaStatus.COMPENSATED: 5}
    assert code.most == 1
    assert all(count == 1 for count in code.runs().values())
    assert len(code.runs()) == 10


async def test_a_refusal_is_no_failure_and_leaves_nothing_in_the_log(world: World) -> None:
    code = Code(world)
    code.go.clear()
    await world.node(code.registry(concurrency_total=1))
    first, second = await start(world, ["o1", "o2"])
    await world.live(6.0)
    assert [what for what, _ in code.begun] == ["o1"]
    assert await world.events(second) == ["SagaStarted"]
    code.go.set()
    assert await ends(world, [first, second]) == {SagaStatus.COMPLETED: 2}
    assert await world.events(second) == ["SagaStarted", "ActionSucceeded charge", "ActionSucceeded ship"]


async def test_the_permit_of_a_process_that_died_is_free_when_its_lease_is(world: World) -> None:
    code = Code(world)
    code.go.clear()
    first = await world.node(code.registry(concurrency_total=1))
    [held] = await start(world, ["o1"])
    await settle()
    await world.node(code.registry(concurrency_total=1))
    [waits] = await start(world, ["o2"])
    await settle()
    assert code.running == 1
    world.kill(first)
    code.go.set()
    assert await ends(world, [held, waits]) == {SagaStatus.COMPLETED: 2}


async def test_the_sweep_finds_those_whose_queue_is_lost(world: World) -> None:
    """Test a crash of the database: leases, permits and queue are gone, and for a lease's life nobody begins."""
    code = Code(world)
    code.go.clear()
    await world.node(code.registry(concurrency_total=1))
    sagas = await start(world, ["o1", "o2", "o3"])
    await settle()
    world.store.truncate_leases()
    await start(world, ["o4"])
    await world.live(5.0)
    assert code.most == 1
    code.go.set()
    assert await ends(world, sagas) == {SagaStatus.COMPLETED: 3}
    assert code.most == 1


async def test_who_had_waited_for_long_in_a_queue_that_is_lost_does_not_wait_for_long_again(world: World) -> None:
    code = Code(world)
    await world.node(code.registry(rate="1/h"))
    sagas = await start(world, ["o1", "o2"])
    await world.live(300.0)  # so long that the leader asks for it ever more seldom
    assert len(code.begun) == 1
    world.store.truncate_leases()
    crashed_at = world.clock.now()
    assert await ends(world, sagas) == {SagaStatus.COMPLETED: 2}
    assert world.clock.now() < crashed_at + 60.0


async def test_no_more_begin_within_the_time_than_the_rate_says(world: World) -> None:
    code = Code(world)
    for _ in range(2):
        await world.node(code.registry(rate="3/m"))
    names = [f"o{number}" for number in range(10)]
    assert await ends(world, await start(world, names)) == {SagaStatus.COMPLETED: 10}
    moments = [at for _, at in code.begun]
    assert all(later - earlier >= 60.0 for earlier, later in zip(moments, moments[3:], strict=False))
    assert code.runs() == Counter(names)


async def test_both_limits_hold_together(world: World) -> None:
    code = Code(world)
    await world.node(code.registry(concurrency_total=1, rate="2/s"))
    assert await ends(world, await start(world, [f"o{number}" for number in range(8)])) == {SagaStatus.COMPLETED: 8}
    moments = [at for _, at in code.begun]
    assert code.most == 1
    assert all(later - earlier >= 1.0 for earlier, later in zip(moments, moments[2:], strict=False))


async def test_two_versions_never_run_more_than_the_greater_limit(world: World) -> None:
    code = Code(world)
    await world.node(code.registry(concurrency_total=3))
    await world.node(code.registry(concurrency_total=1))
    assert await ends(world, await start(world, [f"o{number}" for number in range(20)])) == {SagaStatus.COMPLETED: 20}
    assert code.most <= 3


async def test_what_waits_and_is_to_go_back_is_not_begun(world: World) -> None:
    code = Code(world)
    code.go.clear()
    node = await world.node(code.registry(concurrency_total=1))
    held, waits = await start(world, ["o1", "o2"])
    await settle()
    await node.request(waits, AbortRequested())
    code.go.set()
    assert await ends(world, [held, waits]) == {SagaStatus.COMPLETED: 1, SagaStatus.COMPENSATED: 1}
    assert [what for what, _ in code.begun if what == "o2"] == []


async def test_operators_see_what_waits_and_how_much_is_in_use(world: World) -> None:
    code = Code(world)
    code.go.clear()
    node = await world.node(code.registry(concurrency_total=1, rate="5/m"))
    held, waits = await start(world, ["o1", "o2"])
    await settle()
    reasons = [(await saga_status(ANYBODY, node, saga)).steps[0].reason for saga in (held, waits)]
    assert reasons == [None, "waits for a permit of shop.charge (1 of 1 in use, 1 of 5 begun within 1 min)"]
    check = await of_limits(world.store, await world.store.instances.registered())
    assert check.findings == []
    assert check.saw.startswith("shop.charge: 1 of 1 in use, 1 of 5 begun within 1 min, 1 wait, the first for")
    await world.node(code.registry(concurrency_total=2))
    await world.node(code.registry())
    [finding] = (await of_limits(world.store, await world.store.instances.registered())).findings
    assert "different limits: 1 at once and 5 in 1 min, 2 at once and none" in finding.what
    code.go.set()
    await ends(world, [held, waits])


def declared(shop: StepRegistry, limits: dict[str, Any]) -> None:
    decorate: Any = shop.step(**limits)

    async def charge() -> None: ...

    decorate(charge)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"concurrency_total": 0}, "must be from 1"),
        ({"rate": "10"}, "is not a rate"),
        ({"rate": "0/s"}, "must be from 1"),
        ({"rate": "1/w"}, "is not a rate"),
        ({"rate": "99999/s"}, "must be from 1"),
    ],
)
def test_nonsense_is_refused(limits: dict[str, Any], problem: str) -> None:
    shop = StepRegistry("shop")
    with pytest.raises(ValueError, match=problem):
        declared(shop, limits)
    assert shop.steps == {}


@pytest.mark.parametrize("limits", [{"concurrency_total": "5"}, {"concurrency_total": True}, {"rate": 10}])
def test_wrong_types_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        declared(StepRegistry("shop"), limits)
