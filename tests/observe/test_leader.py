"""What only the database and the bus know: asked by the leader, page by page, and forgotten when it leads no more."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest

from goconductor.buses.memory import MemoryBus
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.events import PauseRequested
from goconductor.observe.leader import OF_STORE, LeaderMetrics
from goconductor.ports.bus_metrics import MeasuredBus
from goconductor.ports.store import LeaseKey, StoreMetrics, Term
from goconductor.recovery.leadership import LeadTerm
from goconductor.recovery.resent import KEPT_SECONDS, SAGAS_MAX, STEPS_MAX, Resent
from goconductor.recovery.sweep import Sweeper
from goconductor.saga.ids import Direction
from goconductor.stores.memory.leading.metrics import MemoryMetrics
from goconductor.testing.clock import ManualClock, settle
from goconductor.testing.world.signalling import WorldStore
from tests.observe.services import Services, cards, order

SECONDS = 15.0


def term(services: Services) -> LeadTerm:
    return LeadTerm(Term(epoch=4, holder="x", ends_at=1e12), services.world.clock, 1e12)


def gauges(services: Services) -> dict[str, float]:
    return {name: number for (name, labels), number in services.scrape().items() if not labels}


def counted(leader: LeaderMetrics) -> dict[str, int] | None:
    return leader.sagas


async def leader_metrics(services: Services, page: int = 1000) -> LeaderMetrics:
    stock, _ = await services.open()
    services.metrics.leader = LeaderMetrics(stock, interval_seconds=SECONDS, page=page)
    return services.metrics.leader


async def test_who_does_not_lead_says_so_and_nothing_of_the_whole(services: Services) -> None:
    await leader_metrics(services)
    found = gauges(services)
    assert found["goconductor_leader"] == 0
    assert {"goconductor_sagas_live", "goconductor_leader_epoch"} & set(found) == set()


async def test_a_leader_counts_sagas_by_status(services: Services) -> None:
    leader = await leader_metrics(services)
    for way in ("pays", "pays", "refused", "stuck"):
        await services.run(way)
    leader.on_term(term(services))
    await settle()
    found = services.scrape()
    statuses = {dict(labels)["status"]: number for (name, labels), number in found.items() if name == "goconductor_sagas"}
    assert {status: number for status, number in statuses.items() if number} == {"completed": 2, "compensated": 1, "stuck": 1}
    assert gauges(services)["goconductor_leader_epoch"] == 4
    await leader.close()


async def test_a_walk_over_many_sagas_takes_several_looks_and_is_told_when_it_is_done(services: Services) -> None:
    leader = await leader_metrics(services, page=2)
    for _ in range(3):
        await services.run("pays")
    await leader.collect()
    assert counted(leader) is None
    await services.world.clock.advance(SECONDS)
    await leader.collect()
    assert leader.sagas == {"completed": 3}
    assert leader.walk_seconds == SECONDS
    await services.run("pays")
    await leader.collect()
    assert leader.sagas == {"completed": 3}
    await leader.collect()
    await leader.collect()
    assert leader.sagas == {"completed": 4}


async def test_for_how_long_a_saga_has_not_ended_is_told_also_of_a_paused_one(services: Services) -> None:
    leader = await leader_metrics(services)
    await services.run("pays")
    await leader.collect()
    assert gauges(services)["goconductor_saga_oldest_seconds"] == 0
    await services.world.leave(services.world.nodes[1])  # nobody charges cards
    saga_id = await services.world.start(order(), {"way": "pays"})
    await services.world.nodes[0].request(saga_id, PauseRequested())
    await services.world.clock.advance(7200)
    await leader.collect()
    assert gauges(services)["goconductor_saga_oldest_seconds"] == pytest.approx(7200, abs=1)


async def test_an_overdue_saga_is_told_with_the_time_that_it_waits(services: Services) -> None:
    leader = await leader_metrics(services)
    await services.world.leave(services.world.nodes[1])  # nobody charges cards
    await services.world.start(order(), {"way": "pays"})
    await settle()
    await leader.collect()
    assert gauges(services)["goconductor_sagas_live"] == 1
    assert gauges(services)["goconductor_saga_overdue_seconds"] == 0
    await services.world.clock.advance(100)
    await leader.collect()
    assert gauges(services)["goconductor_sagas_overdue"] == 1
    assert gauges(services)["goconductor_saga_overdue_seconds"] == pytest.approx(70, abs=10)


async def test_steps_that_sagas_wait_for_and_nobody_offers_are_told_until_somebody_does(services: Services) -> None:
    stock, paying = await services.open()
    world = services.world
    sweeper = Sweeper(stock)
    await world.leave(paying)
    term = await world.store.terms.raise_epoch(stock.name, 1e9)
    assert term is not None
    leader = services.metrics.leader = LeaderMetrics(stock, waiting=sweeper.resent.waiting)

    async def told() -> dict[str, float]:
        for _ in range(40):  # longer than a lost message may hold a saga up
            await world.clock.advance(1.0)
            await sweeper.sweep_once(term.epoch)
            await settle()
        await leader.collect()
        found = services.scrape().items()
        return {dict(labels)["step"]: number for (name, labels), number in found if name == "goconductor_steps_unoffered"}

    assert await told() == {}
    for _ in range(2):
        await world.start(order(), {"way": "pays"})
    assert await told() == {"cards.charge": 2}
    elsewhere = await world.node(StepRegistry("cards"))  # a version without the step
    assert await told() == {"cards.charge": 2}
    await world.node(cards())
    assert await told() == {}
    await world.leave(elsewhere)


async def test_what_the_sweep_comes_by_no_more_is_not_told_and_no_more_is_kept_than_a_bound() -> None:
    clock = ManualClock()
    resent = Resent(clock)

    def saw(number: int, step: str) -> None:
        resent.saw(LeaseKey(UUID(int=number), step, Direction.ACTION, 0), ("cards", step))

    for number in range(SAGAS_MAX + 5):
        saw(number, "charge")
    assert resent.waiting() == {("cards", "charge"): SAGAS_MAX}
    for number in range(STEPS_MAX):
        saw(1, f"step_{number}")
    assert len(resent.waiting()) == STEPS_MAX
    await clock.advance(KEPT_SECONDS - 1)
    saw(2, "step_7")
    await clock.advance(2)
    assert resent.waiting() == {("cards", "step_7"): 1}


async def test_what_waits_on_the_bus_for_a_participant_that_is_away_is_told(services: Services) -> None:
    leader = await leader_metrics(services)
    await services.world.leave(services.world.nodes[1])
    await services.world.start(order(), {"way": "pays"})
    await settle()
    await leader.collect()
    found = services.scrape()
    assert found["goconductor_bus_messages_waiting", frozenset({("participant", "cards")})] == 1
    assert found["goconductor_bus_messages_waiting", frozenset({("participant", "warehouse")})] == 0


async def test_a_leader_looks_again_and_again_and_forgets_when_it_leads_no_more(services: Services) -> None:
    leader = await leader_metrics(services)
    leader.on_term(term(services))
    await settle()
    await services.run("pays")
    assert leader.sagas == {}
    await services.world.clock.advance(SECONDS)
    await settle()
    assert leader.sagas == {"completed": 1}
    leader.on_term(None)
    assert counted(leader) is None
    assert gauges(services)["goconductor_leader"] == 0
    await leader.close()


async def test_a_store_that_is_away_is_asked_again_later(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    class Away(MemoryMetrics):
        away = True

        async def read(self) -> StoreMetrics:
            if self.away:
                raise StoreUnavailableError("the database went for lunch")
            return await super().read()

    store = WorldStore(services.world.clock)
    store.metrics = away = Away(store.data)
    leader = LeaderMetrics(await services.world.node(store=store), interval_seconds=SECONDS)
    with caplog.at_level(logging.WARNING, "goconductor.observe"):
        leader.on_term(term(services))
        await settle()
        assert "lunch" in caplog.text
        away.away = False
        await services.world.clock.advance(SECONDS)
        await settle()
    assert leader.store_metrics is not None
    await leader.close()


async def test_our_memory_leaves_can_be_measured(services: Services) -> None:
    assert services.world.store.metrics is not None
    assert isinstance(services.world.bus(), MeasuredBus)
    bus = MemoryBus()
    assert await bus.lag("nothing", "nobody") is None


def test_every_number_of_a_store_has_a_metric() -> None:
    missing = {*StoreMetrics.__struct_fields__} - {"participants", *OF_STORE}
    assert not missing, f"name these fields of StoreMetrics in OF_STORE of goconductor/observe/leader.py: {sorted(missing)}"
