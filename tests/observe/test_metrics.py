"""What the engine does is counted: by label and duration where an observer is called, else as it counts anyway."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from goconductor import Saga
from goconductor.engine.observer import Observers
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import PauseRequested
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages.envelope import Baton, Envelope, SagaEnded
from goconductor.observe.metric_types import OTHER, SERIES_MAX, Counter, Histogram
from goconductor.observe.metrics import NO_OUTCOME, NODE_METRICS, OUTCOMES, Metrics
from tests.observe.services import Services


def value(services: Services, name: str, **labels: str) -> float:
    return services.scrape()[name, frozenset(labels.items())]


async def test_a_saga_that_completes_is_counted_with_its_steps(services: Services) -> None:
    await services.open()
    await services.run("pays")
    assert value(services, "goconductor_sagas_started_total", saga="order") == 1
    assert value(services, "goconductor_sagas_ended_total", saga="order", status="completed") == 1
    assert value(services, "goconductor_saga_duration_seconds_count", saga="order", status="completed") == 1
    for step in ("warehouse.reserve", "cards.charge"):
        assert value(services, "goconductor_steps_total", step=step, direction="action", outcome="succeeded") == 1
        assert value(services, "goconductor_step_duration_seconds_count", step=step, direction="action") == 1


async def test_a_refused_card_is_counted_as_a_failure_a_turn_and_compensations(services: Services) -> None:
    await services.open()
    await services.run("refused")
    assert value(services, "goconductor_sagas_turned_back_total", saga="order") == 1
    assert value(services, "goconductor_sagas_ended_total", saga="order", status="compensated") == 1
    assert value(services, "goconductor_steps_total", step="cards.charge", direction="action", outcome="failed") == 1
    for step in ("warehouse.reserve", "cards.charge"):
        assert value(services, "goconductor_steps_total", step=step, direction="compensation", outcome="succeeded") == 1


async def test_a_saga_that_halts_is_counted_once_from_zero_on(services: Services) -> None:
    await services.open()
    await services.run("pays")
    assert value(services, "goconductor_sagas_halted_total", saga="order", status="stuck") == 0
    await services.run("stuck")
    assert value(services, "goconductor_sagas_halted_total", saga="order", status="stuck") == 1
    assert value(services, "goconductor_sagas_halted_total", saga="order", status="paused") == 0


async def test_a_pause_is_counted_as_one(services: Services) -> None:
    shop, going = StepRegistry("shop"), asyncio.Event()

    @shop.step
    async def wait() -> None:
        await going.wait()

    saga: Saga[Any] = Saga("waiting")
    saga.step(wait)
    node = await services.world.node(shop, observer=services.metrics)
    saga_id = await services.world.start(saga)
    await node.request(saga_id, PauseRequested(reason="lunch"))
    assert value(services, "goconductor_sagas_halted_total", saga="waiting", status="paused") == 1
    assert value(services, "goconductor_steps_running") == 0  # of a node that nobody watches nothing is known
    services.metrics.watch(node)
    assert value(services, "goconductor_steps_running") == 1
    going.set()


async def test_batches_and_messages_are_counted(services: Services) -> None:
    await services.open()
    await services.run("pays")
    for kind in ("start", "append", "acquire"):
        assert value(services, "goconductor_batch_items_count", kind=kind) >= 1
        assert value(services, "goconductor_batch_duration_seconds_count", kind=kind) >= 1
    assert value(services, "goconductor_messages_sent_total") >= 1
    assert value(services, "goconductor_messages_received_total", type="step") == 1
    assert value(services, "goconductor_message_delay_seconds_count", type="step") == 1


async def test_what_the_engine_counts_by_itself_is_read_at_the_scrape(services: Services) -> None:
    node, _ = await services.open()
    await services.run("pays")
    assert value(services, "goconductor_appends_total", verdict="won") == node.counts["appends"] > 0
    assert value(services, "goconductor_events_appended_total") == node.counts["events"] > 0
    node.counts["append_conflict"] += 3
    assert value(services, "goconductor_appends_total", verdict="conflict") == 3


async def test_a_sweep_is_counted_with_what_it_did(services: Services) -> None:
    sweeping = await services.world.node(observer=services.metrics)
    services.metrics.watch(sweeping)
    sweeping.observer.swept(7, 0.02)
    sweeping.counts["sweep_resent"] += 2
    assert value(services, "goconductor_sweep_sagas_total") == 7
    assert value(services, "goconductor_sweep_duration_seconds_count") == 1
    assert value(services, "goconductor_sweep_resent_total") == 2


async def test_several_observers_are_told_alike(services: Services) -> None:
    second = Metrics()
    await services.open(Observers(services.metrics, second))
    await services.run("refused")
    for one, other in zip(services.metrics.counters(), second.counters(), strict=True):
        assert one.samples() == other.samples()


async def test_a_message_with_a_strange_time_is_counted_without_its_delay(services: Services) -> None:
    await services.open()
    body = SagaEnded(saga_id=uuid4(), saga="order", status=SagaStatus.COMPLETED, baton=Baton(4, 1))
    services.metrics.received(Envelope(specversion="1.0", id="1", source="/x", type="t", time="yesterday"), body)
    assert value(services, "goconductor_messages_received_total", type="end") == 1
    assert ("goconductor_message_delay_seconds_count", frozenset({("type", "end")})) not in services.scrape()


def test_every_key_is_counted_once() -> None:
    keys = [key for each in NODE_METRICS for key in each.keys]
    assert len(keys) == len(set(keys))
    assert NO_OUTCOME not in OUTCOMES.values()


def test_beyond_a_thousand_names_the_rest_is_called_other() -> None:
    counter, histogram = Counter("t", "T.", ("saga",)), Histogram("s", "S.", ("saga",), (1.0,))
    for number in range(SERIES_MAX + 5):
        counter.add((f"saga-{number}",))
        histogram.add((f"saga-{number}",), 0.5)
    assert len(counter.samples()) == len(histogram.samples()) == SERIES_MAX + 1
    assert dict(counter.samples())[OTHER,] == 5


@pytest.mark.parametrize(("number", "bucket"), [(0.0, 1.0), (1.0, 1.0), (1.5, 2.0), (2.5, float("inf"))])
def test_a_value_falls_into_the_first_bucket_that_holds_it(number: float, bucket: float) -> None:
    histogram = Histogram("s", "S.", (), (1.0, 2.0))
    histogram.add((), number)
    ((_, buckets, total),) = histogram.samples()
    assert [bound for bound, count in buckets if count] == [each for each in (1.0, 2.0, float("inf")) if each >= bucket]
    assert total == number
