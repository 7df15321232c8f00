"""The public API as users type it. Never run: mypy and pyright read it, and each mistake below must be one for them.

A line that ends in an ignore is wrong on purpose; strict mypy complains if it were not (``warn_unused_ignores``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type
from uuid import UUID

import asyncpg
import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session

from goconductor import (
    Action,
    Conductor,
    Listener,
    Participant,
    Retry,
    Saga,
    SagaDetail,
    SagaHandle,
    SagaSummary,
    Settings,
    StepContext,
    connect,
)
from goconductor.blocking import BlockingConductor, BlockingSaga
from goconductor.journals import AsyncpgJournal, MemoryJournal, MemoryTransaction, PsycopgJournal, SqlalchemyJournal
from goconductor.testing import ManualClock, World


@dataclass
class Order:
    id: str
    amount: int


@dataclass
class Receipt:
    number: str


journal = MemoryJournal()
payments = Participant("payments", concurrency=10)


@payments.step
async def charge(order_id: str, amount: int, ctx: StepContext) -> Receipt:
    assert_type(ctx.saga_id, UUID)
    assert_type(ctx.seconds_left, float)
    ctx.logger.info("charging")
    return Receipt(order_id)


@charge.compensation
async def refund(order_id: str, receipt: Receipt | None) -> None: ...


@payments.step(retry=Retry(attempts_max=5), timeout="10s", concurrency=3)
def note(order_id: str) -> dict[str, str]:
    return {"order": order_id}


@payments.step
async def look_up(order_id: str) -> dict[str, Any]:
    return {"order": order_id}


@look_up.compensation
async def forget(order_id: str) -> None: ...  # its decorator counts as typed, whatever the step returns


@payments.step(transaction=journal, name="book-it")
async def book(tx: MemoryTransaction, receipt: Receipt) -> int:
    tx["booked"] = receipt.number
    return 1


@book.compensation
async def unbook(tx: MemoryTransaction, number: int | None) -> None: ...


@payments.step(transaction=journal)  # type: ignore[arg-type]
async def without_transaction(receipt: Receipt) -> int:
    return 1


@payments.step(transaction=journal)  # type: ignore[arg-type]
def blocking(tx: MemoryTransaction) -> int:
    return 1


class OurSession(AsyncSession): ...


async def use_journals(engine: AsyncEngine, sessions: async_sessionmaker[OurSession]) -> None:
    by_asyncpg = AsyncpgJournal("postgresql://…")
    by_psycopg = PsycopgJournal("postgresql://…")
    by_connection = SqlalchemyJournal(engine)
    by_session = SqlalchemyJournal(sessions)
    assert_type(by_connection, SqlalchemyJournal[AsyncConnection])
    assert_type(SqlalchemyJournal("postgresql://…"), SqlalchemyJournal[AsyncConnection])
    assert_type(by_session, SqlalchemyJournal[OurSession])
    ledger = Participant("ledger")

    @ledger.step(transaction=by_asyncpg)
    async def one(tx: asyncpg.Connection[asyncpg.Record], receipt: Receipt) -> int:
        return 1

    assert_type(await one(Receipt("r")), int)

    @ledger.step(transaction=by_psycopg)
    async def two(tx: psycopg.AsyncConnection[tuple[Any, ...]], receipt: Receipt) -> int:
        return 1

    assert_type(await two(Receipt("r")), int)

    @ledger.step(transaction=by_connection)
    async def three(tx: AsyncConnection, receipt: Receipt) -> int:
        return 1

    assert_type(await three(Receipt("r")), int)

    @ledger.step(transaction=by_session)
    async def four(tx: OurSession, receipt: Receipt) -> int:
        return 1

    assert_type(await four(Receipt("r")), int)

    @ledger.step(transaction=by_session)
    async def five(tx: AsyncSession, receipt: Receipt) -> int:
        return 1

    @ledger.step(transaction=by_session)  # type: ignore[arg-type]
    async def not_a_session(tx: AsyncConnection, receipt: Receipt) -> int:
        return 1

    @ledger.step(transaction=by_connection)  # type: ignore[arg-type]
    async def not_a_connection(tx: AsyncSession, receipt: Receipt) -> int:
        return 1

    @ledger.step(transaction=by_psycopg)  # type: ignore[arg-type]
    async def not_psycopgs(tx: asyncpg.Connection[asyncpg.Record], receipt: Receipt) -> int:
        return 1

    PsycopgJournal(engine)  # type: ignore[arg-type]
    SqlalchemyJournal(1)  # type: ignore[call-overload]


order = Saga("order", input=Order, timeout="1h")
charged = order.step(charge, inputs={"order_id": order.input.id, "amount": order.input.amount})
booked = order.step(book, inputs={"receipt": charged.output}, pivot=True)
shipped = order.step("shipping.ship", output=Receipt, inputs={"number": charged.output.number}, when="input.amount > 0")
anything = order.step("shipping.label", after=[shipped])
sale = order.returns(charged.output)
assert_type(sale, Saga[Order, Receipt])
assert_type(order.returns(shipped.output.number), Saga[Order, str])
assert_type(charged.output, Receipt)
assert_type(booked.output, int)
assert_type(Saga("plain").step(note, inputs={"order_id": "o"}).output, dict[str, str])
assert_type(shipped.output, Receipt)
assert_type(anything.output, Any)
order.input.nothing  # type: ignore[attr-defined]  # noqa: B018
charged.output.nothing  # type: ignore[attr-defined]  # noqa: B018


class Log(Listener):
    async def before_step(self, context: StepContext) -> None: ...

    def on_error(self, context: StepContext, error: BaseException) -> None: ...


payments.listen(Log())


async def use() -> None:
    assert_type(await charge("o", 1, ctx=_context()), Receipt)
    assert_type(note("o"), dict[str, str])
    assert_type(await book(Receipt("r")), int)
    await charge(1, 1, _context())  # type: ignore[arg-type]
    action: Action[..., Receipt] = charge
    del action
    async with connect(Settings.load()) as client:
        assert_type(client, Conductor)
        handle = await client.start(order, Order("o1", 500), key="o1", labels={"tenant": "a"})
        assert_type(handle, SagaHandle[Any])
        assert_type(await client.start(sale, Order("o1", 500)), SagaHandle[Receipt])
        assert_type(handle.existing, bool)
        await client.start(order, {"id": "o1"})  # type: ignore[misc]
        await client.start("order", {"id": "o1"})
        assert_type(await client.saga(handle.saga_id, sale).result(timeout_seconds=5), Receipt)
        assert_type(await (await client.find(sale, key="o1")).result(), Receipt)
        assert_type(await client.find("order", key="o1"), SagaHandle[Any])
        assert_type(await client.saga(handle.saga_id).view(), SagaDetail)
        assert_type(await handle.abort(reason="cancelled", by="ann"), SagaDetail)
        assert_type((await client.sagas(saga=sale, status="stuck")).sagas, list[SagaSummary])
        await handle.skip("charge")  # type: ignore[call-arg]
    async with payments.running() as conductor:
        assert_type(conductor, Conductor)
    await payments.run()


def use_blocking(
    client: BlockingConductor,
    session: Session,
    scoped: scoped_session[Session],
    connection: psycopg.Connection[Any],
    asynchronous: AsyncSession,
) -> None:
    handle = client.start(sale, Order("o1", 500), key="o1", labels={"tenant": "a"})
    assert_type(handle, BlockingSaga[Receipt])
    assert_type(handle.result(timeout_seconds=5), Receipt)
    assert_type(client.saga(handle.saga_id, sale).view(), SagaDetail)
    assert_type(client.find("order", key="o1"), BlockingSaga[Any])
    assert_type(client.sagas(saga="order").sagas, list[SagaSummary])
    client.start(order, {"id": "o1"})  # type: ignore[misc]
    for transaction in (session, scoped, connection):
        client.start("order", {}, transaction=transaction).begin()
    client.start("order", {}, transaction=asynchronous)  # type: ignore[call-overload]
    handle.skip("charge")  # type: ignore[call-arg]


async def use_in_transactions(
    client: Conductor,
    connection: asyncpg.Connection[asyncpg.Record],
    pool: asyncpg.Pool[asyncpg.Record],
    psycopgs: psycopg.AsyncConnection[tuple[Any, ...]],
    sqlalchemys: AsyncConnection,
    session: OurSession,
    blocking: Session,
) -> None:
    handle = await client.start(order, Order("o1", 500), transaction=connection)
    await client.start(order, Order("o1", 500), transaction=psycopgs)
    await client.start(order, Order("o1", 500), transaction=sqlalchemys)
    await client.start(order, Order("o1", 500), transaction=session)
    async with pool.acquire() as pooled:
        await client.start(order, Order("o1", 500), transaction=pooled)
    assert_type(handle, SagaHandle[Any])
    await handle.begin()
    await client.start(order, Order("o1", 500), transaction=blocking)  # type: ignore[call-overload]
    await client.start(order, Order("o1", 500), transaction=pool)  # type: ignore[call-overload]
    await client.start(order, Order("o1", 500), transaction="postgresql://…")  # type: ignore[call-overload]


async def test_something(clock: ManualClock) -> None:
    async with World(lease_seconds=5) as world:
        node = await world.node(payments)
        saga_id = await world.start(order, Order("o1", 1), key="k", node=node)
        assert_type(saga_id, UUID)
        await world.live(10)
        await world.clock.advance(3)
        assert_type((await world.end_of(saga_id)).outputs(), dict[str, Any])
    await clock.advance(1)


def _context() -> StepContext:
    raise NotImplementedError
