"""Callers who start orders and wait for them, others who only look, and one who asks whether the database takes writes.

Each notes what it was told and when. What was told is compared with the log afterwards, so callers judge nothing that could still
become true.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from goconductor import CompensatedError, Conductor, SagaHandle
from goconductor.errors import SagaNotFoundError, StoreUnavailableError
from tests.failover.shop import Order, order

STARTS_PER_SECOND = 8.0
RESULT_SECONDS = 900.0
PROBE = "CREATE TABLE probe (at timestamptz)"
PROBING = "probe"
"""What the server calls the probe's connections."""


@dataclass
class Told:
    """What callers were told, by the monotonic clock."""

    accepted: dict[UUID, tuple[str, float]] = field(default_factory=dict)
    """Each start that was accepted: its key, and when."""
    ended: dict[UUID, tuple[str, float]] = field(default_factory=dict)
    seen: dict[UUID, str] = field(default_factory=dict)
    """The last status that somebody who only looks was shown."""
    unknown: list[UUID] = field(default_factory=list)
    """Accepted sagas of which somebody was told that there are none."""
    undone: list[str] = field(default_factory=list)
    """Ends that were taken back."""
    refused: int = 0
    """Starts that were answered by *unavailable*."""
    writable: list[float] = field(default_factory=list)

    def accepts(self) -> list[float]:
        """When starts were accepted, in order."""
        return sorted(at for _, at in self.accepted.values())


class Callers:
    """All of them, until :meth:`enough`.

    Args:
        conductor: of those who start.
        reader: of those who only look; another client, with connections of its own.
        probed: the addresses where the probe writes; one of them is enough.
    """

    def __init__(self, conductor: Conductor, reader: Conductor, probed: Sequence[str]) -> None:
        self.told = Told()
        self._conductor, self._reader, self._probed = conductor, reader, probed
        self._wanted = True
        self._waiting: set[asyncio.Task[None]] = set()
        self._loops = [asyncio.create_task(each) for each in (self._start_all(), self._look(), self._probe())]

    async def enough(self) -> None:
        """Start no more, and wait until every caller has its answer."""
        self._wanted = False
        await self._loops[0]
        await asyncio.gather(*self._waiting)
        self._loops[1].cancel()
        self._loops[2].cancel()
        await asyncio.wait(self._loops)

    def stop(self) -> None:
        """Leave without an answer, where the test has failed."""
        for task in (*self._loops, *self._waiting):
            task.cancel()

    async def goes_on(self, sagas: int = 5) -> None:
        """Wait until some more sagas that are started from now on have ended."""
        since = time.monotonic()
        while sum(at > since for saga_id, (_, at) in self.told.accepted.items() if saga_id in self.told.ended) < sagas:
            await asyncio.sleep(0.05)
            self._fail_early()

    def _fail_early(self) -> None:
        for task in (*self._loops, *self._waiting):
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def _start_all(self) -> None:
        for number in itertools.count(1):
            if not self._wanted:
                return
            task = asyncio.create_task(self._one(number))
            self._waiting.add(task)
            await asyncio.sleep(1 / STARTS_PER_SECOND)

    async def _one(self, number: int) -> None:
        handle = await self._started(number)
        self.told.accepted[handle.saga_id] = f"order {number}", time.monotonic()
        try:
            await handle.result(timeout_seconds=RESULT_SECONDS)
        except CompensatedError:
            status = "compensated"
        except SagaNotFoundError:
            self.told.unknown.append(handle.saga_id)
            return
        else:
            status = "completed"
        self.told.ended[handle.saga_id] = status, time.monotonic()

    async def _started(self, number: int) -> SagaHandle[None]:
        while True:
            try:
                return await self._conductor.start(order, Order(number), key=f"order {number}")
            except StoreUnavailableError:
                self.told.refused += 1
                await asyncio.sleep(0.2)

    async def _look(self) -> None:
        """Look at the latest sagas, over and over."""
        while True:
            for saga_id in [*self.told.accepted][-20:]:
                try:
                    status = (await self._reader.saga(saga_id).view()).status
                except StoreUnavailableError:
                    await asyncio.sleep(0.1)
                except SagaNotFoundError:
                    self.told.unknown.append(saga_id)
                else:
                    before = self.told.seen.get(saga_id)
                    if before in ("completed", "compensated") and status != before:
                        self.told.undone.append(f"saga {saga_id} was shown as {before}, then as {status}")
                    self.told.seen[saga_id] = status
            await asyncio.sleep(0.05)

    async def _probe(self) -> None:
        """Write, each time by a new connection: when does the address lead to a primary that takes writes?"""
        while True:
            if any(await asyncio.gather(*map(_takes_writes, self._probed))):
                self.told.writable.append(time.monotonic())
            await asyncio.sleep(0.1)


async def _takes_writes(url: str) -> bool:
    try:
        async with asyncio.timeout(2):
            connection = await asyncpg.connect(url, server_settings={"application_name": PROBING})
            try:
                await connection.execute("INSERT INTO probe VALUES (now())")
            finally:
                connection.terminate()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        return False
    return True


def longest(times: list[float]) -> tuple[float, float, float]:
    """The longest pause between two of these times: how long, and its two ends."""
    pairs: Iterator[tuple[float, float]] = itertools.pairwise(times)
    before, after = max(pairs, key=lambda pair: pair[1] - pair[0])
    return after - before, before, after
