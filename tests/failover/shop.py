"""What the fleet does: an order goes to and fro between two services, over steps with a journal and plain ones.

    python -m tests.failover.shop <service>

A plain step notes each of its runs in a file, which no failover can take back: one line, by one write.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from goconductor import Participant, RefusedError, Saga, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from tests.acceptance.movers import REFUSED_EVERY, effect

SERVICES = ("stock", "bank")


@dataclass(frozen=True)
class Order:
    number: int


order = Saga("order", input=Order)
_number = {"number": order.input.number}
_reserve = order.step("stock.reserve", inputs=_number)
_label = order.step("stock.label", inputs=_number, after=[_reserve])
_charge = order.step("bank.charge", inputs=_number, after=[_label], pivot=True)
order.step("stock.pack", inputs=_number, after=[_charge])

TRANSACTIONAL = frozenset({"stock.reserve", "bank.charge"})


def service(name: str, url: str, runs: Path) -> Participant:
    """One of the two.

    Args:
        name: which.
        url: the database of its journal.
        runs: the file of the plain steps' runs.
    """
    participant = Participant(name)
    journal = AsyncpgJournal(url)
    notes = os.open(runs, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def ran(ctx: StepContext) -> None:
        os.write(notes, f"{ctx.idempotency_key}\n".encode())

    if name == "bank":

        @participant.step(transaction=journal)
        async def charge(tx: Connection, number: int, ctx: StepContext) -> int:
            if number % REFUSED_EVERY == 0:
                raise RefusedError("every tenth is refused")
            await effect(tx, ctx)
            return number

        return participant

    @participant.step(transaction=journal)
    async def reserve(tx: Connection, number: int, ctx: StepContext) -> int:
        await effect(tx, ctx)
        return number

    @reserve.compensation
    async def release(tx: Connection, number: int, ctx: StepContext) -> None:
        await effect(tx, ctx)

    @participant.step
    async def label(number: int, ctx: StepContext) -> int:
        ran(ctx)
        await asyncio.sleep(0.05)
        return number

    @label.compensation
    async def tear_off(number: int, ctx: StepContext) -> None:
        ran(ctx)

    @participant.step
    async def pack(number: int, ctx: StepContext) -> int:
        ran(ctx)
        await asyncio.sleep(0.05)
        return number

    return participant


def noted(runs: Path) -> Counter[str]:
    """How often each key of a plain step ran."""
    return Counter(runs.read_text().split())


if __name__ == "__main__":
    asyncio.run(service(sys.argv[1], os.environ["JOURNAL_URL"], Path(os.environ["RUNS"])).run())
