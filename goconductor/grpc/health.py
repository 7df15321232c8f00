"""Health by ``grpc.health.v1``, as probes ask for it: serving while the store is reached and its schema fits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["Health"]
LOOK_SECONDS = 5.0
"""Seconds between two looks while somebody watches."""


class Health:
    """Answers whether requests can be served.

    Args:
        serves: asked at each look.
        services: the names of the services, which are well or not well together; the empty name stands for all.
        stopping: set when the server stops. It serves no more then, though it still answers.
    """

    def __init__(self, serves: Callable[[], Awaitable[bool]], services: Collection[str], stopping: asyncio.Event) -> None:
        self._serves = serves
        self._services = {"", *services}
        self._stopping = stopping

    async def check(self, request: Any, context: Any) -> Any:
        """Answer once."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service; ask for one by its full name, or for none")
        return pb.HealthCheckResponse(status=await self._status(request.service))

    async def watch(self, request: Any, _context: Any) -> AsyncIterator[Any]:
        """Answer at once, and whenever it changes, until the server stops."""
        told: int | None = None
        while True:
            status = await self._status(request.service)
            if status != told:
                told = status
                yield pb.HealthCheckResponse(status=status)
            if self._stopping.is_set():
                return
            await asyncio.wait({stop := asyncio.ensure_future(self._stopping.wait())}, timeout=LOOK_SECONDS)
            stop.cancel()

    async def _status(self, service: str) -> int:
        status = pb.HealthCheckResponse
        if service not in self._services:
            return int(status.SERVICE_UNKNOWN)
        return int(status.SERVING if not self._stopping.is_set() and await self._serves() else status.NOT_SERVING)
