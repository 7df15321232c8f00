"""Signals from the sender to the step that takes them: once, in any order, to a saga that costs nothing while it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from goconductor import Participant, Saga, Settings
from goconductor.app import migrate
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.faults import RequestInvalidError
from goconductor.control.models import SagaDetail
from goconductor.control.sagas.requests import RefusedNowError, RequestIdReusedError
from goconductor.errors import PayloadError, RequestRefusedError, SagaNotFoundError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.testing.world import World
from tests.engine.test_delays import held


def shop_and_saga() -> tuple[Participant, Saga[Any]]:
    shop = Participant("shop")

    @shop.step
    async def ship(receipt: str) -> str:
        return f"shipped for {receipt}"

    saga: Saga[Any] = Saga("order")
    paid = saga.wait("payment", id="paid", where="payload.cents >= input.cents")
    saga.returns(saga.step(ship, inputs={"receipt": paid.output["receipt"]}).output)
    return shop, saga


PAID = {"cents": 500, "receipt": "r1"}


async def test_a_signal_is_the_output_of_the_step_that_takes_it(world: World) -> None:
    shop, saga = shop_and_saga()
    conductor = await world.conductor(shop)
    handle = await conductor.start(saga, {"cents": 500})
    before = await handle.view()
    (waits, _) = before.steps
    assert (before.status, waits.status, waits.reason) == (SagaStatus.WAITING, "waiting", "waits for signal 'payment'")
    assert waits.waits_for is not None
    assert (waits.waits_for.event, waits.waits_for.until) == ("payment", None)
    after = await handle.signal("payment", PAID, by="bank")
    assert after.steps[0].output == PAID
    assert await handle.result() == "shipped for r1"


async def test_what_no_step_takes_is_kept_and_shown_with_the_reason(world: World) -> None:
    shop, saga = shop_and_saga()
    handle = await (await world.conductor(shop)).start(saga, {"cents": 500})
    await handle.signal("payment", {"cents": 1}, by="bank", request_id="too little")
    detail = await handle.signal("payment", {"receipt": "r"}, request_id="unreadable")
    assert [(each.id, each.by, bool(each.why)) for each in detail.signals] == [
        ("too little", "bank", False),
        ("unreadable", "", True),
    ]
    assert "cents" in detail.signals[1].why


async def test_a_signal_that_is_sent_again_changes_nothing_also_after_the_end(world: World) -> None:
    shop, saga = shop_and_saga()
    handle = await (await world.conductor(shop)).start(saga, {"cents": 500})
    await handle.signal("payment", PAID, request_id="p1")
    await handle.result()
    seen = await handle.view()
    assert (await handle.signal("payment", PAID, request_id="p1")).revision == seen.revision
    with pytest.raises(RequestIdReusedError):
        await handle.signal("payment", {**PAID, "cents": 501}, request_id="p1")
    with pytest.raises(RequestRefusedError, match="has ended, it is completed"):
        await handle.signal("payment", PAID, request_id="p2")


async def test_the_same_signal_sent_ten_times_at_once_is_one_event(world: World) -> None:
    shop, saga = shop_and_saga()
    handle = await (await world.conductor(shop)).start(saga, {"cents": 500})
    details = await asyncio.gather(*(handle.signal("payment", {"cents": 1}, request_id="p1") for _ in range(10)))
    assert {len(detail.signals) for detail in details} == {1}
    assert [name for name in await world.events(handle.saga_id) if name == "SignalReceived"] == ["SignalReceived"]


async def test_what_is_wrong_with_a_signal_is_said_at_once(world: World) -> None:
    shop, saga = shop_and_saga()
    conductor = await world.conductor(shop)
    handle = await conductor.start(saga, {"cents": 500})
    with pytest.raises(RequestRefusedError, match="waits for no signal 'paymint'"):
        await handle.signal("paymint")
    with pytest.raises(PayloadError, match=r"\$\.payload"):
        await handle.signal("payment", "x" * 2_000_000)
    with pytest.raises(RequestInvalidError, match="request_id"):
        await handle.signal("payment", PAID, request_id="grün")
    with pytest.raises(SagaNotFoundError):
        await conductor.saga("01900000-0000-7000-8000-0000000000ff").signal("payment", PAID)
    assert await world.events(handle.saga_id) == ["SagaStarted"]


async def test_more_is_not_kept_than_a_saga_may_carry_but_what_a_step_takes_is_not_refused(world: World) -> None:
    shop, saga = shop_and_saga()
    handle = await (await world.conductor(shop)).start(saga, {"cents": 500})
    await handle.signal("payment", {"cents": 1, "note": "x" * 200_000})
    with pytest.raises(RequestRefusedError, match=r"keeps 1 signals.*262,144 bytes"):
        await handle.signal("payment", {"cents": 1, "note": "x" * 100_000})
    for number in range(99):
        await handle.signal("payment", {"cents": number})
    with pytest.raises(RequestRefusedError, match="keeps 100 signals"):
        await handle.signal("payment", {"cents": 1})
    await handle.signal("payment", PAID)
    assert await handle.result() == "shipped for r1"


async def test_ten_thousand_sagas_that_wait_for_a_signal_cost_nothing_and_nobody_looks(world: World) -> None:
    shop, saga = shop_and_saga()
    node = await world.node(shop)
    await world.start(saga, {"cents": 1})
    before = held(node)
    for _ in range(10_000):
        await world.start(saga, {"cents": 1})
    assert held(node) == before
    assert await world.store.recovery.live(10) == []


async def test_an_approval_has_who_and_why(world: World) -> None:
    saga: Saga[Any] = Saga("payout")
    saga.returns(saga.approval("Release the money?", id="release", where='payload.by != input["asked_by"]').output)
    handle = await (await world.conductor()).start(saga, {"asked_by": "eve"})
    question = (await handle.view()).steps[0].waits_for
    assert question is not None
    assert (question.approval, question.round) == ("Release the money?", 0)
    await handle.approve("release", reason="I want it", by="eve")
    with pytest.raises(RequestInvalidError, match="give the reason"):
        await handle.approve("release", reason=" ", by="ann")
    with pytest.raises(RequestRefusedError, match="look at the question again"):
        await handle.approve("release", reason="fine", by="ann", round=1)
    detail = await handle.approve("release", reason="the invoice is right", by="ann", round=question.round)
    assert [each.by for each in detail.signals] == ["eve"]
    assert await handle.result() == {"by": "ann", "reason": "the invoice is right"}


@asynccontextmanager
async def running(postgres_url: str) -> AsyncIterator[SagaHandle[Any]]:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    shop, saga = shop_and_saga()
    async with shop.running(settings) as conductor:
        yield await conductor.start(saga, {"cents": 500})


@pytest.mark.postgres
async def test_on_postgresql_signals_are_kept_repeated_and_taken(postgres_url: str) -> None:
    async with running(postgres_url) as handle:
        kept = await asyncio.gather(
            *(handle.signal("payment", {"cents": each % 2}, request_id=f"p{each % 2}") for each in range(8))
        )
        assert max(len(detail.signals) for detail in kept) == 2
        await handle.signal("payment", PAID, request_id="p3")
        assert await handle.result(timeout_seconds=300) == "shipped for r1"
        again: SagaDetail = await handle.signal("payment", PAID, request_id="p3")
        assert again.status is SagaStatus.COMPLETED
        with pytest.raises(RequestIdReusedError):
            await handle.signal("payment", {}, request_id="p3")
        events = [entry.event for entry in (await handle.history()).entries]
        assert events.count("SignalReceived") == 3


async def test_an_operator_drops_a_signal_that_nobody_takes_and_its_id_stays_known(world: World) -> None:
    shop, saga = shop_and_saga()
    handle = await (await world.conductor(shop)).start(saga, {"cents": 500})
    too_little = {"cents": 1, "receipt": "r0"}
    assert "drop_signal" not in (await handle.signal("payment", too_little, request_id="bank-1")).steps[0].allowed
    assert "drop_signal" in (await handle.view()).allowed
    with pytest.raises(RefusedNowError, match=r"keeps no signal of the id 'bank-2'; .*bank-1"):
        await handle.drop_signal(signal="bank-2", reason="a typing error")
    detail = await handle.drop_signal(signal="bank-1", reason="paid back", by="ann", request_id="drop")
    assert detail.signals == []
    assert "drop_signal" not in detail.allowed
    assert (
        await handle.drop_signal(signal="bank-1", reason="paid back", by="ann", request_id="drop")
    ).revision == detail.revision
    with pytest.raises(RefusedNowError, match="it keeps none"):
        await handle.drop_signal(signal="bank-1", reason="once more")
    assert (await handle.signal("payment", too_little, request_id="bank-1")).revision == detail.revision
    with pytest.raises(RequestIdReusedError):
        await handle.signal("payment", PAID, request_id="bank-1")
    await handle.signal("payment", PAID, request_id="bank-3")
    assert await handle.result() == "shipped for r1"
    with pytest.raises(RefusedNowError, match="allowed now: restart_as_new"):
        await handle.drop_signal(signal="bank-1", reason="too late")


async def test_dropped_signals_make_room_for_others(world: World) -> None:
    shop, saga = shop_and_saga()
    handle = await (await world.conductor(shop)).start(saga, {"cents": 500})
    for number in range(100):
        await handle.signal("payment", {"cents": number}, request_id=f"bank-{number}")
    with pytest.raises(RequestRefusedError, match="or drop others first"):
        await handle.signal("payment", {"cents": 3}, request_id="one more")
    await handle.drop_signal(signal="bank-7", reason="paid back")
    assert len((await handle.signal("payment", {"cents": 3}, request_id="one more")).signals) == 100
