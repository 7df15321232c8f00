"""Sends of many callers at once: what waits for one place travels together, in a few requests at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from goconductor.aio.tasks import Tasks
from goconductor.errors import BusUnavailableError
from goconductor.redaction import logger_of

logger = logger_of(__name__)


@dataclass(slots=True, eq=False, kw_only=True)
class Parcel:
    """One message on its way to one place; a leaf adds what it sends.

    Attributes:
        size: in bytes, as the leaf's service counts them.
        arrived: True when it was taken, False when it was refused for its size.
        tries: how often it was sent in vain.
    """

    size: int
    arrived: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    tries: int = 0

    def settle(self, *, taken: bool) -> None:
        """Record what became of it, unless nobody waits for it any more."""
        if not self.arrived.done():
            self.arrived.set_result(taken)


K = TypeVar("K", bound=Hashable)
P = TypeVar("P", bound=Parcel)


class Parcels(Generic[K, P]):
    """Sends parcels in batches, several batches to one place at once, and each again until it has arrived.

    Args:
        attempt: sends a batch once, and settles those that were accepted or refused; the others are sent again.
        pause_seconds: answers how long a place waits after a number of failed tries.
        batch_max: greatest number of parcels in a batch.
        batch_bytes_max: greatest number of bytes of a batch, unless it is a single parcel.
        at_once: greatest number of batches on their way to one place.
        send_timeout_seconds: seconds after which a parcel that has not arrived may not have been accepted.
        trouble: answers why parcels have not arrived, for the error.
    """

    def __init__(
        self,
        attempt: Callable[[K, Sequence[P]], Awaitable[None]],
        *,
        pause_seconds: Callable[[int], float],
        batch_max: int,
        batch_bytes_max: int,
        at_once: int,
        send_timeout_seconds: float,
        trouble: Callable[[], str],
    ) -> None:
        self._attempt = attempt
        self._pause_seconds = pause_seconds
        self._batch_max = batch_max
        self._batch_bytes_max = batch_bytes_max
        self._at_once = at_once
        self._send_timeout_seconds = send_timeout_seconds
        self._trouble = trouble
        self._waiting: dict[K, deque[P]] = {}
        self._requests: dict[K, int] = {}
        self._running = Tasks()

    async def send(self, count: int, address: Callable[[], Awaitable[Sequence[tuple[K, P]]]]) -> Sequence[tuple[K, P]]:
        """Send, and wait until every parcel was taken or refused; returns what was addressed.

        Args:
            count: how many messages there are, for the error.
            address: finds the place of each parcel; it shares the time limit.

        Raises:
            BusUnavailableError: not all have arrived in time; some may have been taken.
        """
        addressed: Sequence[tuple[K, P]] = ()
        try:
            async with asyncio.timeout(self._send_timeout_seconds):
                addressed = await address()
                for place, parcel in addressed:
                    self._waiting.setdefault(place, deque()).append(parcel)
                for place in {place for place, _ in addressed}:
                    self._start(place)
                if addressed:
                    await asyncio.wait([parcel.arrived for _, parcel in addressed])
        except TimeoutError:
            left = sum(not parcel.arrived.done() for _, parcel in addressed) or count
            raise BusUnavailableError(
                f"{left} messages were not confirmed within {self._send_timeout_seconds:g} s: {self._trouble()}"
            ) from None
        finally:
            for _, parcel in addressed:
                parcel.arrived.cancel()
        return addressed

    async def close(self) -> None:
        """End what is still on its way."""
        await self._running.close()

    def _start(self, place: K) -> None:
        wanted = min(self._at_once, -(-len(self._waiting[place]) // self._batch_max))
        while self._requests.get(place, 0) < wanted:
            self._requests[place] = self._requests.get(place, 0) + 1
            self._running.start(self._work(place), name=f"send to {place}")

    async def _work(self, place: K) -> None:
        try:
            while batch := self._next(place):
                tries = batch[0].tries
                try:
                    await self._attempt(place, batch)
                except Exception:
                    logger.exception("sending to %s failed and is tried again", place)
                left = [parcel for parcel in batch if not parcel.arrived.done()]
                if left:
                    for parcel in left:
                        parcel.tries += 1
                    self._waiting[place].extendleft(reversed(left))
                    await asyncio.sleep(self._pause_seconds(tries))
        finally:
            self._requests[place] -= 1
            if not self._requests[place] and not self._waiting[place]:
                del self._requests[place], self._waiting[place]

    def _next(self, place: K) -> list[P]:
        batch: list[P] = []
        size, waiting = 0, self._waiting[place]
        while waiting and len(batch) < self._batch_max:
            parcel = waiting[0]
            if parcel.arrived.done():  # nobody waits for it any more
                waiting.popleft()
                continue
            size += parcel.size
            if batch and size > self._batch_bytes_max:
                break
            batch.append(waiting.popleft())
        return batch
