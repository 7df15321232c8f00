# ruff: noqa: SLF001 - the journal and its transaction are one thing in two classes
"""The effect journal in memory: a verified fake for tests, under the same suite as the real ones.

Its transaction is a small dictionary whose writes reach the journal's ``store`` with the commit, and are dropped when the
step raises. It ends by itself after its timeout, as a database's would: then another run of its key goes on, and what was
stopped cannot commit any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from goconductor.errors import JournalError
from goconductor.journals.keys import RESULT_BYTES_MAX, KeyedJournal, Row, State, T

_DELETED = object()


class MemoryTransaction(MutableMapping[str, Any]):
    """A dictionary over the journal's store. It sees what is committed, and its own writes, which nobody else sees yet.

    Raises:
        JournalError: from every use after the transaction has ended.
    """

    def __init__(self, store: MutableMapping[str, Any], timeout_seconds: float) -> None:
        self._store = store
        self._timeout_seconds = timeout_seconds
        self._writes: dict[str, Any] = {}
        self._rows: dict[str, Row] = {}
        self._ended = asyncio.Event()

    def __getitem__(self, name: str) -> Any:
        self._check()
        value = self._writes.get(name, self._store.get(name, _DELETED))
        if value is _DELETED:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self._check()
        self._writes[name] = value

    def __delitem__(self, name: str) -> None:
        self[name]
        self._writes[name] = _DELETED

    def __iter__(self) -> Iterator[str]:
        self._check()
        return iter([name for name in {**self._store, **self._writes} if self._writes.get(name) is not _DELETED])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _check(self) -> None:
        if self._ended.is_set():
            raise JournalError("this transaction has ended: the step has returned, or was longer than its timeout")


class MemoryJournal(KeyedJournal[MemoryTransaction]):
    """A :class:`goconductor.ports.journal.Journal` that lasts as long as this object.

    Args:
        store: where committed writes go; the "service's database" of a test.
        result_bytes_max: the largest output that is stored, in bytes.
        now: the clock by which keys grow old, in seconds.
    """

    def __init__(
        self,
        store: MutableMapping[str, Any] | None = None,
        *,
        result_bytes_max: int = RESULT_BYTES_MAX,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(result_bytes_max=result_bytes_max)
        self.store: MutableMapping[str, Any] = {} if store is None else store
        self.waiting = asyncio.Event()
        """A signal for tests: set when a run begins to wait for another one that holds its key."""
        self._now = now
        self._rows: dict[str, tuple[Row, float]] = {}
        self._holders: dict[str, MemoryTransaction] = {}

    async def create_table(self) -> None:
        """Create nothing: the keys are in memory."""

    async def forget(self, older_than_seconds: float) -> int:
        before = self._now() - older_than_seconds
        old = [key for key, (_, at) in self._rows.items() if at < before]
        for key in old:
            del self._rows[key]
        return len(old)

    async def _transact(self, body: Callable[[MemoryTransaction], Awaitable[T]], timeout_seconds: float) -> T:
        tx = MemoryTransaction(self.store, timeout_seconds)
        timer = asyncio.get_running_loop().call_later(timeout_seconds, self._end, tx)
        try:
            answer = await body(tx)
            tx._check()
            self._commit(tx)
            return answer
        finally:
            timer.cancel()
            self._end(tx)

    def _commit(self, tx: MemoryTransaction) -> None:
        at = self._now()
        self._rows.update({key: (row, at) for key, row in tx._rows.items()})
        for name, value in tx._writes.items():
            if value is _DELETED:
                self.store.pop(name, None)
            else:
                self.store[name] = value

    def _end(self, tx: MemoryTransaction) -> None:
        tx._ended.set()
        for key in tx._rows:
            if self._holders.get(key) is tx:
                del self._holders[key]

    async def _claim(self, tx: MemoryTransaction, key: str, state: State, result: bytes | None = None) -> Row | None:
        while (holder := self._holders.get(key, tx)) is not tx:
            self.waiting.set()
            try:
                async with asyncio.timeout(tx._timeout_seconds):
                    await holder._ended.wait()
            except TimeoutError as error:
                raise JournalError(f"another run of {key!r} has not ended in time; try again later") from error
        tx._check()
        if key in self._rows:
            return self._rows[key][0]
        self._holders[key] = tx
        tx._rows[key] = Row(state, result)
        return None

    async def _finish(self, tx: MemoryTransaction, key: str, result: bytes | None) -> None:
        tx._check()
        tx._rows[key] = Row(State.DONE, result)
