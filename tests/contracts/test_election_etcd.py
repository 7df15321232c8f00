"""The election by etcd, with the terms in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from goconductor.elections.etcd import EtcdElection
from goconductor.ports.store import Store
from goconductor.testing.contracts.election import Elect, ElectionContract
from tests.contracts.slow_terms import SlowTerms

pytestmark = [pytest.mark.etcd, pytest.mark.postgres]

CLIENT = os.environ.get("GOCONDUCTOR_TEST_ETCD_CLIENT", "aetcd")
"""The library, set by the tests of the other one."""


@pytest.fixture
def group() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def elect(store: Store, etcd_endpoint: str, group: str) -> AsyncIterator[Elect]:
    async with AsyncExitStack() as stack:

        async def open_one() -> EtcdElection:
            election = EtcdElection(store.terms, endpoints=etcd_endpoint, group=group, timeout_seconds=60.0, client=CLIENT)
            stack.push_async_callback(election.close)
            await election.open()
            return election

        yield open_one


class TestEtcdElection(ElectionContract):
    term_seconds = 1.0

    @pytest.fixture
    async def store(self, store: Store) -> Store:
        return store

    @pytest.fixture
    async def elect(self, elect: Elect) -> Elect:
        return elect


async def test_who_stood_still_between_lock_and_epoch_is_refused_by_its_evidence(
    store: Store, elect: Elect, etcd_endpoint: str, group: str
) -> None:
    terms = SlowTerms(store.terms)
    slow, bert = EtcdElection(terms, endpoints=etcd_endpoint, group=group, timeout_seconds=60.0, client=CLIENT), await elect()
    assert isinstance(bert, EtcdElection)
    try:
        stopped = asyncio.create_task(slow.campaign("carl", 3600))
        await terms.asked.wait()
        assert await bert.campaign("bert", 3600) is None
        lock = await bert._client.read(bert._key)
        await bert._client.revoke(lock.lease)  # as if it were over
        new = await bert.campaign("bert", 3600)
        assert new is not None
        terms.go_on.set()
        assert await stopped is None
        assert await store.terms.current() == new
        assert await bert.renew(new, 3600) is not None
    finally:
        await slow.close()
