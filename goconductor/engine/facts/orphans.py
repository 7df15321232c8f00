"""Leases that may be held though nobody runs under them: the answer to their taking was lost, or its receiver is gone.

They are freed at once and, as the same work may be asked for again under another token, before any batch that could take it. What
cannot be freed now is tried again until the process leaves; after that a lease ends by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextvars import Context

from goconductor.aio.tasks import create_guarded_task, end
from goconductor.ports.clock import Clock
from goconductor.ports.store import Lease, Leases
from goconductor.redaction import logger_of

logger = logger_of("goconductor.engine")

PAUSE_SECONDS = 0.25
"""Seconds between two attempts to free orphaned leases."""


class Orphans:
    """The orphaned leases of one process.

    Args:
        leases: where they are freed.
        clock: for waiting.
    """

    def __init__(self, leases: Leases, clock: Clock) -> None:
        self._store = leases
        self._clock = clock
        self._leases: list[Lease] = []
        self._freeing = asyncio.Lock()
        self._freed: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._leases)

    def add(self, leases: Iterable[Lease]) -> None:
        """Have these freed."""
        self._leases += leases
        if self._leases and self._freed is None and not self._closed:
            self._freed = create_guarded_task(self._until_freed(), name="orphaned leases", context=Context())

    async def free(self) -> None:
        """Free them now, unless there are none.

        Raises:
            GoConductorError: the store cannot do it now; they are kept.
        """
        if not self._leases and not self._freeing.locked():
            return
        async with self._freeing:
            leases, self._leases = self._leases, []
            try:
                if leases:
                    await self._store.release(leases)
            except BaseException:
                self.add(leases)  # who tries again may have found none meanwhile, and stopped
                raise

    async def close(self) -> None:
        """Try once more, and leave."""
        self._closed = True
        await end(self._freed)
        try:
            await self.free()
        except Exception as error:  # noqa: BLE001  (a process that leaves does not wait for its store)
            logger.warning("left %d leases, which will end by themselves: %s", len(self._leases), error)

    async def _until_freed(self) -> None:
        try:
            while self._leases:
                try:
                    await self.free()
                except Exception as error:  # noqa: BLE001  (whatever it is, they must not stay behind)
                    logger.debug("cannot free %d leases now: %s", len(self._leases), error)
                    await self._clock.sleep(PAUSE_SECONDS)
        finally:
            self._freed = None
