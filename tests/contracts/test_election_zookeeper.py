"""The election by ZooKeeper, with the terms in PostgreSQL."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from kazoo.client import KazooClient

from goconductor.elections.zookeeper import ZooKeeperElection
from goconductor.ports.store import Store
from goconductor.testing.contracts.election import Elect, ElectionContract
from tests.contracts.slow_terms import SlowTerms

pytestmark = [pytest.mark.zookeeper, pytest.mark.postgres]

PATIENT: dict[str, Any] = {"timeout_seconds": 60.0, "session_seconds": 60.0}
"""A session that outlasts whatever stops us or the server on a busy machine; nothing here waits for its end."""


@pytest.fixture
def group() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def elect(store: Store, zookeeper_host: str, group: str) -> AsyncIterator[Elect]:
    async with AsyncExitStack() as stack:

        async def open_one() -> ZooKeeperElection:
            election = ZooKeeperElection(store.terms, hosts=zookeeper_host, group=group, **PATIENT)
            stack.push_async_callback(election.close)
            await election.open()
            return election

        yield open_one


class TestZooKeeperElection(ElectionContract):
    term_seconds = 1.0

    @pytest.fixture
    async def store(self, store: Store) -> Store:
        return store

    @pytest.fixture
    async def elect(self, elect: Elect) -> Elect:
        return elect


async def test_who_stood_still_between_lock_and_epoch_is_refused_by_its_evidence(
    store: Store, elect: Elect, zookeeper_host: str, group: str
) -> None:
    terms = SlowTerms(store.terms)
    slow, bert = ZooKeeperElection(terms, hosts=zookeeper_host, group=group, **PATIENT), await elect()
    onlooker = KazooClient(zookeeper_host)
    try:
        stopped = asyncio.create_task(slow.campaign("carl", 1.0))
        await terms.asked.wait()
        assert await bert.campaign("bert", 3600) is None
        await asyncio.to_thread(onlooker.start)
        (node,) = await asyncio.to_thread(onlooker.get_children, f"/{group}/election")
        await asyncio.to_thread(onlooker.delete, f"/{group}/election/{node}")  # as if its session were over
        new = await bert.campaign("bert", 3600)
        assert new is not None
        terms.go_on.set()
        assert await stopped is None
        assert await store.terms.current() == new
        assert await bert.renew(new, 3600) is not None
    finally:
        await asyncio.to_thread(onlooker.stop)
        await asyncio.to_thread(onlooker.close)
        await slow.close()
