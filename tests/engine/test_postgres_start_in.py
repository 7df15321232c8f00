"""A saga started in the caller's own transaction begins after its commit: at once where it is asked to, soon in any case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from goconductor import (
    Conductor,
    Listener,
    Participant,
    PayloadError,
    Saga,
    SagaAlreadyStartedError,
    SagaNotFoundError,
    Settings,
    connect,
)
from goconductor.app import migrate
from goconductor.errors import ConfigurationError
from goconductor.testing.world import World
from tests.contracts.callers import CALLERS, TakenBackError

pytestmark = pytest.mark.postgres

SELDOM = {"GOCONDUCTOR_RECOVERY_SWEEP_INTERVAL_SECONDS": "3600"}
"""So seldom that what happens in a test is not the sweep's doing."""


class Heard(Listener):
    def __init__(self) -> None:
        self.started: list[tuple[UUID, str]] = []

    def saga_started(self, saga_id: UUID, saga: str) -> None:
        self.started.append((saga_id, saga))


class Shop:
    def __init__(self, url: str) -> None:
        self.url = url
        self.heard = Heard()
        self.participant = Participant("shop")
        self.participant.listen(self.heard)

        @self.participant.step
        async def pack(what: str) -> str:
            return f"packed {what}"

        self.saga: Saga[Any] = Saga("order")
        self.saga.returns(self.saga.step(pack, inputs={"what": self.saga.input}).output)

    def settings(self, **more: str) -> Settings:
        return Settings.load(environ={"GOCONDUCTOR_DATABASE_URL": self.url, **more})


@pytest.fixture(params=["goconductor", "sagas_of_the_shop"])
def schema(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def shop(postgres_url: str) -> Shop:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE orders (id int)")
    await connection.close()
    shop = Shop(postgres_url)
    await migrate(shop.settings())
    return shop


@pytest.fixture
async def conductor(shop: Shop) -> AsyncIterator[Conductor]:
    """Of a participant whose leader's sweep comes too seldom to help."""
    async with shop.participant.running(shop.settings(**SELDOM)) as conductor:
        while await conductor._node.store.recovery.last_sweep() is None:  # the first sweep has passed then
            pass
        yield conductor


@pytest.mark.parametrize("kind", CALLERS)
async def test_an_order_and_its_saga_begin_together(shop: Shop, conductor: Conductor, kind: str) -> None:
    async with CALLERS[kind](shop.url) as caller:
        await caller.execute("INSERT INTO orders VALUES (17)")
        handle = await conductor.start(shop.saga, "tea", key="order-17", labels={"a": "b"}, transaction=caller.tx)
        assert handle.existing is False
        with pytest.raises(SagaNotFoundError):
            await handle.view()
        with pytest.raises(SagaNotFoundError, match="not committed yet, or was rolled back"):
            await handle.begin()
        assert shop.heard.started == []
    await handle.begin()
    await handle.begin()
    assert shop.heard.started == [(handle.saga_id, "order")]
    assert await conductor.saga(handle.saga_id).result(timeout_seconds=300) == "packed tea"


async def test_waiting_for_the_result_begins_it_too(shop: Shop, conductor: Conductor) -> None:
    async with CALLERS["asyncpg"](shop.url) as caller:
        handle = await conductor.start(shop.saga, "tea", transaction=caller.tx)
        with pytest.raises(SagaNotFoundError, match="not committed yet"):
            await handle.result(timeout_seconds=300)
    assert await handle.result(timeout_seconds=300) == "packed tea"


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg", "session-asyncpg"])
async def test_a_transaction_that_is_rolled_back_leaves_nothing_its_key_included(
    shop: Shop, conductor: Conductor, kind: str
) -> None:
    started = []
    with pytest.raises(TakenBackError):  # noqa: PT012 - it is the block that is left by it
        async with CALLERS[kind](shop.url) as caller:
            started.append(await conductor.start(shop.saga, "tea", key="order-17", transaction=caller.tx))
            raise TakenBackError
    with pytest.raises(SagaNotFoundError, match="rolled back"):
        await started[0].begin()
    again = await conductor.start(shop.saga, "coffee", key="order-17")
    assert again.existing is False
    assert await again.result(timeout_seconds=300) == "packed coffee"


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg", "session-asyncpg"])
async def test_the_same_key_finds_the_same_saga_and_other_input_is_refused(shop: Shop, conductor: Conductor, kind: str) -> None:
    async with CALLERS[kind](shop.url) as caller:
        first = await conductor.start(shop.saga, "tea", key="order-17", transaction=caller.tx)
        second = await conductor.start(shop.saga, "tea", key="order-17", transaction=caller.tx)
        assert (second.saga_id, second.existing) == (first.saga_id, True)
        with pytest.raises(SagaAlreadyStartedError, match="other input"):
            await conductor.start(shop.saga, "coffee", key="order-17", transaction=caller.tx)
        await caller.execute("INSERT INTO orders VALUES (17)")
    assert await second.result(timeout_seconds=300) == "packed tea"
    later = await conductor.start(shop.saga, "tea", key="order-17")
    assert (later.saga_id, later.existing) == (first.saga_id, True)


async def test_another_start_with_the_same_key_waits_for_the_transaction(shop: Shop, conductor: Conductor) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with CALLERS["psycopg"](shop.url) as caller, asyncpg.create_pool(shop.url, min_size=1) as onlooker:
        handle = await conductor.start(shop.saga, "tea", key="order-17", transaction=caller.tx)
        other = asyncio.create_task(conductor.start(shop.saga, "tea", key="order-17"))
        while not await onlooker.fetchval(waiting):
            assert not other.done()
        await caller.tx.commit()
        found = await other
    assert (found.saga_id, found.existing) == (handle.saga_id, True)
    assert await handle.result(timeout_seconds=300) == "packed tea"


async def test_it_is_due_from_its_first_moment(shop: Shop, conductor: Conductor) -> None:
    async with CALLERS["connection-asyncpg"](shop.url) as caller:
        handle = await conductor.start(shop.saga, "tea", transaction=caller.tx)
    [due] = await conductor._node.store.recovery.due(10)
    assert due.saga_id == handle.saga_id
    assert await handle.result(timeout_seconds=300) == "packed tea"


async def test_what_cannot_be_kept_is_refused_and_the_transaction_goes_on(shop: Shop, conductor: Conductor) -> None:
    async with CALLERS["asyncpg"](shop.url) as caller:
        with pytest.raises(PayloadError):
            await conductor.start(shop.saga, "a\0b", transaction=caller.tx)
        with pytest.raises(TypeError, match="asyncpg connection"):
            await conductor.start(shop.saga, "tea", transaction="caller.tx")  # type: ignore[call-overload]
        handle = await conductor.start("order", "tea", transaction=caller.tx)
    assert await handle.result(timeout_seconds=300) == "packed tea"


async def test_it_begins_soon_although_its_client_was_gone_after_the_commit(shop: Shop, schema: str) -> None:
    settings = shop.settings(GOCONDUCTOR_DATABASE_SCHEMA_NAME=schema)
    await migrate(settings)
    async with shop.participant.running(settings) as conductor:
        async with connect(settings) as client, CALLERS["session-psycopg"](shop.url) as caller:
            await caller.execute("INSERT INTO orders VALUES (17)")
            handle = await client.start(shop.saga, "tea", key="order-17", transaction=caller.tx)
        assert await conductor.saga(handle.saga_id).result(timeout_seconds=300) == "packed tea"
        assert conductor._node.counts["sweep_resent"] >= 1


async def test_a_log_in_memory_refuses_a_transaction(world: World, postgres_url: str) -> None:
    shop = Shop(postgres_url)
    conductor = Conductor(await world.node(shop.participant))
    async with CALLERS["asyncpg"](postgres_url) as caller:
        with pytest.raises(ConfigurationError, match=r"'order' cannot start .* its log is in memory"):
            await conductor.start(shop.saga, "tea", transaction=caller.tx)
