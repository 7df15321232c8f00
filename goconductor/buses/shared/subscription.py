"""The frame of a subscription that one task serves: begin, pause, resume and stop."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from goconductor.buses.shared.frame import Reading
from goconductor.buses.shared.in_flight import HeldDelivery, InFlight
from goconductor.buses.shared.patience import Patience

T = TypeVar("T")


class ServedSubscription(ABC, Generic[T]):
    """A subscription whose messages one task receives and settles, over connections that come and go.

    That task waits for ``_news``: a pause, a resume or a stop sets it. It goes on until ``_drained`` is set, which a stop does
    when nothing is in hand any more. After a failure it waits by ``_patience``.

    Args:
        reading: the topics, the group and the receiver.
    """

    def __init__(self, reading: Reading) -> None:
        self._group = reading.group
        self._in_flight: InFlight[T] = InFlight(reading.receiver, prefetch=reading.prefetch, on_settled=self._on_settled)
        self._news = asyncio.Event()
        self._patience = Patience()
        self._drained = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    @abstractmethod
    def _on_settled(self, delivery: HeldDelivery[T], delay_seconds: float | None) -> None:
        """Note the outcome of a delivery, as :class:`InFlight` reports it."""

    def _begin(self, serving: Coroutine[Any, Any, None]) -> None:
        """Start the task."""
        self._serving = asyncio.create_task(serving)

    def pause(self) -> None:
        """Take nothing more for now."""
        self._in_flight.pause()
        self._news.set()

    def resume(self) -> None:
        """Take messages again."""
        self._in_flight.resume()
        self._news.set()

    async def stop(self) -> None:
        """Take nothing more; return when what is in hand is settled and the task has ended."""
        self._news.set()
        await self._in_flight.finish()
        await self._settle_last()
        self._drained.set()
        self._patience.stop()
        self._news.set()
        if self._serving is not None:
            await asyncio.wait([self._serving])

    async def _settle_last(self) -> None:
        """Wait for what must be done between the last delivery and the end of the task."""

    @property
    def stopped(self) -> bool:
        """Whether it has stopped."""
        return self._drained.is_set()
