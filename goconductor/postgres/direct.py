"""Seeing that a connection is one backend's for its whole life, and not borrowed anew for each transaction.

A pooler in transaction mode gives a client whichever backend is free. Locks, settings, prepared statements and notifications
of a session are then another client's. An idle pooler would give the same backend again and hide itself. So two clients take
turns, and one is kept busy while the other begins anew.
"""

from __future__ import annotations

import asyncio

from goconductor.errors import PoolerError
from goconductor.postgres.dialling import Connection

PROBES = 3
"""Number of times that a connection is tried, to see whether a pooler is in between."""
PROBE_SECONDS = 10.0
"""Seconds of a probe: a pool of one backend keeps the second client waiting for ever."""

_BACKEND = "SELECT pg_backend_pid()"


async def refuse_pooler(one: Connection, other: Connection, message: str | None = None) -> None:
    """Check that each of two connections keeps its backend.

    Args:
        one: a connection of ours, in no transaction.
        other: another one to the same address.
        message: the text of the error, beyond that of its class.

    Raises:
        PoolerError: one does not. Both connections are of no use then.
    """
    mine, others = set[int](), set[int]()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            for _ in range(PROBES):
                async with one.transaction():
                    mine.add(await one.fetchval(_BACKEND))
                async with other.transaction():
                    others.add(await other.fetchval(_BACKEND))
                    if mine & others:  # a pool of one would wait for ever below
                        raise PoolerError(message)
                    async with one.transaction():
                        mine.add(await one.fetchval(_BACKEND))
                if len(mine) != 1 or len(others) != 1:
                    raise PoolerError(message)
    except TimeoutError:
        raise PoolerError(message) from None
