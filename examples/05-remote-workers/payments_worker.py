"""Payments, as a remote worker: it reaches a server's gRPC port, and neither the database nor the bus."""

from __future__ import annotations

import sys
from typing import Annotated

from goconductor import Output, RefusedError
from goconductor.worker import Worker

worker = Worker(sys.argv[1], participant="payments")


@worker.step(timeout="30s")
async def charge(cents: int) -> dict[str, int]:
    """Charge a card."""
    if cents > 100_000:
        raise RefusedError("above the limit of the card")
    return {"charged": cents}


@charge.compensation
async def refund(receipt: Annotated[dict[str, int] | None, Output]) -> None:
    """Give the money back."""
    print(f"  payments gives back {receipt['charged'] if receipt else 0}", flush=True)


worker.run()
