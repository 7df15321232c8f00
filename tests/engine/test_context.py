"""What a step knows of its run, and what it does not know of another's."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, Token
from typing import Any

import pytest

from goconductor import RefusedError, Saga, StepContext
from goconductor.engine.steps.context import Apart
from goconductor.engine.steps.registry import StepRegistry
from goconductor.testing.world import World

TENANT: ContextVar[str] = ContextVar("tenant", default="nobody's")


async def test_what_a_step_sets_is_not_seen_by_the_sagas_next_step_or_its_compensation(world: World) -> None:
    shop = StepRegistry("shop")
    seen = []

    @shop.step
    async def reserve() -> None:
        seen.append(TENANT.get())
        TENANT.set("anna's")
        await asyncio.sleep(0)
        seen.append(TENANT.get())

    @reserve.compensation
    async def put_back() -> None:
        seen.append(TENANT.get())

    @shop.step
    async def note() -> None:
        seen.append(TENANT.get())
        TENANT.set("bert's")

    @shop.step
    def charge() -> None:
        seen.append(TENANT.get())
        raise RefusedError("no")

    await world.node(shop)
    saga: Saga[Any] = Saga("order")
    reserved = saga.step(reserve)
    saga.step(charge, after=[saga.step(note, after=[reserved])], pivot=True)
    state = await world.end_of(await world.start(saga))
    assert state.status == "compensated"
    assert seen == ["nobody's", "anna's", "nobody's", "nobody's", "nobody's"]


async def test_a_compensation_knows_the_actions_key_and_why_the_saga_turned_back(world: World) -> None:
    shop = StepRegistry("shop")
    told: dict[str, tuple[str, str, str]] = {}

    @shop.step
    async def reserve(ctx: StepContext) -> None:
        told["action"] = ctx.idempotency_key, ctx.action_key, ctx.reason

    @reserve.compensation
    async def put_back(ctx: StepContext) -> None:
        told["compensation"] = ctx.idempotency_key, ctx.action_key, ctx.reason

    @shop.step
    async def charge() -> None:
        raise RefusedError("card declined")

    await world.node(shop)
    saga: Saga[Any] = Saga("order")
    saga.step(charge, after=[saga.step(reserve)], pivot=True)
    state = await world.end_of(await world.start(saga))
    key, same, why = told["action"]
    assert (same, why) == (key, "")
    own, of_action, why = told["compensation"]
    assert of_action == key != own
    assert why == state.reason == "step 'charge': RefusedError: card declined"


async def test_apart_what_is_awaited_sees_all_but_leaves_no_variable_behind() -> None:
    TENANT.set("carl's")

    async def inner() -> str:
        assert TENANT.get() == "carl's"
        TENANT.set("dora's")
        async with asyncio.timeout(300):
            await asyncio.gather(asyncio.sleep(0), asyncio.to_thread(TENANT.get))
        return TENANT.get()

    assert (await Apart(inner()), TENANT.get()) == ("dora's", "carl's")


async def test_apart_an_error_and_a_cancellation_pass_through() -> None:
    async def broken() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Apart(broken())

    begun, cleaned = asyncio.Event(), []

    async def waits() -> None:
        token: Token[str] = TENANT.set("emil's")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            TENANT.reset(token)  # only possible in the context that it was set in
            cleaned.append(True)

    async def outer() -> None:
        await Apart(waits())

    running = asyncio.create_task(outer())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert cleaned == [True]


async def test_apart_what_is_never_finished_is_closed() -> None:
    closed = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    waiting = Apart(waits()).__await__()
    next(waiting)
    waiting.close()
    assert closed == [True]
