"""What a step is given is the same in every attempt: who sends it on under the idempotency key sends the same bytes again."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import pytest

from goconductor import Output, Participant, PermanentError, Saga, Settings, StepContext, TemporaryError, connect
from goconductor.app import migrate
from goconductor.engine.handover import Handover
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import CompensatedError
from goconductor.ports.bus import Delivery
from goconductor.testing.world import World

ORDER: dict[str, Any] = {"note": "x", "a": -0.0, "Z": 1e22, "lines": ({"sku": "tea", "n": 1}, [2**63 - 1, 1.0])}
FEES: dict[str, Any] = {"vat": 0.0, "Base": 1e16}
RESERVED: dict[str, Any] = {"shelf": ("z", "a"), "at": -0.0, "B": 2, "b": 1}


def written(*values: Any) -> str:
    """As a client would send it on, and as Python shows it: lists and tuples are told apart."""
    return f"{msgspec.json.encode(values).decode()} {values!r}"


class Shop:
    """A service's code, and what it was given. Each attempt spoils what it was given before it fails."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.compensations: list[str] = []
        self.failed = asyncio.Event()

    def fail_once(self, seen: list[str], given: str, *spoilt: Any) -> None:
        seen.append(given)
        for value in spoilt:
            value["spoilt"] = True
        spoilt[0]["lines"].append("spoilt")
        if len(seen) == 1:
            self.failed.set()
            raise TemporaryError("again, please", delay_seconds=0.5)

    def offer(self, registry: StepRegistry) -> None:
        async def reserve(order: Any, lines: Any, fees: Any, context: StepContext) -> Any:
            given = f"{context.idempotency_key} {written(order, lines, fees)}"
            self.fail_once(self.actions, given, order, fees)
            return RESERVED

        async def unreserve(order: Any, fees: Any, reserved: Annotated[Any, Output], context: StepContext) -> None:
            given = f"{context.idempotency_key} {written(order, fees, reserved)}"
            self.fail_once(self.compensations, given, order, fees, reserved)

        async def charge(order: Any) -> None:
            order.clear()
            raise PermanentError("no money")

        registry.step(reserve).compensation(unreserve)
        registry.step(charge)


async def refund() -> None:
    """A step that no saga here has."""


def order_saga() -> Saga[Any]:
    saga: Saga[Any] = Saga("order")
    lines: Any = saga.input["lines"]
    first = saga.step("shop.reserve", inputs={"order": saga.input, "lines": lines, "fees": FEES})
    saga.step("shop.charge", inputs={"order": saga.input}, after=[first])
    return saga


def assert_same_bytes(shop: Shop) -> None:
    def plain(value: Any) -> Any:
        return msgspec.json.decode(msgspec.json.encode(value))

    order, fees, reserved = plain(ORDER), plain(FEES), plain(RESERVED)
    assert list(order) == ["note", "a", "Z", "lines"]
    assert len(set(shop.actions)) == len(set(shop.compensations)) == 1
    assert (len(shop.actions), len(shop.compensations)) == (2, 2)
    assert shop.actions[0].endswith(written(order, order["lines"], fees))
    assert shop.compensations[0].endswith(written(order, fees, reserved))


@pytest.mark.postgres
async def test_another_process_is_given_what_the_log_says_and_that_is_what_the_first_was_given(postgres_url: str) -> None:
    """Each attempt runs in a process of its own: the first has the input in memory, the others read the log."""
    settings = Settings.load(
        environ={"GOCONDUCTOR_DATABASE_URL": postgres_url, "GOCONDUCTOR_RECOVERY_SWEEP_INTERVAL_SECONDS": "0.1"}
    )
    await migrate(settings)
    shop = Shop()
    participants = [Participant("shop") for _ in range(3)]
    for each in participants:
        shop.offer(each)
    async with participants[0].running(settings) as conductor:
        saga_id = (await conductor.start(order_saga(), ORDER)).saga_id
        await shop.failed.wait()
    shop.failed.clear()
    async with participants[1].running(settings):
        await shop.failed.wait()
    async with participants[2].running(settings) as conductor:
        with pytest.raises(CompensatedError, match="no money"):
            await conductor.saga(saga_id).result(timeout_seconds=300)
    assert_same_bytes(shop)


@pytest.mark.postgres
async def test_an_instance_without_the_step_hands_it_on_as_it_was(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a rolling upgrade: the older instance takes the message, and cannot run what it asks for."""
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    shop, older, newer = Shop(), Participant("shop"), Participant("shop")
    older.step(refund)
    shop.offer(newer)
    handed_on = asyncio.Event()
    leave = Handover.leave

    def noting(handover: Handover, delivery: Delivery, wait_seconds: float | None = None) -> None:
        leave(handover, delivery, wait_seconds)
        handed_on.set()

    monkeypatch.setattr(Handover, "leave", noting)
    async with older.running(settings), connect(settings) as client:
        handle = await client.start(order_saga(), ORDER)
        await handed_on.wait()
        async with newer.running(settings):
            with pytest.raises(CompensatedError, match="no money"):
                await handle.result(timeout_seconds=300)
    assert_same_bytes(shop)


@pytest.mark.parametrize("baton_bytes_max", [16 * 1024, 0], ids=["by baton", "by pointer"])
async def test_over_the_bus_as_well_and_whatever_an_attempt_does_to_what_it_was_given(world: World, baton_bytes_max: int) -> None:
    client = await world.node(baton_bytes_max=baton_bytes_max)
    shop, registry = Shop(), StepRegistry("shop")
    shop.offer(registry)
    await world.node(registry, baton_bytes_max=baton_bytes_max)
    saga_id = await world.start(order_saga(), ORDER, node=client)
    await world.live(5)
    assert (await world.end_of(saga_id)).status == "compensated"
    assert_same_bytes(shop)


async def test_constants_of_equal_definitions_that_were_written_differently_are_given_as_they_are_stored(world: World) -> None:
    """They have one version, as the order of keys says nothing in it; whoever registers it first has written the document."""
    seen: list[str] = []

    def service() -> StepRegistry:
        registry = StepRegistry("shop")

        @registry.step
        async def note(what: Any) -> None:
            seen.append(written(what))

        return registry

    def saga_of(constant: Any) -> Saga[Any]:
        saga: Saga[Any] = Saga("notes")
        saga.step("shop.note", inputs={"what": constant})
        return saga

    for constant in ({"b": 1.0, "a": 0.0}, {"a": -0.0, "b": 1}):
        node = await world.node(service())
        await world.end_of(await world.start(saga_of(constant), node=node))
        await world.leave(node)
    assert seen == [written({"b": 1.0, "a": 0.0})] * 2
