"""A saga is paused with its children on PostgreSQL: what a child has out is recorded, and both go on together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from goconductor import Participant, RequestRefusedError, Saga, Settings, connect
from goconductor.app import migrate
from goconductor.control.doors.handles.saga import SagaHandle
from goconductor.control.models import SagaDetail

pytestmark = pytest.mark.postgres

POLL_SECONDS = 0.05
"""Seconds between two looks at what another process, or a task, is about to do."""


async def until(handle: SagaHandle[Any], holds: Callable[[SagaDetail], bool]) -> SagaDetail:
    """Return a saga when something holds of it; the suite's own limit ends a wait in vain."""
    while not holds(detail := await handle.view()):  # noqa: ASYNC110  (what it waits for stands in the database)
        await asyncio.sleep(POLL_SECONDS)
    return detail


async def test_a_child_pauses_and_goes_on_with_its_parent(postgres_url: str) -> None:
    settings = Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": postgres_url})
    await migrate(settings)
    parcel: Saga[Any, Any] = Saga("parcel")
    packed = parcel.step("shop.pack")
    parcel.returns(parcel.step("shop.label", after=[packed]).output)
    order: Saga[Any, Any] = Saga("order")
    order.returns(order.saga(parcel).output)
    shop, begun, goes_on = Participant("shop"), asyncio.Event(), asyncio.Event()

    @shop.step
    async def pack() -> None:
        begun.set()
        await goes_on.wait()

    @shop.step
    async def label() -> str:
        return "labelled"

    async with connect(settings) as conductor, shop.running(settings):
        handle = await conductor.start(order, None)
        await begun.wait()
        (found,) = (await conductor.sagas(saga="parcel")).sagas
        child = conductor.saga(found.saga_id)
        await handle.pause(children=True, reason="stocktaking")
        await until(child, lambda saga: saga.status == "paused")
        goes_on.set()
        paused = await until(child, lambda saga: saga.steps[0].status == "succeeded")
        assert (paused.status, paused.steps[1].status, paused.steps[1].attempt) == ("paused", "pending", 0)
        with pytest.raises(RequestRefusedError, match=f"is paused with saga {handle.saga_id}"):
            await child.resume()
        await handle.resume()
        assert await handle.result(timeout_seconds=300) == "labelled"
        events = [entry.event for entry in (await child.history()).entries]
        assert [each for each in events if "With" in each] == ["PausedWithParent", "ResumedWithParent"]
