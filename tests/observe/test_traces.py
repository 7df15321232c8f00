"""A saga is one trace through all services, and what undoes something is linked to what it undoes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from goconductor import PermanentError, Saga, StepContext, TemporaryError
from goconductor.control.settings.settings import Settings
from goconductor.engine.facts import log
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import SagaStarted
from goconductor.messages import codec
from goconductor.observe.traces import Traces, context_of
from goconductor.ports.bus import Delivery
from goconductor.ports.store import LogEntry
from goconductor.rest.app import create_app
from tests.observe.services import Services, Spans, attributes, ids, linked, order

START, RESERVE, CHARGE = "start order", "action warehouse.reserve", "action cards.charge"
RELEASE, VOID = "compensation warehouse.reserve", "compensation cards.charge"


async def test_all_steps_are_children_of_the_start(services: Services) -> None:
    spans = Spans()
    await services.open(spans.observer)
    saga_id, _ = await services.run("pays")
    start = spans.named(START)
    assert start.parent is None
    assert start.kind is SpanKind.PRODUCER
    for name, step in ((RESERVE, "reserve"), (CHARGE, "charge")):
        span = spans.named(name)
        assert span.parent is not None
        assert (span.parent.trace_id, span.parent.span_id) == ids(start)
        assert span.kind is SpanKind.CONSUMER
        assert span.status.status_code is StatusCode.UNSET
        assert attributes(span) == {
            "goconductor.saga": "order",
            "goconductor.saga.id": str(saga_id),
            "goconductor.step": step,
            "goconductor.step.run": name.removeprefix("action "),
            "goconductor.direction": "action",
            "goconductor.attempt": 1,
            "goconductor.round": 0,
            "goconductor.outcome": "ActionSucceeded",
        }


async def test_a_refused_card_yields_compensations_that_are_linked_to_what_they_undo(services: Services) -> None:
    spans = Spans()
    await services.open(spans.observer)
    await services.run("refused")
    assert linked(spans.named(RELEASE)) == [ids(spans.named(RESERVE))]
    assert linked(spans.named(VOID)) == [ids(spans.named(CHARGE))]
    refused = spans.named(CHARGE)
    assert refused.status.status_code is StatusCode.ERROR
    assert refused.status.description == "RefusedError: the card is refused"
    (event,) = refused.events
    assert (event.attributes or {})["exception.message"] == "the card is refused"


async def test_a_compensation_is_linked_to_the_attempt_that_had_the_effect(services: Services) -> None:
    shop = StepRegistry("shop")

    @shop.step
    async def pack(ctx: StepContext) -> None:
        if ctx.attempt == 1:
            raise TemporaryError("again", delay_seconds=1)

    @pack.compensation
    async def unpack() -> None: ...

    @shop.step
    async def ship() -> None:
        raise PermanentError("no")

    saga: Saga[Any] = Saga("parcel")
    saga.step(ship, after=[saga.step(pack)])
    spans = Spans()
    await services.world.node(shop, observer=spans.observer)
    saga_id = await services.world.start(saga)
    await services.world.live(5)
    assert (await services.world.state(saga_id)).status == "compensated"
    (second,) = [span for span in spans.finished if attributes(span).get("goconductor.attempt") == 2]
    assert linked(spans.named("compensation shop.pack")) == [ids(second)]


async def test_the_starters_own_span_is_above_it_all(services: Services) -> None:
    spans = Spans()
    await services.open(spans.observer)
    with spans.provider.get_tracer("shop").start_as_current_span("GET /checkout") as checkout:
        await services.run("pays")
    start = spans.named(START)
    assert start.parent is not None
    assert start.parent.span_id == checkout.get_span_context().span_id
    assert {ids(span)[0] for span in spans.finished} == {checkout.get_span_context().trace_id}


async def test_what_a_step_traces_itself_is_below_its_span_also_in_a_thread(services: Services) -> None:
    spans = Spans()
    tracer = spans.provider.get_tracer("shop")
    shop = StepRegistry("shop")

    @shop.step
    async def call() -> None:
        with tracer.start_as_current_span("POST /labels"):
            await asyncio.sleep(0)

    @shop.step
    def call_in_a_thread() -> None:
        with tracer.start_as_current_span("POST /stamps"):
            pass

    saga: Saga[Any] = Saga("calling")
    saga.step(call_in_a_thread, after=[saga.step(call)])
    await services.world.node(shop, observer=spans.observer)
    await services.world.end_of(await services.world.start(saga))
    for below, above in (("POST /labels", "action shop.call"), ("POST /stamps", "action shop.call_in_a_thread")):
        parent = spans.named(below).parent
        assert parent is not None
        assert parent.span_id == ids(spans.named(above))[1]
    assert trace.get_current_span().get_span_context().is_valid is False


async def test_a_step_that_the_sweep_picked_up_belongs_to_the_same_trace(services: Services) -> None:
    began, never = asyncio.Event(), asyncio.Event()
    hanging, living = StepRegistry("shop"), StepRegistry("shop")

    @hanging.step(name="pack")
    async def hang() -> None:
        began.set()
        await never.wait()

    @living.step
    async def pack() -> None: ...

    saga: Saga[Any] = Saga("parcel")
    saga.step("shop.pack", id="pack")
    first, second = Spans(), Spans()
    dying = await services.world.node(hanging, observer=first.observer, drain_seconds=0.0)
    saga_id = await services.world.start(saga)
    await began.wait()
    services.world.kill(dying)
    await services.world.node(living, observer=second.observer)
    await services.world.live(40)
    assert (await services.world.state(saga_id)).status == "completed"
    span = second.named("action shop.pack")
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == ids(first.named("start parcel"))
    assert attributes(span)["goconductor.attempt"] > 1


async def test_messages_carry_the_traceparent(services: Services) -> None:
    seen: list[str] = []

    async def look(delivery: Delivery) -> None:
        seen.append(codec.decode(delivery.message.payload)[0].traceparent)
        delivery.acknowledge()

    spans = Spans()
    bus = services.world.bus()
    await bus.open()
    await bus.subscribe(["goconductor.steps.cards"], "onlooker", look, prefetch=10)
    await services.open(spans.observer)
    await services.run("pays")
    trace_id, span_id = ids(spans.named(START))
    assert seen == [f"00-{trace_id:032x}-{span_id:016x}-01"]
    await bus.close()


async def test_a_saga_that_nobody_samples_is_followed_nowhere_and_notes_no_spans(services: Services) -> None:
    spans, unsampled = Spans(), Traces(TracerProvider(sampler=ParentBased(ALWAYS_OFF)))
    await services.world.node(observer=unsampled)
    await services.open(spans.observer)
    saga_id, state = await services.run("refused")
    assert state.status == "compensated"
    assert spans.finished == ()
    assert state.traceparent.endswith("-00")
    assert not any(step.span for step in state.steps.values())
    assert b'"span"' not in b"".join(entry.data for entry in await services.world.store.sagas.history(saga_id))


async def test_a_saga_whose_starter_does_not_trace_has_a_trace_for_each_run(services: Services) -> None:
    spans = Spans()
    await services.world.node()
    await services.open(spans.observer)
    saga_id, state = await services.run("refused")
    assert state.traceparent == ""
    assert len({ids(span)[0] for span in spans.finished}) == len(spans.finished) == 4
    assert {attributes(span)["goconductor.saga.id"] for span in spans.finished} == {str(saga_id)}
    assert [span.links for span in spans.finished] == [()] * 4


async def test_without_traces_the_log_holds_nothing_of_them(services: Services) -> None:
    await services.open()
    saga_id, _ = await services.run("refused")
    written = b"".join(entry.data for entry in await services.world.store.sagas.history(saga_id))
    assert b"traceparent" not in written
    assert b'"span"' not in written


async def test_a_second_start_under_a_key_says_that_the_saga_existed(services: Services) -> None:
    spans = Spans()
    await services.open(spans.observer)
    first = await services.world.start(order(), {"way": "pays"}, key="k")
    assert await services.world.start(order(), {"way": "pays"}, key="k") == first
    starts = [attributes(span) for span in spans.finished if span.name == START]
    assert [each.get("goconductor.saga.existing") for each in starts] == [None, True]
    assert {each["goconductor.saga.id"] for each in starts} == {str(first)}
    await services.world.end_of(first)


async def test_an_exception_whose_text_cannot_be_had_harms_nobody(services: Services) -> None:
    class RudeError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    shop = StepRegistry("shop")

    @shop.step
    async def fail() -> None:
        raise RudeError from PermanentError("gone")

    saga: Saga[Any] = Saga("rude")
    saga.step(fail, pivot=True)
    spans = Spans()
    await services.world.node(shop, observer=spans.observer)
    saga_id = await services.world.start(saga)
    await services.world.live(1)
    assert "ActionFailed fail" in await services.world.events(saga_id)
    assert spans.finished


@pytest.mark.parametrize("text", ["", "00-zz", "00-" + "z" * 32 + "-" + "a" * 16 + "-01", "x" * 55])
def test_a_traceparent_that_cannot_be_read_is_none(text: str) -> None:
    assert trace.get_current_span(context_of(text)).get_span_context().is_valid is False


def test_an_event_of_a_version_that_knew_no_traces_can_be_read() -> None:
    started = log.event(LogEntry(event_id=uuid4(), event="SagaStarted", at=1.0, data=b'{"input":1}'))
    assert isinstance(started, SagaStarted)
    assert started.traceparent == ""


async def test_a_request_that_names_its_trace_starts_the_saga_within_it(services: Services) -> None:
    spans = Spans()
    node = await services.world.node(observer=spans.observer)
    await services.open(spans.observer)
    await node.definitions.register(order().definition)
    environ = {"GOCONDUCTOR_DATABASE_URL": "postgresql://nobody@nowhere/nothing", "GOCONDUCTOR_TRACES_ENABLED": "true"}
    door = create_app(node, Settings.load(environ=environ))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://127.0.0.1") as client:
        for header in ("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", "nonsense"):
            answer = await client.post("/v1/sagas/order", json={"way": "pays"}, headers={"traceparent": header})
            assert answer.status_code == 202
            await services.world.end_of(UUID(answer.json()["saga_id"]))
    within, alone = [span for span in spans.finished if span.name == START]
    assert within.parent is not None
    assert (within.parent.trace_id, within.parent.span_id) == (int("ab" * 16, 16), int("cd" * 8, 16))
    assert alone.parent is None
