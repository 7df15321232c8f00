"""Two primaries, of which nobody stops the old one: who only reads leaves it all the same, and denies nothing before."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import pytest

from goconductor.errors import StoreUnavailableError
from goconductor.ports.store import Known
from goconductor.postgres import lookout
from goconductor.postgres.dialling import Address, Connection
from goconductor.postgres.lookout import Lookout
from goconductor.saga.ids import DEFAULT_NAMESPACE
from goconductor.stores.postgres import PostgresStore, migrate
from goconductor.testing.clock import settle
from goconductor.testing.contracts.store.material import begin, eventually
from goconductor.testing.faults import CuttableProxy
from goconductor.testing.postgres import PostgresServer
from tests.conftest import SETTINGS
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
        before = other.accepted
        assert await store.sagas.started(DEFAULT_NAMESPACE, "order", "never", sure=False) is None
        assert other.accepted == before  # who need not be sure costs no look


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


async def test_a_primary_that_is_no_copy_of_ours_is_nothing_to_a_look(
    primaries: Primaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a standby that was made anew by mistake: with a beginning of its own."""
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 1e6)
    primaries.new.stop()
    with PostgresServer(primaries.old.kind, folder=tmp_path / "foreign", settings=SETTINGS) as foreign:
        foreign.query(f"ALTER ROLE postgres PASSWORD '{urlsplit(primaries.old.url()).password}'")
        async with AsyncExitStack() as stack:
            store = await opened(Primaries(primaries.old, foreign).url, stack)
            before = store._address.cluster
            await store._address.look()
            assert store._address.cluster == before
            assert store.failovers.present == 1


async def test_who_shares_a_look_that_is_given_up_looks_for_itself() -> None:
    looks, turns = 0, asyncio.Semaphore(0)

    class Old(Address):
        async def look(self, *, patient: bool = True) -> None:
            nonlocal looks
            looks += 1
            await turns.acquire()

    address = Old("postgresql://a,b/db", application_name="x")
    address.has_others = True
    sharing = Lookout(address)
    connection = cast("Connection", SimpleNamespace(is_closed=lambda: False))
    first, given_up, last = (asyncio.create_task(sharing.confirm_absence(connection)) for _ in range(3))
    await settle()
    assert looks == 1
    turns.release()
    await first
    await settle()
    given_up.cancel()
    turns.release()
    await last
    assert looks == 3
