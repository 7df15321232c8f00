"""Starts of sagas in memory."""

from __future__ import annotations

from collections.abc import Sequence

from goconductor.errors import ConfigurationError
from goconductor.ports.store import Head, Outcome, Start, Verdict
from goconductor.ports.store.log.transactions import Transaction
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.appends import numbered, refuse_duplicates
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.stores.memory.log.refusals import problem_of_start


class MemoryStarts:
    """The beginnings of sagas."""

    def __init__(self, data: Data, leases: MemoryLeases) -> None:
        self._data = data
        self._leases = leases

    async def start(self, starts: Sequence[Start]) -> list[Outcome]:
        refuse_duplicates([start.saga_id for start in starts])
        return [self._start(start) for start in starts]

    async def start_in(self, transaction: Transaction, start: Start) -> Outcome:  # noqa: ARG002 - as the port has it
        """Refuse: a saga cannot begin in a transaction of a database where the log is in memory.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(
            f"saga {start.saga!r} cannot start in a transaction of yours: its log is in memory; use the store 'postgres'"
        )

    def _start(self, start: Start) -> Outcome:
        if problem := problem_of_start(start):
            return Outcome(verdict=Verdict.REJECTED, problem=problem)
        if start.key is not None and (held := self._data.keys.get((start.namespace, start.saga, start.key))):
            same = held[1] == start.input_hash
            return Outcome(verdict=Verdict.ALREADY_STARTED if same else Verdict.OTHER_INPUT, existing=held[0])
        if start.saga_id in self._data.heads:
            return Outcome(verdict=Verdict.ALREADY_STARTED, existing=start.saga_id)
        if start.key is not None:
            self._data.keys[start.namespace, start.saga, start.key] = start.saga_id, start.input_hash
        self._data.write(start.saga_id, numbered(start.entries, 0, start.new_tag))
        now = self._data.now()
        self._data.heads[start.saga_id] = Head(
            saga_id=start.saga_id,
            saga=start.saga,
            version=start.version,
            status=start.status,
            seq=len(start.entries),
            tag=start.new_tag,
            wake_at=start.wake_at,
            last_instance=start.instance,
            labels=dict(start.labels),
            started_at=now,
            updated_at=now,
        )
        self._data.note(start.notes)
        return Outcome(verdict=Verdict.WON, took=self._leases.take(start.take, now))
