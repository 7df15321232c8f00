"""The end of the steps that run in a process which leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

GIVING_UP_SECONDS = 5.0
"""Seconds that a drain waits for the append that a step was given up."""
SWALLOWED_SECONDS = 1.0
"""Seconds that a drain waits for a step that has swallowed its cancellation, after the second one."""


async def ended(chains: Collection[asyncio.Task[None]], within_seconds: float) -> set[asyncio.Task[None]]:
    """Wait until steps have ended, and cancel those that have not by then.

    Args:
        chains: what runs; each leaves it when it has ended.
        within_seconds: how long they are waited for.

    Returns:
        Those that cannot be ended.
    """
    if chains:
        logger.info("draining: %d steps run", len(chains))
        await asyncio.wait(list(chains), timeout=within_seconds)
    late = list(chains)
    for chain in late:
        chain.cancel()
    if not late:
        return set()
    logger.warning("draining: %d steps did not finish within %.0f s and are given up", len(late), within_seconds)
    _, mute = await asyncio.wait(late, timeout=GIVING_UP_SECONDS)
    for chain in mute:  # the store is away: the sweep finds out by their leases
        chain.cancel()
    if mute:
        _, mute = await asyncio.wait(mute, timeout=SWALLOWED_SECONDS)
    for chain in mute:
        asyncio._unregister_task(chain)  # or asyncio.run would wait for it, for ever  # noqa: SLF001
    return mute
