"""What happens to all sagas, as it happens, in one order: for doors that keep a connection open.

Each watch reads the order of all events by itself, behind a cursor of its own, and only when its client has taken what came
before: one that is slow holds up nobody, and nothing is kept for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from goconductor.aio.waiting import wait_at_most
from goconductor.control.actor import Actor
from goconductor.control.models import FeedEvent
from goconductor.control.sagas.filters import wanted
from goconductor.control.sagas.queries import entry_of
from goconductor.engine.node import Node
from goconductor.errors import StoreUnavailableError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.ports.store import Wanted
from goconductor.recovery.feed.telling import Teller, Told

HEARTBEAT_SECONDS = 15.0
"""Seconds without a wanted event after which a sign of life comes."""
POLL_SECONDS = (0.1, 1.0)
"""Least and greatest pause between two looks while nothing happens, in seconds."""
PAGE = 100
"""Events of one look."""
KEPT_BYTES = 256 * 1024
"""Bytes of events whose sagas a watch keeps at hand."""


async def watch_all(
    actor: Actor,
    node: Node,
    stopping: asyncio.Event,
    *,
    after: str | None = None,
    saga: str | None = None,
    status: str | Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> AsyncGenerator[FeedEvent | str, None]:
    """Return the events of all sagas that come after a cursor, without an end.

    A text is a sign of life: the cursor that has been reached. The first comes at once, the others while nothing wanted happens.

    Args:
        actor: the actor of the request.
        node: the engine.
        stopping: ends it.
        after: the cursor of the last event that is known; None begins now.
        saga: only events of sagas of this name.
        status: only events after which the saga has one of these statuses.
        labels: only events of sagas with all these labels.

    Raises:
        RequestInvalidError: a filter does not make sense.
        CursorLostError: there is no such place; what is returned raises it as well, after a failover.
        ConfigurationError: the order cannot be read, as its index is not there.
        StoreUnavailableError: the database could not be reached in the beginning.
    """
    wish, feed = wanted(saga=saga, status=status, labels=labels), node.store.feed
    await feed.check()
    cursor = after or await feed.end()
    await feed.read(cursor, limit=1)
    return _events(node, stopping, cursor, wish)


async def _events(node: Node, stopping: asyncio.Event, cursor: str, wish: Wanted) -> AsyncGenerator[FeedEvent | str, None]:
    teller, loop, pause = Teller(node, bytes_max=KEPT_BYTES), asyncio.get_running_loop(), POLL_SECONDS[0]
    yield cursor
    said_at = loop.time()
    while not stopping.is_set():
        try:
            page = await node.store.feed.read(cursor, limit=PAGE)
            told = await teller.tell(page.entries)
        except StoreUnavailableError:
            await wait_at_most(POLL_SECONDS[1], stopping)
            continue
        for each in told:
            if _fits(each, wish):
                yield _shown(each)
                said_at = loop.time()
        cursor = page.cursor
        if loop.time() - said_at >= HEARTBEAT_SECONDS:
            yield cursor
            said_at = loop.time()
        if not page.full:
            pause = POLL_SECONDS[0] if told else min(pause * 1.5, POLL_SECONDS[1])
            await wait_at_most(min(pause, HEARTBEAT_SECONDS), stopping)


def _fits(told: Told, wish: Wanted) -> bool:
    entry = told.entry
    return (
        (wish.saga is None or entry.saga == wish.saga)
        and (not wish.statuses or told.status in wish.statuses)
        and all(entry.labels.get(name) == value for name, value in wish.labels.items())
    )


def _shown(told: Told) -> FeedEvent:
    return FeedEvent(
        cursor=told.entry.cursor,
        saga_id=told.entry.saga_id,
        saga=told.entry.saga,
        labels=told.entry.labels,
        status=SagaStatus(told.status) if told.status else None,
        before=SagaStatus(told.before) if told.before else None,
        entry=entry_of(told.entry.entry),
    )
