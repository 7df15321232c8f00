"""The bound for Python on one PostgreSQL: written by hand, and all that wants to be committed goes into one transaction.

A step goes on when its commit has come back, as everywhere else. Two connections: one's commit is on its way to the disk while
the other collects. All sagas must be in one process, none is retried, none is found again after a crash.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, ClassVar

import asyncpg

from measuring import Run
from peers.contender import Contender
from peers.hand import NOT_SPREAD, TABLES, order_saga
from peers.work import Output, Workload

COMMITTERS = 2
BEGIN = "INSERT INTO orders (id, status, input) SELECT * FROM unnest($1::bigint[], $2::text[], $3::jsonb[])"
ADVANCE = """
    UPDATE orders SET status = new.status, step = new.step, outputs = outputs || new.output, changed_at = now()
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::jsonb[]) new (id, status, step, output) WHERE orders.id = new.id
"""
MOVE = """
    UPDATE orders SET status = new.status, step = new.step, changed_at = now()
    FROM unnest($1::bigint[], $2::text[], $3::text[]) new (id, status, step) WHERE orders.id = new.id
"""
KEEP = "INSERT INTO outputs (order_id, step, output) SELECT * FROM unnest($1::bigint[], $2::text[], $3::jsonb[])"

Write = tuple[str, tuple[Any, ...]]


class Committer:
    """Commits all that has come since it last looked, on one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._waiting: list[tuple[list[Write], asyncio.Future[None]]] = []
        self._woken = asyncio.Event()

    def commit(self, *writes: Write) -> asyncio.Future[None]:
        """Done when these writes are durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(writes), done))
        self._woken.set()
        return done

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            batch, self._waiting = self._waiting, []
            async with self._connection.transaction():
                for statement in (BEGIN, ADVANCE, MOVE, KEEP):
                    rows = [row for writes, _ in batch for each, row in writes if each is statement]
                    if rows:
                        await self._connection.execute(statement, *map(list, zip(*rows, strict=True)))
            for _, done in batch:
                done.set_result(None)


class Together:
    """Books whose writes are committed with all others that wait.

    Args:
        committers: a saga stays with one of them, so that its writes are in order.
    """

    def __init__(self, committers: Sequence[Committer]) -> None:
        self._committers = committers
        self._numbers = itertools.count(time.time_ns())

    async def begin(self, order: Output) -> int:
        saga = next(self._numbers)
        await self._of(saga).commit((BEGIN, (saga, "running", json.dumps(order))))
        return saga

    async def advance(self, saga: int, status: str, step: str, output: Output, *, large: bool) -> None:
        if large:
            await self._of(saga).commit((MOVE, (saga, status, step)), (KEEP, (saga, step, json.dumps(output))))
        else:
            await self._of(saga).commit((ADVANCE, (saga, status, step, json.dumps({step: output}))))

    async def keep(self, saga: int, step: str, output: Output) -> None:
        await self._of(saga).commit((KEEP, (saga, step, json.dumps(output))))

    def _of(self, saga: int) -> Committer:
        return self._committers[saga % len(self._committers)]


class GroupCommit(Contender):
    """Many sagas' steps in one commit."""

    name = "hand-group"
    title = "hand-written, group commit: the bound"
    packages = ("asyncpg", "uvloop")
    tuning = (
        f"asyncpg, {COMMITTERS} connections, each commits at once whatever waits, by UNNESTed arrays. It has no "
        "retries and no recovery, and all sagas must be in one process"
    )
    cannot: ClassVar[Mapping[str, str]] = {"services": NOT_SPREAD}

    @asynccontextmanager
    async def running(self, workload: Workload, concurrency: int, where: Mapping[str, Any]) -> AsyncIterator[Run]:
        del concurrency
        connections = [await asyncpg.connect(where["url"]) for _ in range(COMMITTERS)]
        await connections[0].execute(TABLES)
        committers = [Committer(connection) for connection in connections]
        running = [asyncio.create_task(committer.run()) for committer in committers]
        try:
            yield partial(order_saga, Together(committers), workload)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            for connection in connections:
                await connection.close()


CONTENDER = GroupCommit()
