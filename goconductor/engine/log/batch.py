"""Group commit: what arrives while a batch is in flight is the next batch.

There is no timer, so one call alone gets the lowest latency, and a thousand share a transaction.

With several *lanes* as many batches are in flight at once: while the database works on one, this process works on another (with
one lane, each waits for the other). Two rules keep lanes from costing what batching won. A batch takes no more than its lane's
share of all calls; otherwise the first lane would take all along, and the others would go with a few. And calls about the same
*subject* are never in two batches at once, as these would contradict each other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar, cast

import msgspec

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARE_MIN = 16
"""Calls that are never split over lanes: the gain would be less than the cost of a transaction."""


class _Call(msgspec.Struct, Generic[Item, Result], frozen=True):
    item: Item
    subject: Hashable
    answer: asyncio.Future[Result]


class Batcher(Generic[Item, Result]):
    """Gathers single calls into batches.

    Args:
        flush: does a whole batch; its results have the order of the items. If it raises, each caller of the batch gets that.
        items_max: no batch is larger.
        lanes: how many batches may be in flight at once.
        subject: what an item is about; None where items have nothing to do with one another.
        on_flushed: called after each batch with the number of its items and its seconds.
        unclaimed: gets an item and its result where the caller was cancelled meanwhile, so that nothing that was won is lost.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        items_max: int = 512,
        lanes: int = 1,
        subject: Callable[[Item], Hashable] | None = None,
        on_flushed: Callable[[int, float], None] | None = None,
        unclaimed: Callable[[Item, Result], None] | None = None,
    ) -> None:
        self._flush = flush
        self._unclaimed = unclaimed
        self._on_flushed = on_flushed
        self._items_max = items_max
        self._lanes_max = lanes
        self._subject = subject
        self._waiting: list[_Call[Item, Result]] = []
        self._in_flight = 0
        self._busy: set[Hashable] = set()
        self._lanes: set[asyncio.Task[None]] = set()
        self._gathering = 0

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Put an item into the next batch."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        subject = None if self._subject is None else self._subject(item)
        self._waiting.append(_Call(item, subject, answer))
        if subject not in self._busy:  # else the lane that is busy with it takes this along next
            self._open_lane()
        return answer

    async def ask(self, item: Item) -> Result:
        """Put an item into the next batch, and wait for its result. Whoever is cancelled here leaves it to ``unclaimed``."""
        answer = self.submit(item)
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None and self._unclaimed is not None:
                self._unclaimed(item, answer.result())
            raise

    def _open_lane(self) -> None:
        """Unless one is about to take what waits anyway, or all are in flight and come back for it."""
        if not self._gathering and len(self._lanes) < self._lanes_max:
            self._gathering += 1
            # in a context of its own: a batch belongs to all callers, not to the trace that came first
            self._lanes.add(asyncio.create_task(self._run(), name="batcher", context=Context()))

    async def _run(self) -> None:
        try:
            while batch := await self._gather():
                try:
                    await self._fly(batch)
                finally:
                    self._in_flight -= len(batch)
                    self._busy.difference_update([call.subject for call in batch])
                self._gathering += 1
        finally:  # at once and not when the task is done: a call in between would rely on this lane
            self._lanes.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _gather(self) -> list[_Call[Item, Result]]:
        try:
            await asyncio.sleep(0)  # all that is ready in this turn of the loop comes along
        finally:
            self._gathering -= 1
        return self._take()

    def _take(self) -> list[_Call[Item, Result]]:
        """Take the next batch: in the order of arrival, and nothing whose subject is in flight."""
        share = -(-(len(self._waiting) + self._in_flight) // self._lanes_max)
        most = min(self._items_max, max(SHARE_MIN, share))
        batch: list[_Call[Item, Result]] = []
        left: list[_Call[Item, Result]] = []
        for index, call in enumerate(self._waiting):
            if len(batch) == most:
                left += self._waiting[index:]
                self._open_lane()
                break
            (left if call.subject in self._busy else batch).append(call)
        self._waiting = left
        self._in_flight += len(batch)
        if self._subject is not None:
            self._busy.update([call.subject for call in batch])
        return batch

    async def _fly(self, batch: list[_Call[Item, Result]]) -> None:
        began = time.perf_counter()
        try:
            results = await self._flush([call.item for call in batch])
            if self._on_flushed is not None:
                self._on_flushed(len(batch), time.perf_counter() - began)
            for call, result in zip(batch, results, strict=True):
                if not call.answer.done():
                    call.answer.set_result(result)
                elif self._unclaimed is not None:
                    self._unclaimed(call.item, result)
        except asyncio.CancelledError:
            for call in batch:
                call.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  (it belongs to the callers, also to those whom a flush left out)
            for call in batch:
                if not call.answer.done():
                    call.answer.set_exception(error)

    async def close(self) -> None:
        """Wait until nothing is in flight."""
        while self._lanes:
            await asyncio.wait(self._lanes)
