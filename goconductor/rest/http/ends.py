"""Waits for the end of a saga, no longer than the server runs."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from goconductor.aio.first_of import first_of
from goconductor.engine.node import Node
from goconductor.rest.http.stopping import Stopping


async def end_or_stop(node: Node, saga_id: UUID, wait_seconds: float, stops: Stopping) -> None:
    """Wait until the saga has ended, the time is over, or this server stops."""
    with stops.awaited() as stopping, suppress(TimeoutError):
        await first_of(node.wait_for_end(saga_id, wait_seconds), stopping.wait())
