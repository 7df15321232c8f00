"""The bank. It came later, and puts its step between two of somebody's."""

from __future__ import annotations

import asyncio
import sys

from goconductor import Flow, Participant, Settings, logs

bank = Participant("bank")


@bank.step
async def charge(cents: int) -> str:
    """Take the money."""
    return f"receipt for {cents}"


@charge.compensation
async def refund(cents: int) -> None:
    """Give it back."""


async def main() -> None:
    """Run until the standard input ends."""
    logs.set_up(level="error", format="text")
    async with bank.running(Settings.load()) as conductor:
        flow = Flow(conductor, "order")
        await flow.create_step(charge, inputs={"cents": flow.input.cents}, after=["reserve"], before=["ship"])
        print("the bank has added: charge", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
