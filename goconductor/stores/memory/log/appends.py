"""The sagas' logs in memory."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from goconductor.ports.store import Append, Known, LogEntry, Outcome, Tail, Verdict
from goconductor.stores.memory.data import Data
from goconductor.stores.memory.log.leases import MemoryLeases
from goconductor.stores.memory.log.refusals import problem_of_append


class MemoryLog:
    """Logs and their heads."""

    def __init__(self, data: Data, leases: MemoryLeases) -> None:
        self._data = data
        self._leases = leases

    async def append(self, appends: Sequence[Append]) -> list[Outcome]:
        refuse_duplicates([append.saga_id for append in appends])
        return [self._append(append) for append in appends]

    def _append(self, append: Append) -> Outcome:
        now = self._data.now()
        if append.epoch and not self._data.leads(append.epoch):
            return Outcome(verdict=Verdict.FENCED)
        ids = self._data.signals.get(append.saga_id, {})
        if any(signal.id in ids for signal in append.signals):
            return Outcome(verdict=Verdict.KNOWN_SIGNAL)
        head = self._data.heads.get(append.saga_id)
        if head is None or (head.seq, head.tag) != (append.seq, append.tag):
            return Outcome(verdict=Verdict.CONFLICT)
        if not all(map(self._is_at, append.unchanged)):
            return Outcome(verdict=Verdict.CONFLICT)
        if append.due_at is not None and append.due_at > now:
            return Outcome(verdict=Verdict.NOT_DUE)
        if problem := problem_of_append(append):
            return Outcome(verdict=Verdict.REJECTED, problem=problem)
        self._data.write(append.saga_id, numbered(append.entries, head.seq, append.new_tag))
        self._data.heads[append.saga_id] = replace(
            head,
            version=head.version if append.version is None else append.version,
            status=append.status,
            seq=head.seq + len(append.entries),
            tag=append.new_tag,
            wake_at=append.wake_at,
            last_instance=append.instance,
            updated_at=now,
        )
        if append.signals:
            self._data.signals[append.saga_id] = ids | {signal.id: signal.digest for signal in append.signals}
        self._data.note(append.notes)
        self._leases.let_go(append.release, told=True)
        return Outcome(verdict=Verdict.WON, took=self._leases.take(append.take, now))

    def _is_at(self, known: Known) -> bool:
        head = self._data.heads.get(known.saga_id)
        return head is not None and (head.seq, head.tag) == (known.seq, known.tag)

    async def read(self, known: Sequence[Known]) -> list[Tail]:
        return [self._data.tail(one) for one in known]


def numbered(entries: Sequence[LogEntry], seq: int, tag: int) -> list[LogEntry]:
    """Give entries their places in a log."""
    return [replace(entry, seq=number, tag=tag) for number, entry in enumerate(entries, seq + 1)]


def refuse_duplicates(saga_ids: Sequence[UUID]) -> None:
    """Refuse a batch that has a saga twice.

    Raises:
        ValueError: it has.
    """
    if len(set(saga_ids)) != len(saga_ids):
        raise ValueError("a batch may hold each saga once: fold the facts about it into one entry")
