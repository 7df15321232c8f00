"""What the services of the bank do to their databases: one movement on one account, kept under the effect's key.

The table of movements has no unique index on purpose: an effect that happens twice must show.
"""

from __future__ import annotations

import asyncio
import logging
import zlib

import asyncpg

from goconductor import Participant, RefusedError, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection

TIMEOUT_SECONDS = 6.0
"""Of an attempt, and so of its transaction: a process that stands still in the middle holds the accounts no longer than this."""

TABLES = """
CREATE TABLE accounts (account text PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE movements (
    movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL, account text NOT NULL, amount bigint NOT NULL, balance bigint NOT NULL
);
"""


async def create(url: str, balances: dict[str, int]) -> None:
    """A bank's tables, with what is on its accounts at the beginning."""
    journal = AsyncpgJournal(url)
    await journal.create_table()
    await journal.close()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLES)
        await connection.executemany("INSERT INTO accounts VALUES ($1, $2)", balances.items())
    finally:
        await connection.close()


async def move(tx: Connection, ctx: StepContext, account: str, amount: int) -> int:
    """Put an amount on an account, or take it; the new balance.

    Raises:
        RefusedError: there is no such account, or there is not enough on it.
    """
    await asyncio.sleep(_seconds(ctx))
    balance = await tx.fetchval(
        "UPDATE accounts SET balance = balance + $2 WHERE account = $1 AND balance + $2 >= 0 RETURNING balance", account, amount
    )
    if balance is None:
        raise RefusedError(f"{account} cannot take {amount}")
    await tx.execute(
        "INSERT INTO movements (key, account, amount, balance) VALUES ($1, $2, $3, $4)",
        ctx.idempotency_key,
        account,
        amount,
        balance,
    )
    await asyncio.sleep(_seconds(ctx) / 4)
    return int(balance)


def _seconds(ctx: StepContext) -> float:
    """A step takes its time, always the same under the same key, so that it can be killed in the middle."""
    return 0.04 + zlib.crc32(ctx.idempotency_key.encode()) % 200 / 1000


def serve(participant: Participant) -> None:
    """Run a service until it is told to end."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {participant.name} %(levelname)s %(name)s: %(message)s")
    asyncio.run(participant.run())
