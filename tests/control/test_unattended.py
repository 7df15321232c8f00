"""Sagas that wait without an end in sight are mended: a step that nobody has the code of, a retry that never ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from goconductor import Retry, TemporaryError
from goconductor.control.actor import ANYBODY, Actor
from goconductor.control.sagas import requests
from goconductor.control.sagas.queries import saga_status
from goconductor.engine.steps.registry import StepRegistry
from goconductor.lifecycle.facts.events import (
    AbortRequested,
    OutcomeDeclared,
    PauseRequested,
    ResumeRequested,
    RetryRequested,
    SkipRequested,
)
from goconductor.lifecycle.requests.catalogue import Request
from goconductor.ports.store import LeaseKey
from goconductor.saga.ids import Direction
from goconductor.saga.writing.builder import Saga
from goconductor.testing.clock import settle
from goconductor.testing.world import World

WITHOUT_END = Retry(attempts_max=None, initial_seconds=30.0, factor=1.0, jitter=0.0)


class Trade:
    """``reserve``, the pivot ``pay`` and ``send``; a service offers those that it is asked to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen: list[str] = []
        self.saga: Saga[Any] = Saga("order")
        reserved = self.saga.step("shop.reserve")
        paid = self.saga.step("shop.pay", after=[reserved], pivot=True)
        self.saga.step("shop.send", after=[paid], retry=WITHOUT_END)
        self.sends = False

    def shop(self, *steps: str) -> StepRegistry:
        shop = StepRegistry("shop")

        async def reserve() -> None:
            self.seen.append("reserve")

        async def pay() -> None:
            self.seen.append("pay")

        async def send() -> str:
            self.seen.append("send")
            if not self.sends:
                raise TemporaryError("no van")
            return "sent"

        for function in (reserve, pay, send):
            if function.__name__ in steps:
                shop.step(function)
        if "reserve" in steps:

            @shop.steps["reserve"].compensation
            async def release() -> None:
                self.seen.append("release")

        return shop

    async def started(self, *steps: str) -> UUID:
        await self.world.node(self.shop(*steps))
        saga_id = await self.world.start(self.saga)
        await settle()
        return saga_id

    async def allowed(self, saga_id: UUID, step: str) -> list[Request]:
        detail = await saga_status(ANYBODY, self.world.nodes[0], saga_id)
        return next(each.allowed for each in detail.steps if each.id == step)


@pytest.fixture
async def trade() -> AsyncIterator[Trade]:
    async with World() as world:
        yield Trade(world)


@pytest.mark.parametrize("paused", [False, True])
async def test_a_pivot_that_nobody_has_is_declared(trade: Trade, paused: bool) -> None:
    saga_id = await trade.started("reserve")
    node = trade.world.nodes[0]
    if paused:
        await requests.ask(ANYBODY, node, saga_id, PauseRequested())
    assert await trade.allowed(saga_id, "pay") == [Request.DECLARE]
    with pytest.raises(requests.RefusedNowError, match="is the pivot: find out whether it happened and declare"):
        await requests.ask(ANYBODY, node, saga_id, SkipRequested("pay", reason="gone", forced=True))
    await requests.ask(Actor("ann"), node, saga_id, OutcomeDeclared("pay", happened=False, reason="the service is gone"))
    if paused:
        await requests.ask(ANYBODY, node, saga_id, ResumeRequested())
    assert (await trade.world.end_of(saga_id)).status == "compensated"
    assert trade.seen == ["reserve", "release"]
    assert await trade.world.store.recovery.leases([saga_id]) == []


@pytest.mark.parametrize("paused", [False, True])
async def test_a_step_after_the_pivot_that_nobody_has_is_skipped_by_force_or_declared(trade: Trade, paused: bool) -> None:
    for way in ("force", "declare"):
        saga_id = await trade.started("reserve", "pay")
        node = trade.world.nodes[0]
        if paused:
            await requests.ask(ANYBODY, node, saga_id, PauseRequested())
        assert await trade.allowed(saga_id, "send") == [Request.SKIP, Request.DECLARE]
        if way == "force":
            detail = await requests.ask(ANYBODY, node, saga_id, SkipRequested("send", reason="gone", forced=True))
        else:
            detail = await requests.ask(
                ANYBODY, node, saga_id, OutcomeDeclared("send", happened=True, output="by hand", reason="sent by hand")
            )
        assert (detail.status, detail.late_effects) == ("completed", way == "force")


async def test_what_a_living_instance_offers_or_runs_is_not_spoken_for(trade: Trade) -> None:
    saga_id = await trade.started("reserve")
    node, store = trade.world.nodes[0], trade.world.store
    await trade.world.node(trade.shop("pay"))
    assert await trade.allowed(saga_id, "pay") == []
    with pytest.raises(requests.RefusedNowError, match="is about to be run: a living instance offers it"):
        await requests.ask(ANYBODY, node, saga_id, OutcomeDeclared("pay", happened=False, reason="looked"))
    assert await store.recovery.leases([saga_id]) == []


async def test_who_begins_a_step_in_the_same_moment_wins(trade: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    saga_id = await trade.started("reserve")
    node, store = trade.world.nodes[0], trade.world.store
    key = LeaseKey(saga_id, "pay", Direction.ACTION, 0)
    acquire = store.leases.acquire

    async def late(wishes: Any) -> Any:
        monkeypatch.setattr(store.leases, "acquire", acquire)
        (wish,) = wishes
        other = await trade.world.node()
        await acquire(
            [
                type(wish)(
                    lease=type(wish.lease)(key=key, instance=other.instance.serial, token=7), lease_seconds=60, known=wish.known
                )
            ]
        )
        return await acquire(wishes)

    monkeypatch.setattr(store.leases, "acquire", late)
    with pytest.raises(requests.RefusedNowError, match="has just been begun; wait for its outcome"):
        await requests.ask(ANYBODY, node, saga_id, OutcomeDeclared("pay", happened=False, reason="looked"))
    assert [lease.token for lease in await store.recovery.leases([saga_id])] == [7]


async def test_an_endless_retry_after_the_pivot_is_tried_at_once_skipped_or_declared(trade: Trade) -> None:
    saga_id = await trade.started("reserve", "pay", "send")
    node = trade.world.nodes[0]
    assert await trade.allowed(saga_id, "send") == [Request.RETRY, Request.SKIP, Request.DECLARE]
    await requests.ask(Actor("ann"), node, saga_id, RetryRequested("send"))
    await settle()
    assert trade.seen.count("send") == 2
    skipped = await requests.ask(ANYBODY, node, saga_id, SkipRequested("send", reason="no van today", forced=True))
    assert (skipped.status, skipped.late_effects) == ("completed", True)
    other = await trade.world.start(trade.saga)
    await settle()
    trade.sends = True
    await requests.ask(ANYBODY, node, other, RetryRequested("send"))
    assert (await trade.world.end_of(other)).outputs()["send"] == "sent"


async def test_an_abort_goes_past_a_step_that_nobody_has(trade: Trade) -> None:
    saga_id = await trade.started()  # not even the first one is offered
    node = trade.world.nodes[0]
    await requests.ask(ANYBODY, node, saga_id, AbortRequested(reason="gone"))
    await trade.world.live(60)  # the leader declares the action unknown: its compensation waits for nobody
    assert await trade.allowed(saga_id, "reserve") == [Request.SKIP, Request.DECLARE]
    detail = await requests.ask(ANYBODY, node, saga_id, SkipRequested("reserve", reason="the service is gone", forced=True))
    assert (detail.status, detail.late_effects) == ("compensated", True)


async def test_a_first_step_that_nobody_has_is_declared_and_who_would_skip_it_is_told_what_to_do(trade: Trade) -> None:
    saga_id = await trade.started()
    node = trade.world.nodes[0]
    assert await trade.allowed(saga_id, "reserve") == [Request.DECLARE]
    with pytest.raises(requests.RefusedNowError, match="or declare the step's outcome; allowed now: "):
        await requests.ask(ANYBODY, node, saga_id, SkipRequested("reserve", reason="gone", forced=True))
    declared = OutcomeDeclared("reserve", happened=False, reason="the service is gone")
    assert (await requests.ask(ANYBODY, node, saga_id, declared)).status == "compensated"
