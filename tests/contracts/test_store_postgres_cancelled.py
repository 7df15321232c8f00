"""Calls that are cancelled in the middle of a transaction, as a door's are: the next one finds a connection that it can use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from goconductor.ports.store import StoredDefinition
from goconductor.stores.postgres import PostgresStore
from goconductor.testing.contracts.store.material import lead
from tests.contracts.patient_store import PATIENT

pytestmark = pytest.mark.postgres

TURNS = 30
"""Turns of the loop after which a call is cancelled: the first in the middle of BEGIN, the last when it is over."""


def definition(version: str) -> StoredDefinition:
    return StoredDefinition(namespace="default", saga="order", version=version, document=b"{}")


async def put(store: PostgresStore) -> None:
    await store.definitions.put(definition(uuid4().hex), activate=True)


async def supersede(store: PostgresStore) -> None:
    await store.definitions.supersede(definition(uuid4().hex), made_of=None)


async def mark_dead(store: PostgresStore) -> None:
    await store.instances.mark_dead(1, epoch=await lead(store))


@pytest.fixture
async def other(store: PostgresStore, postgres_url: str) -> AsyncIterator[PostgresStore]:
    other = PostgresStore(postgres_url, **PATIENT)
    await other.open()
    yield other
    await other.close()


@pytest.mark.parametrize("call", [put, supersede, mark_dead])
async def test_what_comes_after_a_cancelled_transaction_is_kept(
    store: PostgresStore, other: PostgresStore, call: Callable[[PostgresStore], Awaitable[None]]
) -> None:
    for turns in range(TURNS):
        task = asyncio.ensure_future(call(store))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        version = uuid4().hex
        await store.definitions.put(definition(version), activate=False)
        assert await other.definitions.get("default", "order", version) is not None, f"cancelled after {turns} turns"
