"""The payer's bank."""

from __future__ import annotations

import os

from goconductor import Participant, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from tests.acceptance.accounts import TIMEOUT_SECONDS, move, serve

database = AsyncpgJournal(os.environ["BANK_URL"])
bank_a = Participant("bank-a")


@bank_a.step(transaction=database, timeout=TIMEOUT_SECONDS)
async def debit(tx: Connection, payer: str, amount: int, ctx: StepContext) -> int:
    return await move(tx, ctx, payer, -amount)


@debit.compensation
async def refund(tx: Connection, payer: str, amount: int, ctx: StepContext) -> None:
    await move(tx, ctx, payer, amount)


if __name__ == "__main__":
    serve(bank_a)
