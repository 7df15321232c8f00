"""Messages go out after the commit, carry what they can, and wait while the bus is away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from goconductor import Saga
from goconductor.errors import BusUnavailableError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.messages import codec
from goconductor.messages.envelope import RunStep
from goconductor.ports.bus import Message, sendable
from goconductor.testing.clock import settle
from goconductor.testing.world import World
from tests.engine.faults import Trade, Unruly


def batons(messages: Sequence[Message]) -> list[bool]:
    """Of each message, whether it carries the state."""
    bodies = [codec.decode(message.payload)[1] for message in messages]
    return [body.baton.state is not None for body in bodies if isinstance(body, RunStep)]


@pytest.mark.parametrize(("size", "carried"), [(10, True), (5_000, False)])
async def test_a_state_that_is_too_large_is_read_by_the_receiver(world: World, size: int, carried: bool) -> None:
    bus = Unruly(world, held=10)
    await world.node(bus=bus, baton_bytes_max=2_000)
    saga: Saga[Any] = Saga("one")
    saga.step("bank.charge")
    saga_id = await world.start(saga, "x" * size)
    await settle()
    assert batons(bus.kept) == [carried]
    bus.held = 0
    await bus.send([])
    await world.node(Trade().bank)
    assert (await world.end_of(saga_id)).status == "completed"


async def test_what_the_bus_refuses_goes_again_as_a_pointer_alone_and_then_at_once(world: World) -> None:
    bus = Unruly(world)
    sent: list[Message] = []
    send = bus.send

    async def limited(messages: Sequence[Message]) -> None:
        fit, refusal = sendable(messages, 1_500)  # as a topic of Kafka with max.message.bytes
        sent.extend(fit)
        await send(fit)
        if refusal:
            raise refusal

    bus.send = limited  # type: ignore[method-assign]
    await world.node(bus=bus, baton_bytes_max=10_000)
    saga: Saga[Any] = Saga("one")
    saga.step("bank.charge")
    first = await world.start(saga, "x" * 2_000)
    await settle()
    assert batons(sent) == [False]
    small = await world.start(saga, "x")
    second = await world.start(saga, "x" * 2_000)
    await settle()
    assert batons(sent) == [False, True, False]
    await world.node(Trade().bank)
    assert [(await world.end_of(saga_id)).status for saga_id in (first, small, second)] == ["completed"] * 3


async def test_a_wide_fan_out_carries_no_state(world: World) -> None:
    bus = Unruly(world, held=1000)
    await world.node(bus=bus)
    saga: Saga[Any] = Saga("wide")
    for number in range(60):
        saga.step("bank.charge", id=f"s{number}")
    await world.start(saga)
    await settle()
    assert batons(bus.kept) == [False] * 60


async def test_while_the_bus_is_away_messages_wait_and_too_many_are_left_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Unruly(world)
    away = True
    send = bus.send

    async def sometimes(messages: Sequence[Message]) -> None:
        if away:
            raise BusUnavailableError
        await send(messages)

    monkeypatch.setattr(bus, "send", sometimes)
    trade = Trade()
    client = await world.node(bus=bus)
    client._outbox._waiting_max = 3
    await world.node(trade.shop)
    await world.node(trade.bank)
    saga_ids = [await world.start(trade.saga(), node=client) for _ in range(5)]
    await world.clock.advance(10)
    assert client._outbox.dropped == 2
    assert [(await world.state(saga_id)).status for saga_id in saga_ids] == ["queued"] * 5
    away = False
    await world.live(5)
    assert [(await world.state(saga_id)).status for saga_id in saga_ids].count(SagaStatus.COMPLETED) == 3
    await world.live(40)
    assert [(await world.state(saga_id)).status for saga_id in saga_ids] == ["completed"] * 5
    assert set(trade.effects.values()) == {1}
