"""Transactional steps of libraries that block: plain functions, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from goconductor import CompensatedError, DefinitionError, Participant, RefusedError, Saga, StepContext
from goconductor.journals import AsyncpgJournal, BlockingSqlalchemyJournal
from goconductor.testing import World
from tests.contracts.callers import blocking_engine_of
from tests.contracts.test_journal_blocking_sqlalchemy import Account, Tables

NOWHERE = "postgresql+psycopg://127.0.0.1:1/nowhere"


def test_a_step_is_declared_as_its_journal_needs_it() -> None:
    shop = Participant("shop")
    blocking = BlockingSqlalchemyJournal(sessionmaker(create_engine(NOWHERE)))
    with pytest.raises(DefinitionError, match="must be a plain 'def': the transaction of its journal belongs to a thread"):

        @shop.step(transaction=blocking)
        async def charge(tx: Session) -> None: ...

    with pytest.raises(DefinitionError, match="must be 'async def'"):
        shop.step(transaction=AsyncpgJournal("postgresql://127.0.0.1:1/nowhere"))(lambda tx: None)  # type: ignore[arg-type, return-value]

    @shop.step(transaction=blocking)
    def pack(tx: Session) -> None: ...

    with pytest.raises(DefinitionError, match="the compensation of step 'pack' must be a plain 'def'"):

        @pack.compensation
        async def unpack(tx: Session) -> None: ...


@pytest.mark.postgres
async def test_what_a_saga_did_is_undone_in_transactions_of_the_same_journal(postgres_url: str) -> None:
    with blocking_engine_of(postgres_url) as engine:
        await asyncio.to_thread(Tables.metadata.create_all, engine)
        journal = BlockingSqlalchemyJournal(sessionmaker(engine))
        await journal.create_table()
        shop = Participant("shop")

        @shop.step(transaction=journal)
        def take(tx: Session, number: int, ctx: StepContext) -> int:
            tx.add(Account(id=number, balance=ctx.attempt))
            return number + 1

        @take.compensation
        def give_back(tx: Session, number: int, taken: int | None) -> None:
            account = tx.get_one(Account, number)
            account.balance = -(taken or 0)

        @shop.step(transaction=journal)
        def check(tx: Session, number: int) -> None:
            if number == 2:
                raise RefusedError("not the second")

        order: Saga[Any] = Saga("order")
        taken = order.step(take, inputs={"number": order.input})
        order.step(check, inputs={"number": order.input}, after=[taken], pivot=True)
        order.returns(taken.output)
        async with World() as world:
            conductor = await world.conductor(shop)
            assert await (await conductor.start(order, 1)).result() == 2
            with pytest.raises(CompensatedError, match="not the second"):
                await (await conductor.start(order, 2)).result()
        await journal.close()

        def balances() -> dict[int, int]:
            with Session(engine) as session:
                return {account.id: account.balance for account in session.query(Account)}

        assert await asyncio.to_thread(balances) == {1: 1, 2: -3}
