"""The orders: those that are paid and put aside are confirmed, and their customers thanked."""

import asyncio
import logging
import os

import asyncpg

from goconductor import Participant, StepContext
from goconductor.journals import AsyncpgConnection, AsyncpgJournal

DATABASE_URL = os.environ["ORDERS_DATABASE_URL"]
TABLES = """
    CREATE TABLE IF NOT EXISTS confirmed (
        invoice int PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        order_id text NOT NULL,
        cents bigint NOT NULL,
        ledger_entry int NOT NULL
    );
"""

orders = Participant("orders")
journal = AsyncpgJournal(DATABASE_URL)


@orders.step(transaction=journal)
async def confirm(tx: AsyncpgConnection, order_id: str, cents: int, ledger_entry: int) -> int:
    """The saga's pivot: from here on it only goes forward."""
    insert = "INSERT INTO confirmed (order_id, cents, ledger_entry) VALUES ($1, $2, $3) RETURNING invoice"
    invoice: int = await tx.fetchval(insert, order_id, cents, ledger_entry)
    return invoice


@orders.step
async def thank(customer: str, invoice: int, context: StepContext) -> None:
    """A plain step, as for calls to the outside. It runs at least once; its key lets the other side tell a repeat."""
    context.logger.info("thank you, %s! Your invoice is %d. Message-ID: <%s@shop>", customer, invoice, context.idempotency_key)


async def main() -> None:
    connection = await asyncpg.connect(DATABASE_URL)
    await connection.execute(TABLES)
    await connection.close()
    await journal.create_table()
    await orders.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
