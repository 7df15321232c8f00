"""A step that sends a message over the bus in use, to whoever listens there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from goconductor import (
    BusUnavailableError,
    Participant,
    PayloadError,
    PermanentError,
    PublishedMessage,
    RefusedError,
    Saga,
    Settings,
    TemporaryError,
    connect,
    publish_step,
)
from goconductor import app as application
from goconductor.buses.postgres import PostgresBus
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports import Bus, Delivery, Message
from goconductor.system.participant import made
from goconductor.system.publish import PublishSteps
from goconductor.testing import World
from goconductor.testing.world import step_context

CONTEXT = step_context("tell", saga="order")
PLACED = {"topic": "orders", "type": "com.example.order.placed"}


@asynccontextmanager
async def heard(bus: Bus, topic: str) -> AsyncIterator[asyncio.Queue[Message]]:
    """Listen on a topic, as somebody outside does."""
    messages: asyncio.Queue[Message] = asyncio.Queue()

    async def receive(delivery: Delivery) -> None:
        messages.put_nowait(delivery.message)
        delivery.acknowledge()

    await bus.open()
    subscription = await bus.subscribe([topic], "outside", receiver=receive, prefetch=10)
    try:
        yield messages
    finally:
        await subscription.stop()
        await bus.close()


def order_of(*, refuses: bool) -> tuple[Saga[Any, Any], Participant]:
    order: Saga[Any, Any] = Saga("order")
    told = publish_step(
        order,
        "orders",
        "com.example.order.placed",
        id="tell",
        inputs={"number": order.input.number},
        data=order.input,
        subject="order {number}",
        key="{number}",
        undo={
            "topic": "orders",
            "type": "com.example.order.withdrawn",
            "data": {"number": "{number}", "of": "{action_key}", "was": "{output.id}"},
        },
    )
    shop = Participant("shop")

    @shop.step
    async def pack(id: str) -> None:
        if refuses:
            raise PermanentError("no boxes")

    order.step(pack, inputs={"id": told.output.id})
    return order, shop


async def run(order: Saga[Any, Any], shop: Participant) -> tuple[Any, list[Message]]:
    async with World() as world:
        bus = world.bus()
        async with heard(bus, "orders") as messages:
            await world.node(made([], [], {}, bus.send, answer_bytes_max=1_000))
            await world.node(shop)
            state = await world.end_of(await world.start(order, {"number": 17}))
            wanted = 1 if state.phase is SagaStatus.COMPLETED else 2
            return state, [await messages.get() for _ in range(wanted)]


async def test_a_message_is_a_cloud_event_whose_id_is_the_idempotency_key() -> None:
    state, (message,) = await run(*order_of(refuses=False))
    assert state.phase is SagaStatus.COMPLETED
    event = json.loads(message.payload)
    assert event.pop("time").endswith("Z")
    assert event == {
        "specversion": "1.0",
        "id": f"{state.saga_id}/tell/action/0",
        "source": "/goconductor/sagas/order",
        "type": "com.example.order.placed",
        "subject": "order 17",
        "datacontenttype": "application/json",
        "partitionkey": "17",
        "correlationid": str(state.saga_id),
        "idempotencykey": f"{state.saga_id}/tell/action/0",
        "data": {"number": 17},
    }
    assert message.key == "17"
    assert message.headers == {"content-type": "application/cloudevents+json"}
    assert state.step("tell").output == {"topic": "orders", "id": event["id"], "source": event["source"]}


async def test_a_saga_that_turns_back_sends_what_takes_it_back() -> None:
    state, (placed, withdrawn) = await run(*order_of(refuses=True))
    assert state.phase is SagaStatus.COMPENSATED
    event = json.loads(withdrawn.payload)
    assert event["type"] == "com.example.order.withdrawn"
    assert event["id"] == f"{state.saga_id}/tell/compensation/0"
    key = json.loads(placed.payload)["id"]
    assert event["data"] == {"number": 17, "of": key, "was": key}


@pytest.mark.parametrize(
    ("raised", "kind", "problem"),
    [
        (BusUnavailableError("the broker is away"), TemporaryError, "cannot be sent now: the broker is away"),
        (PayloadError("$[0].payload", "too much"), RefusedError, "cannot be sent: too much"),
    ],
)
async def test_what_the_bus_does_not_take_is_a_failure_of_the_step(
    raised: Exception, kind: type[Exception], problem: str
) -> None:
    async def send(messages: Sequence[Message]) -> None:
        raise raised

    with pytest.raises(kind) as failed:
        await PublishSteps(send).publish(dict(PLACED), CONTEXT)
    assert str(failed.value) == f"the message to 'orders' {problem}"


async def test_a_topic_of_ours_is_refused_though_nobody_has_checked_the_definition() -> None:
    sent: list[Message] = []

    async def send(messages: Sequence[Message]) -> None:
        sent.extend(messages)

    with pytest.raises(RefusedError, match="is goconductor's own"):
        await PublishSteps(send).publish(PLACED | {"topic": "goconductor.steps.shop"}, CONTEXT)
    assert sent == []


@pytest.mark.postgres
async def test_it_is_sent_over_the_bus_in_use(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_SYSTEM_ENABLED": "true"})
    await application.migrate(settings)
    order: Saga[Any, Any] = Saga("order")
    told = publish_step(order, "orders", "com.example.order.placed", data=order.input)
    order.returns(told.output.id)
    bus = PostgresBus(postgres_url)
    async with heard(bus, "orders") as messages, application.server(settings), connect(settings) as conductor:
        started = await conductor.start(order, {"number": 17})
        answered = await asyncio.wait_for(started.result(), 600)
        message = await asyncio.wait_for(messages.get(), 600)
    assert json.loads(message.payload)["id"] == answered
    assert json.loads(message.payload)["data"] == {"number": 17}


def test_the_output_has_a_type() -> None:
    assert PublishedMessage("orders", "1", "/x").topic == "orders"
