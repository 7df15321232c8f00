"""Services whose bus is changed under them: each notes its effects in a database, in the transaction of its journal.

    python -m tests.acceptance.movers <participant>

The table of effects has no unique index on purpose: an effect that happens twice must show.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import Counter
from typing import Any

import asyncpg

from goconductor import Participant, RefusedError, Saga, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection

TABLE = "CREATE TABLE effects (key text NOT NULL)"
REFUSED_EVERY = 10


async def effect(tx: Connection, ctx: StepContext) -> None:
    await tx.execute("INSERT INTO effects VALUES ($1)", ctx.idempotency_key)


def mover(name: str, url: str) -> Participant:
    """A participant with the steps of all."""
    participant = Participant(name)
    journal = AsyncpgJournal(url)

    @participant.step(transaction=journal)
    async def take(tx: Connection, number: int, ctx: StepContext) -> int:
        await effect(tx, ctx)
        return number

    @take.compensation
    async def give_back(tx: Connection, number: int, ctx: StepContext) -> None:
        await effect(tx, ctx)

    @participant.step(transaction=journal)
    async def decide(tx: Connection, number: int, ctx: StepContext) -> int:
        if number % REFUSED_EVERY == 0:
            raise RefusedError("every tenth is refused")
        await effect(tx, ctx)
        return number

    return participant


def move(near: str, far: str) -> Saga[Any]:
    """A saga that goes to and fro: near, far, near, far, near; each time over the bus."""
    saga: Saga[Any] = Saga(f"move-{near}")
    inputs = {"number": saga.input["number"]}
    first = saga.step(f"{near}.take", id="first", inputs=inputs)
    second = saga.step(f"{far}.take", id="second", inputs=inputs, after=[first])
    third = saga.step(f"{near}.take", id="third", inputs=inputs, after=[second])
    fourth = saga.step(f"{far}.take", id="fourth", inputs=inputs, after=[third])
    saga.step(f"{near}.decide", id="fifth", inputs=inputs, after=[fourth], pivot=True)
    return saga


async def create(url: str) -> None:
    """The tables of the effects."""
    journal = AsyncpgJournal(url)
    await journal.create_table()
    await journal.close()
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    await connection.close()


async def kept(url: str) -> tuple[Counter[str], dict[str, str]]:
    """How often each key had its effect, and what the journal says of it."""
    connection = await asyncpg.connect(url)
    try:
        effects = Counter(row["key"] for row in await connection.fetch("SELECT key FROM effects"))
        journal = {row["key"]: row["state"] for row in await connection.fetch("SELECT key, state FROM goconductor_effects")}
    finally:
        await connection.close()
    return effects, journal


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(mover(sys.argv[1], os.environ["EFFECTS_URL"]).run())
