"""Two primaries, of which nobody stops the old one: who only reads leaves it all the same, and denies nothing before."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest

from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Known
from goconductor.postgres import lookout
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.contracts.store.material import begin, eventually
from goconductor.testing.faults import CuttableProxy
from tests.servers.fixtures.primaries import Primaries

pytestmark = pytest.mark.postgres


async def opened(url: str, stack: AsyncExitStack) -> PostgresStore:
    store = PostgresStore(url)
    await store.open()
    stack.push_async_callback(store.close)
    return store


async def port_of(store: PostgresStore) -> str:
    async with store._others.use() as connection:
        return str(await connection.fetchval("SHOW port"))


async def test_who_only_reads_comes_to_the_new_primary(primaries: Primaries) -> None:
    async with AsyncExitStack() as stack:
        store = await opened(primaries.url, stack)
        assert await port_of(store) == str(primaries.old.port)

        async def has_left() -> bool:
            try:
                await store.sagas.heads()  # no commit, which could hang
                return await port_of(store) == str(primaries.new.port)
            except StoreUnavailableError:
                return False

        await eventually(has_left)
        async with store._for_acquire.use() as connection:
            assert await connection.fetchval("SHOW port") == str(primaries.new.port)


@pytest.mark.parametrize("asked", ["tail", "key"])
async def test_nothing_is_said_to_be_absent_by_an_old_primary(
    primaries: Primaries, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 1e6)
    async with AsyncExitStack() as stack:
        store = await opened(primaries.url, stack)
        assert await port_of(store) == str(primaries.old.port)
        elsewhere = await opened(primaries.new.url(), stack)  # as another process, which is there already
        saga = await begin(elsewhere, key="told", input_hash=b"0" * 32)

        async def found() -> bool:
            if asked == "key":
                return await store.sagas.started(DEFAULT_NAMESPACE, "order", "told") == saga.saga_id
            [tail] = await store.log.read([Known(saga.saga_id)])
            return tail.head is not None

        with pytest.raises(StoreUnavailableError, match="new primary"):
            await found()
        assert await found()


async def test_absence_needs_one_look_for_all_who_ask_at_one_time(primaries: Primaries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 1e6)
    primaries.old.stop()
    goal = urlsplit(primaries.new.url())
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(CuttableProxy("127.0.0.1", primaries.new.port))
        store = await opened(goal._replace(netloc=f"{goal.netloc},127.0.0.1:{other.port}").geturl(), stack)
        unknown = (await begin(store)).saga_id
        [tail] = await store.log.read([Known(unknown)])
        assert tail.head is not None
        assert other.accepted == 0
        gone = unknown.__class__(int=unknown.int + 1)
        assert await asyncio.gather(*(store.sagas.head(gone) for _ in range(20))) == [None] * 20
        assert 1 <= other.accepted < 20  # four ask at once, and those that ask meanwhile share the next


async def test_one_server_is_not_dialled_again(postgres_url: str) -> None:
    await migrate(postgres_url)
    parts = urlsplit(postgres_url)
    async with CuttableProxy("127.0.0.1", parts.port or 5432) as proxy, AsyncExitStack() as stack:
        user = parts.netloc.rpartition("@")[0]
        store = await opened(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl(), stack)
        saga = await begin(store)
        assert await store.sagas.head(saga.saga_id) is not None
        before = proxy.accepted
        assert await store.sagas.head(saga.saga_id.__class__(int=1)) is None
        assert proxy.accepted == before
