"""Sagas that begin in a transaction of code that blocks, by the blocking client: what belongs to a thread is found on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connections
from django.db.transaction import atomic
from django.utils.connection import ConnectionProxy
from sqlalchemy import text
from sqlalchemy.orm import scoped_session, sessionmaker

from goconductor import Participant, Saga, SagaNotFoundError, Settings
from goconductor.app import migrate
from goconductor.blocking import BlockingConductor, connect
from tests.contracts.callers import TakenBackError, blocking_engine_of, django_alias

pytestmark = pytest.mark.postgres

shop = Participant("shop")


@shop.step
def pack(what: str) -> str:
    return f"packed {what}"


order = Saga("order")
order.returns(order.step(pack, inputs={"what": order.input}).output)


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    """The sweep comes so seldom that what happens in a test is not its doing."""
    settings = Settings.model_validate({"database": {"url": postgres_url}, "recovery": {"sweep_interval_seconds": 3600}})
    asyncio.run(migrate(settings))
    return settings


@pytest.fixture
def sagas(settings: Settings) -> Iterator[BlockingConductor]:
    with connect(settings) as client:
        yield client


def test_a_scoped_session_is_that_of_the_calling_thread(sagas: BlockingConductor, postgres_url: str) -> None:
    both = Barrier(2)
    with blocking_engine_of(postgres_url) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE orders (number int)"))
        session = scoped_session(sessionmaker(engine))

        def buy(number: int) -> UUID:
            try:
                session.execute(text("INSERT INTO orders VALUES (:number)"), {"number": number})
                started = sagas.start("order", "tea", key=f"order-{number}", transaction=session)
                both.wait(300)  # each has its own transaction, open at the same time
                if number == 1:
                    session.commit()
                return started.saga_id
            finally:
                session.remove()  # which rolls back what is not committed

        sagas.start(order, "the definition is registered")
        with ThreadPoolExecutor(2) as threads:
            kept, gone = threads.map(buy, [1, 2])
        assert sagas.find(order, key="order-1").saga_id == kept
        with pytest.raises(SagaNotFoundError):
            sagas.saga(gone).view()
        with engine.connect() as connection:
            assert connection.execute(text("SELECT number FROM orders")).scalars().all() == [1]


def test_a_saga_begins_with_djangos_transaction_and_at_once_where_it_is_asked_to(
    settings: Settings, sagas: BlockingConductor, postgres_url: str
) -> None:
    def in_a_view() -> object:
        with django_alias(postgres_url) as alias:
            connection = ConnectionProxy(connections, alias)  # as ``django.db.connection`` is one
            with pytest.raises(TakenBackError), atomic(using=alias):  # noqa: PT012 - it is the block that is left by it
                sagas.start(order, "coffee", key="order-1", transaction=connection)
                raise TakenBackError
            with atomic(using=alias):
                bought = sagas.start(order, "tea", key="order-1", transaction=connection)
                with pytest.raises(SagaNotFoundError):
                    bought.begin()
            bought.begin()
            return bought.result(timeout_seconds=300)

    async def main() -> object:
        async with shop.running(settings):
            return await asyncio.to_thread(in_a_view)

    assert asyncio.run(main()) == "packed tea"
