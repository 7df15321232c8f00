"""The inventory: what is in stock, what is put aside for an order, what was shipped.

A service is its tables, an effect journal in the same database, and its steps. Nothing here knows of payments, or of the sagas
that will run these steps. A transactional step gets an open transaction: what it does there happens once, however often the
step is retried, because its idempotency key is committed with it. That is why no table below forbids duplicates.
"""

import asyncio
import logging
import os

import asyncpg

from goconductor import Participant, RefusedError
from goconductor.journals import AsyncpgConnection, AsyncpgJournal

DATABASE_URL = os.environ["INVENTORY_DATABASE_URL"]
TABLES = """
    CREATE TABLE IF NOT EXISTS stock (sku text PRIMARY KEY, pieces int NOT NULL CHECK (pieces >= 0));
    CREATE TABLE IF NOT EXISTS reservations (order_id text NOT NULL, sku text NOT NULL, pieces int NOT NULL);
    CREATE TABLE IF NOT EXISTS shipments (order_id text NOT NULL, sku text NOT NULL, pieces int NOT NULL);
"""

inventory = Participant("inventory")
journal = AsyncpgJournal(DATABASE_URL)


@inventory.step(transaction=journal)
async def reserve(tx: AsyncpgConnection, order_id: str, sku: str, pieces: int) -> None:
    """Put pieces aside. Two orders may want the last one: the row's lock and the condition decide."""
    taken = "UPDATE stock SET pieces = pieces - $2 WHERE sku = $1 AND pieces >= $2 RETURNING true"
    if not await tx.fetchval(taken, sku, pieces):
        raise RefusedError("sold out")
    await tx.execute("INSERT INTO reservations VALUES ($1, $2, $3)", order_id, sku, pieces)


@reserve.compensation
async def put_back(tx: AsyncpgConnection, order_id: str, sku: str, pieces: int) -> None:
    await tx.execute("DELETE FROM reservations WHERE order_id = $1 AND sku = $2", order_id, sku)
    await tx.execute("UPDATE stock SET pieces = pieces + $2 WHERE sku = $1", sku, pieces)


@inventory.step(transaction=journal)
async def ship(tx: AsyncpgConnection, order_id: str) -> None:
    """Send all that is put aside. It comes after the pivot, so it has no compensation: it is retried until it succeeds."""
    moved = "WITH sent AS (DELETE FROM reservations WHERE order_id = $1 RETURNING *) INSERT INTO shipments SELECT * FROM sent"
    await tx.execute(moved, order_id)


async def main() -> None:
    connection = await asyncpg.connect(DATABASE_URL)
    await connection.execute(TABLES)
    await connection.close()
    await journal.create_table()
    await inventory.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
