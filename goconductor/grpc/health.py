"""Health by ``grpc.health.v1``, as probes ask for it: serving while the store is reached and its schema fits.

A probe that asks once is answered by a look of its own. All who watch share one look, or the store would be asked as often as
there are watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb

from goconductor.aio.waiting import wait_at_most
from goconductor.grpc.places import Places

SERVICE = pb.DESCRIPTOR.services_by_name["Health"]
LOOK_SECONDS = 5.0
"""Seconds between two looks of each watch."""
SHARED_SECONDS = 1.0
"""How long a look counts for the others that watch."""


class Health:
    """Answers whether requests can be served.

    Args:
        serves: asked at each look.
        services: the names of the services, which are well or not well together; the empty name stands for all.
        stopping: set when the server stops. It serves no more then, though it still answers.
        watches_max: how many may watch at once.
    """

    def __init__(
        self, serves: Callable[[], Awaitable[bool]], services: Collection[str], stopping: asyncio.Event, *, watches_max: int
    ) -> None:
        self._serves = serves
        self._services = {"", *services}
        self._stopping = stopping
        self._places = Places(watches_max)
        self._looking = asyncio.Lock()
        self._seen: tuple[float, bool] | None = None

    async def check(self, request: Any, context: Any) -> Any:
        """Answer once."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service; ask for one by its full name, or for none")
        return pb.HealthCheckResponse(status=await self._status(request.service, self._serves))

    async def watch(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        """Answer at once, and whenever it changes, until the server stops."""
        told: int | None = None
        with self._places.taken():
            while True:
                last = self._stopping.is_set()
                status = await self._status(request.service, self._served)
                if status != told:
                    told = status
                    yield pb.HealthCheckResponse(status=status)
                if last:
                    return
                await wait_at_most(LOOK_SECONDS, self._stopping)

    async def _status(self, service: str, serves: Callable[[], Awaitable[bool]]) -> int:
        status = pb.HealthCheckResponse
        if service not in self._services:
            return int(status.SERVICE_UNKNOWN)
        return int(status.SERVING if not self._stopping.is_set() and await serves() else status.NOT_SERVING)

    async def _served(self) -> bool:
        """Return what was seen a moment ago, or look."""
        loop = asyncio.get_running_loop()
        async with self._looking:
            if self._seen is None or loop.time() - self._seen[0] >= SHARED_SECONDS:
                self._seen = loop.time(), await self._serves()
            return self._seen[1]
