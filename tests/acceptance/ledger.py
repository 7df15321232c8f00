"""The ledger: screens a transfer, books it, and tells the world of it by HTTP, which counts idempotency keys."""

from __future__ import annotations

import asyncio
import os

from goconductor import Participant, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from tests.acceptance.accounts import TIMEOUT_SECONDS, move, serve

database = AsyncpgJournal(os.environ["BANK_URL"])
ledger = Participant("ledger")


@ledger.step(transaction=database, timeout=TIMEOUT_SECONDS)
async def screen(tx: Connection, ctx: StepContext) -> int:
    return await move(tx, ctx, "cases", 1)


@screen.compensation
async def drop_case(tx: Connection, ctx: StepContext) -> None:
    await move(tx, ctx, "cases", -1)


@ledger.step(transaction=database, timeout=TIMEOUT_SECONDS)
async def book(tx: Connection, amount: int, ctx: StepContext) -> int:
    return await move(tx, ctx, "book", amount)


@ledger.step
async def notify(ctx: StepContext) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["NOTIFY_PORT"]))
    try:
        writer.write(f"POST / HTTP/1.1\r\nHost: world\r\nIdempotency-Key: {ctx.idempotency_key}\r\n\r\n".encode())
        status = await reader.readline()
    finally:
        writer.close()
    if b" 200 " not in status:
        raise ConnectionError(f"the world answered {status!r}")


if __name__ == "__main__":
    serve(ledger)
