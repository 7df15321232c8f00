"""The stock. It adds its two steps when it has started, and knows of no other service."""

from __future__ import annotations

import asyncio
import sys

from goconductor import Flow, Participant, Settings, logs

stock = Participant("stock")


@stock.step
async def reserve(sku: str) -> str:
    """Put a piece aside."""
    return f"one {sku}"


@reserve.compensation
async def put_back(sku: str) -> None:
    """Put it back."""


@stock.step
async def ship(goods: str) -> str:
    """Send it."""
    return f"{goods}, sent"


async def main() -> None:
    """Run until the standard input ends."""
    logs.set_up(level="error", format="text")
    async with stock.running(Settings.load()) as conductor:
        flow = Flow(conductor, "order")
        await flow.create_step(reserve, inputs={"sku": flow.input.sku})
        await flow.create_step(ship, inputs={"goods": flow.output("reserve")}, pivot=True)
        print("the stock has added: reserve, ship", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
