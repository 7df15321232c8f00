"""What happens to a saga, for doors that keep a connection open: its events, signs of life in between, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.control.models import HistoryEntry
from goconductor.control.sagas.queries import saga_status
from goconductor.control.watching.changes import changes
from goconductor.engine.node import Node
from goconductor.lifecycle.facts.status import SagaStatus

HEARTBEAT_SECONDS = 15.0
"""Seconds of silence after which a stream sends a sign of life."""


async def stream(
    actor: Actor, node: Node, saga_id: UUID, after: int, stopping: asyncio.Event
) -> AsyncGenerator[HistoryEntry | SagaStatus | None, None]:
    """Yield a saga's events after a seq, and those to come; when it has ended, its status at last.

    None is a sign of life: the first comes at once, the others while nothing happens.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga_id: the saga's id; there is such a saga.
        after: the last seq that is known.
        stopping: ends it, without a status.
    """
    source = changes(actor, node, saga_id, after)
    stopped = asyncio.create_task(stopping.wait())
    coming: asyncio.Task[HistoryEntry | None] | None = None
    try:
        yield None
        while not stopping.is_set():
            if coming is None:
                coming = asyncio.create_task(_next(source))
            await asyncio.wait((coming, stopped), timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                yield None
                continue
            entry, coming = coming.result(), None
            if entry is None:
                yield (await saga_status(actor, node, saga_id)).status
                return
            yield entry
    finally:
        for task in (stopped, coming):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _next(source: AsyncIterator[HistoryEntry]) -> HistoryEntry | None:
    return await anext(source, None)
