"""Sagas whose steps need no worker, run by the engine over a real server."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_network
from typing import Any

import pytest

from goconductor import Participant, PermanentError, Retry, Saga, http_step
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.system.participant import made
from goconductor.testing import World
from tests.system.server import Asked, Server, answer


@pytest.fixture
def system(server: Server) -> StepRegistry:
    hosts = [f"localhost:{server.port}"]
    networks = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    return made(hosts, networks, {}, MemoryBus(MemoryBroker()).send, answer_bytes_max=10_000)


def order_of(server: Server, *, undo: bool = True) -> Saga[Any, Any]:
    """An order at the server's, then a step of a shop that may say no."""
    order: Saga[Any, Any] = Saga("order")
    called = http_step(
        order,
        "POST",
        f"{server.url}/orders",
        id="order",
        body=order.input,
        undo={"method": "DELETE", "url": f"{server.url}/orders/{{output.body.id}}"} if undo else None,
        retry=Retry(attempts_max=3, initial_seconds=1, jitter=0),
    )
    order.step("shop.pack", inputs={"id": called.output.body["id"]}, compensation=False)
    return order


def shop(*, refuses: bool) -> Participant:
    participant = Participant("shop")

    @participant.step
    async def pack(id: int) -> int:
        if refuses:
            raise PermanentError("no boxes")
        return id

    return participant


async def run(world: World, system: StepRegistry, order: Saga[Any, Any], *, refuses: bool = False) -> Any:
    await world.node(system)
    await world.node(shop(refuses=refuses))
    saga_id = await world.start(order, {"sku": "tea"})
    return await world.end_of(saga_id)


async def test_a_saga_completes(server: Server, system: StepRegistry) -> None:
    server.answers = [answer(201, '{"id": 7}')]
    async with World() as world:
        state = await run(world, system, order_of(server))
    assert state.phase is SagaStatus.COMPLETED
    assert state.step("pack").output == 7
    assert [(asked.method, asked.target, json.loads(asked.body)) for asked in server.asked] == [
        ("POST", "/orders", {"sku": "tea"})
    ]


async def test_a_saga_that_turns_back_sends_the_undo(server: Server, system: StepRegistry) -> None:
    server.answers = [answer(201, '{"id": 7}')]
    async with World() as world:
        state = await run(world, system, order_of(server), refuses=True)
    assert state.phase is SagaStatus.COMPENSATED
    assert [(asked.method, asked.target) for asked in server.asked] == [("POST", "/orders"), ("DELETE", "/orders/7")]
    keys = [asked.headers["idempotency-key"] for asked in server.asked]
    assert keys == [f"{state.saga_id}/order/action/0", f"{state.saga_id}/order/compensation/0"]


async def test_without_an_undo_it_turns_back_all_the_same(server: Server, system: StepRegistry) -> None:
    async with World() as world:
        server.answers = [answer(201, '{"id": 7}')]
        state = await run(world, system, order_of(server, undo=False), refuses=True)
    assert state.phase is SagaStatus.COMPENSATED
    assert len(server.asked) == 1


async def test_each_attempt_has_the_same_key_and_waits_as_long_as_it_is_told(server: Server, system: StepRegistry) -> None:
    times: list[float] = []
    async with World() as world:

        async def busy(asked: Asked, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            times.append(world.clock.monotonic())
            writer.write(answer(503, "", "Retry-After: 100") if len(times) < 3 else answer(201, '{"id": 7}'))

        server.answers = [busy]
        state = await run(world, system, order_of(server))
    assert state.phase is SagaStatus.COMPLETED
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {f"{state.saga_id}/order/action/0"}
    assert times[1] - times[0] >= 100
    assert times[2] - times[1] >= 100


async def test_a_refusal_is_not_tried_again_and_leaves_nothing_to_undo(server: Server, system: StepRegistry) -> None:
    server.answers = [answer(422, '{"sku": "unknown"}')]
    async with World() as world:
        state = await run(world, system, order_of(server))
    assert state.phase is SagaStatus.COMPENSATED
    assert "was answered with 422" in state.reason
    assert [asked.method for asked in server.asked] == ["POST"]


async def test_a_redirect_may_answer_what_was_done_so_its_undo_is_not_left_out(server: Server, system: StepRegistry) -> None:
    server.answers = [answer(303, "", "Location: /orders/7")]
    async with World() as world:
        state = await run(world, system, order_of(server))
    assert state.step("order").stuck
    assert [asked.method for asked in server.asked] == ["POST"]


async def test_an_undo_that_needs_an_answer_which_was_lost_waits_for_an_operator(server: Server, system: StepRegistry) -> None:
    server.answers = [answer(500), answer(422)]  # after the first attempt nobody knows
    async with World() as world:
        state = await run(world, system, order_of(server))
    assert state.step("order").stuck
    failure = state.step("order").compensation.failure
    assert failure is not None
    assert "needs the action's output, which is not known" in failure.message


async def test_an_answer_that_never_ends_is_cut_off_by_the_time_limit(server: Server, system: StepRegistry) -> None:
    async def endless(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await reader.read()  # until the other side closes

    order: Saga[Any, Any] = Saga("order")
    http_step(order, "GET", server.url, retry=Retry(attempts_max=1), timeout=0.2)
    server.answers = [endless]
    async with World() as world:
        await world.node(system)
        state = await world.end_of(await world.start(order, {}))
    assert state.phase is SagaStatus.COMPENSATED
    assert "the action took longer than its time limit of 0.2 s" in state.reason
