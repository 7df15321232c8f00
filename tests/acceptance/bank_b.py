"""The payee's bank. A payee may only get so much: his limit is reserved before anything is credited."""

from __future__ import annotations

import os

from goconductor import Participant, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from tests.acceptance.accounts import TIMEOUT_SECONDS, move, serve

database = AsyncpgJournal(os.environ["BANK_URL"])
bank_b = Participant("bank-b")


@bank_b.step(transaction=database, timeout=TIMEOUT_SECONDS)
async def reserve(tx: Connection, payee: str, amount: int, ctx: StepContext) -> int:
    return await move(tx, ctx, f"limit of {payee}", -amount)


@reserve.compensation
async def release(tx: Connection, payee: str, amount: int, ctx: StepContext) -> None:
    await move(tx, ctx, f"limit of {payee}", amount)


@bank_b.step(transaction=database, timeout=TIMEOUT_SECONDS)
async def credit(tx: Connection, payee: str, amount: int, ctx: StepContext) -> int:
    return await move(tx, ctx, payee, amount)


if __name__ == "__main__":
    serve(bank_b)
