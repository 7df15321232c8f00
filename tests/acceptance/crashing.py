"""A service that kills its own process, once, at the point it is told to: in its code, or between the commit and the report."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from goconductor import Listener, Participant, RefusedError, StepContext
from goconductor.journals.asyncpg import AsyncpgJournal, Connection
from goconductor.saga.ids import Direction
from tests.acceptance.accounts import move, serve

database = AsyncpgJournal(os.environ["BANK_URL"])
crashing = Participant("crashing")


def crash_at(point: str, direction: Direction) -> None:
    """End by SIGKILL if this is the point, and it was not done before."""
    if f"{point} {direction}" == os.environ["CRASH_AT"]:
        with contextlib.suppress(FileExistsError):
            Path(os.environ["CRASHED"]).touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)


class BeforeTheReport(Listener):
    """Is told after the commit, before anything is appended."""

    steps = frozenset({"debit"})

    def after_step(self, context: StepContext, output: object) -> None:
        crash_at("before the report", context.direction)


crashing.listen(BeforeTheReport())


async def moved(tx: Connection, ctx: StepContext, account: str, amount: int) -> int:
    crash_at("before the effect", ctx.direction)
    balance = await move(tx, ctx, account, amount)
    crash_at("before the commit", ctx.direction)
    return balance


@crashing.step(transaction=database)
async def debit(tx: Connection, amount: int, ctx: StepContext) -> int:
    return await moved(tx, ctx, "payer 0", -amount)


@debit.compensation
async def refund(tx: Connection, amount: int, ctx: StepContext) -> None:
    await moved(tx, ctx, "payer 0", amount)


@crashing.step
async def approve(approved: bool) -> None:
    if not approved:
        raise RefusedError("not approved")


if __name__ == "__main__":
    serve(crashing)
