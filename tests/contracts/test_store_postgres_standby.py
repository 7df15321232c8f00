"""A real standby, asynchronous, that is promoted before it has everything: what it took is told, and the rest goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from goconductor import Saga
from goconductor.buses.memory import MemoryBroker, MemoryBus
from goconductor.control.doctor.failovers import of_failovers
from goconductor.engine.node import Node
from goconductor.engine.steps.registry import StepRegistry
from goconductor.errors import SagaNotFoundError
from goconductor.saga.writing.builder import Saga as SagaOf
from goconductor.stores.postgres import PostgresStore
from goconductor.testing.contracts.store.material import eventually
from tests.servers.fixtures.primaries import Primaries, Streaming

pytestmark = pytest.mark.postgres

SAGAS = 3


@asynccontextmanager
async def shop(url: str) -> AsyncIterator[Node]:
    registry = StepRegistry("shop")

    @registry.step
    async def pack() -> str:
        return "packed"

    saga: SagaOf[Any] = Saga("order")
    saga.step(pack)
    node = Node(store=PostgresStore(url), bus=MemoryBus(MemoryBroker()), registry=registry)
    await node.open()
    try:
        await node.definitions.register(saga.definition)
        yield node
    finally:
        await node.close()


async def completed(node: Node) -> list[UUID]:
    """Some sagas whose callers were told that they are completed."""
    started = [(await node.starting.start("order", None)).saga_id for _ in range(SAGAS)]
    for saga_id in started:
        assert (await node.wait_for_end(saga_id, 300)).status == "completed"
    return started


async def test_a_promoted_standby_that_lagged_behind_is_told_what_living_processes_know(
    streaming: Streaming, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "goconductor.engine")
    async with shop(streaming.url) as node:
        kept = await completed(node)
        await asyncio.to_thread(streaming.catch_up)
        await asyncio.to_thread(streaming.cut_off)
        lost = await completed(node)
        await asyncio.to_thread(streaming.fail_over)

        async def is_noted() -> bool:
            return node.counts["commits_missing"] == SAGAS

        await eventually(is_noted)
        losses = await node.store.failovers.losses(100)
        assert {each.saga_id: each.status for each in losses} == dict.fromkeys(lost, "completed")
        assert f"a failover lost {SAGAS} acknowledged commits" in caplog.text
        check = await of_failovers(node.store, await node.store.terms.database_time())
        assert f"{SAGAS} acknowledged commits" in check.findings[0].what
        for saga_id in kept:
            assert (await node.view(saga_id)).state.status == "completed"
        for saga_id in lost:
            with pytest.raises(SagaNotFoundError):
                await node.view(saga_id)
        assert await completed(node)


async def test_of_what_only_dead_processes_knew_both_timelines_and_the_time_between_are_told(streaming: Streaming) -> None:
    url = streaming.url
    async with shop(url) as node:
        await completed(node)
        await asyncio.to_thread(streaming.catch_up)
        await asyncio.to_thread(streaming.cut_off)
        cut_at = await node.store.terms.database_time()
        await completed(node)
    await asyncio.to_thread(streaming.fail_over)
    store = PostgresStore(url)
    await store.open()
    try:
        assert await store.failovers.losses(100) == []
        before, after = await store.failovers.timelines()
        assert after.number == before.number + 1
        assert after.replayed_until is not None
        assert after.replayed_until <= cut_at < after.seen_at
    finally:
        await store.close()


async def test_the_doctor_looks_at_the_primary_whichever_host_is_named_first(streaming: Streaming) -> None:
    both = PostgresStore(Primaries(streaming.standby, streaming.primary).url)
    assert not (await both.examine(older_than_seconds=60)).read_only
    alone = PostgresStore(streaming.standby.url())
    assert (await alone.examine(older_than_seconds=60)).read_only
