"""The journals of the simulated services: a commit travels to the service's database, and its answer may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from goconductor.errors import JournalError, JournalUnavailableError
from goconductor.journals.keys import T
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from tests.simulation.simulated.faults import Fault, Faults
from tests.simulation.simulated.loop import Machine, SimulatedLoop

DIALLING_SECONDS = 25.0
"""So long may a connection be waited for, before the transaction begins."""


class ServiceDatabase(MemoryJournal):
    """The database of one service: its effects, and their keys.

    Args:
        loop: the simulation's.
        faults: what goes wrong on the way.
        travel: draws how long a call is on its way, in seconds.
        on_commit: called with what the database holds, after each commit.
    """

    def __init__(
        self, loop: SimulatedLoop, faults: Faults, travel: Callable[[], float], on_commit: Callable[[dict[str, Any]], None]
    ) -> None:
        self.held: dict[str, Any] = {}
        super().__init__(self.held, now=loop.time)
        self._loop, self._faults, self._travel, self._on_commit = loop, faults, travel, on_commit
        self._machine = loop.machine("service's database")
        self._open: dict[int, tuple[MemoryTransaction, Machine]] = {}  # by id: a transaction is a mapping, without a hash

    def forget_process(self, machine: Machine) -> None:
        """Roll back what a process has left open, as its connections are gone."""
        for tx in [tx for tx, owner in self._open.values() if owner is machine]:
            self._roll_back(tx)

    async def _transact(self, body: Callable[[MemoryTransaction], Awaitable[T]], timeout_seconds: float) -> T:
        tx = MemoryTransaction(self.store, timeout_seconds)
        task = asyncio.current_task()
        self._open[id(tx)] = tx, task.machine  # type: ignore[union-attr]
        with self._loop.on(self._machine):  # the database ends it, also where its process is stopped
            timer = self._loop.call_later(timeout_seconds, self._roll_back, tx)
        try:
            chance = self._faults.chance(Fault.JOURNAL_AWAY)
            await asyncio.sleep(self._travel() + (DIALLING_SECONDS * chance.random() if chance.random() < 0.2 else 0.0))
            if self._faults.strikes(Fault.JOURNAL_AWAY):
                raise JournalUnavailableError("the journal's database does not answer")
            answer = await body(tx)
            tx._check()
            return await self._committed(tx, answer)
        finally:
            timer.cancel()
            if id(tx) in self._open:
                self._roll_back(tx)

    async def _committed(self, tx: MemoryTransaction, answer: T) -> T:
        """Send the commit. Once it is on its way, nothing that happens to its process calls it back."""
        del self._open[id(tx)]
        lost = self._faults.strikes(Fault.COMMIT_UNKNOWN)
        arrives = not lost or self._faults.chance(Fault.COMMIT_UNKNOWN).random() < 0.5
        told: asyncio.Future[None] = self._loop.create_future()
        with self._loop.on(self._machine):
            self._loop.call_later(self._travel(), self._arrive, tx, told, arrives, lost)
        await told
        return answer

    def _arrive(self, tx: MemoryTransaction, told: asyncio.Future[None], arrives: bool, lost: bool) -> None:
        if arrives and not tx._ended.is_set():
            self._commit(tx)
            self._on_commit(self.held)
        elif not lost:
            lost = True  # it took too long, and was rolled back
        self._end(tx)
        self._loop.call_later(self._travel(), self._tell, told, lost)

    def _tell(self, told: asyncio.Future[None], lost: bool) -> None:
        if told.done():
            return
        if lost:
            told.set_exception(JournalError("the answer to a commit was lost"))
        else:
            told.set_result(None)

    def _roll_back(self, tx: MemoryTransaction) -> None:
        self._open.pop(id(tx), None)
        self._end(tx)
