"""Shipping, as a remote worker in Python: for where there is neither Go nor a Node that reads TypeScript."""

from __future__ import annotations

import sys

from goconductor import RefusedError
from goconductor.worker import Worker

worker = Worker(sys.argv[1], participant="shipping")


@worker.step(timeout="30s")
def ship(to: str) -> dict[str, str]:
    """Send a parcel."""
    if to == "nowhere":
        raise RefusedError("there is no such place")
    return {"parcel": f"to {to}"}


worker.run()
