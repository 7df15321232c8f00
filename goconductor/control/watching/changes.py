"""What happens to a saga, as it happens: for server-sent events and for the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from goconductor.control.actor import Actor
from goconductor.control.models import HistoryEntry
from goconductor.control.sagas.queries import entry_of
from goconductor.engine.node import Node
from goconductor.errors import SagaNotFoundError, StoreUnavailableError
from goconductor.lifecycle.facts.status import SagaStatus
from goconductor.redaction import logger_of

logger = logger_of("goconductor.control")

POLL_SECONDS = (0.1, 1.0)
"""Least and greatest seconds between two looks at the head: few soon after an event, more while nothing happens."""
PAGE = 500
"""Number of events that are read at a time."""

_ENDED = {status.value for status in SagaStatus if status.ended}


async def changes(actor: Actor, node: Node, saga_id: UUID, after_seq: int = 0) -> AsyncIterator[HistoryEntry]:
    """Yield the saga's events after ``after_seq``, and those that come later, until it has ended.

    While the database is away it waits, once it has begun.

    Args:
        actor: the actor of the request.
        node: the engine.
        saga_id: the saga's id.
        after_seq: the last seq that is known; 0 yields all.

    Raises:
        SagaNotFoundError: there is no such saga.
        StoreUnavailableError: the database could not be reached in the beginning.
    """
    known, pause, begun = after_seq, POLL_SECONDS[0], False
    while True:
        try:
            head = await node.store.sagas.head(saga_id)
            if head is None:
                raise SagaNotFoundError
            stored = await node.store.sagas.history(saga_id, after=known, limit=PAGE) if head.seq > known else []
        except StoreUnavailableError:
            if not begun:
                raise
            logger.debug("watching saga %s waits for the database", saga_id)
            await node.clock.sleep(POLL_SECONDS[1])
            continue
        begun = True
        for entry in stored:
            yield entry_of(entry)
            known = entry.seq
        if known >= head.seq:
            if head.status in _ENDED:
                return
            pause = POLL_SECONDS[0] if stored else min(pause * 1.5, POLL_SECONDS[1])
            await node.clock.sleep(pause)
