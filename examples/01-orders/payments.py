"""Payments: the customers' accounts, and a ledger of what was taken from them and given back."""

import asyncio
import logging
import os
from dataclasses import dataclass

import asyncpg

from goconductor import Participant, RefusedError
from goconductor.journals import AsyncpgConnection, AsyncpgJournal

DATABASE_URL = os.environ["PAYMENTS_DATABASE_URL"]
TABLES = """
    CREATE TABLE IF NOT EXISTS accounts (customer text PRIMARY KEY, cents bigint NOT NULL CHECK (cents >= 0));
    CREATE TABLE IF NOT EXISTS ledger (
        entry int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        order_id text NOT NULL,
        cents bigint NOT NULL,
        refund_of int REFERENCES ledger
    );
"""

payments = Participant("payments")
journal = AsyncpgJournal(DATABASE_URL)


@dataclass
class Receipt:
    """What a step returns is kept in the saga log, for the steps after it and for its compensation."""

    entry: int
    cents: int


@payments.step(transaction=journal, timeout="10s")
async def charge(tx: AsyncpgConnection, order_id: str, customer: str, cents: int) -> Receipt:
    """Take the money, if there is enough. A refusal is final: the saga turns back, and what was done before is compensated."""
    taken = "UPDATE accounts SET cents = cents - $2 WHERE customer = $1 AND cents >= $2 RETURNING true"
    if not await tx.fetchval(taken, customer, cents):
        raise RefusedError("card declined")
    entry = await tx.fetchval("INSERT INTO ledger (order_id, cents) VALUES ($1, $2) RETURNING entry", order_id, cents)
    return Receipt(entry, cents)


@charge.compensation
async def refund(tx: AsyncpgConnection, order_id: str, customer: str, receipt: Receipt | None) -> None:
    """It takes the action's inputs by name, and its output. Without a journal that could be None: nobody knows what happened."""
    if receipt is not None:
        await tx.execute("UPDATE accounts SET cents = cents + $2 WHERE customer = $1", customer, receipt.cents)
        refunded = "INSERT INTO ledger (order_id, cents, refund_of) VALUES ($1, $2, $3)"
        await tx.execute(refunded, order_id, -receipt.cents, receipt.entry)


async def main() -> None:
    connection = await asyncpg.connect(DATABASE_URL)
    await connection.execute(TABLES)
    await connection.close()
    await journal.create_table()
    await payments.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
