"""The rules of the two keys, for all journals.

A leaf provides three things: a transaction with timeouts of its own; ``claim``, which writes a key first, or reads what is there;
and ``finish``, which marks the key that this transaction holds open as done. Everything else follows:

* **The key comes first in its transaction.** Its unique index makes a second run of the same key wait until the first has ended.
  After a commit the second sees the key; after a rollback the key is free again. So of two at the same moment one runs.
* **The action's key comes before the compensation's**, everywhere, so no two transactions wait for one another in a circle.
* **A key written in the transaction of an effect is ``open`` until the effect is done.** Nobody else ever sees an open key,
  unless the step's own code committed: then its effect may stand and its result is unknown. Such a key is never run again, and
  never counts as absent; every later call reports it, until a person has looked.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import msgspec

from goconductor.errors import JournalError, PayloadError
from goconductor.ports.journal import EffectKey, Entry, Found, Pool, Tx

T = TypeVar("T")

RESULT_BYTES_MAX = 1024 * 1024


class State(enum.StrEnum):
    """What is written under a key."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


class Row(msgspec.Struct, frozen=True):
    """What stands under a key."""

    state: State
    result: bytes | None = None


class KeyedJournal(ABC, Generic[Tx]):
    """A :class:`goconductor.ports.journal.Journal` on three operations of a leaf.

    Args:
        result_bytes_max: the largest output that is stored, in bytes; a larger one is refused before the commit.
    """

    def __init__(self, *, result_bytes_max: int = RESULT_BYTES_MAX) -> None:
        self._result_bytes_max = result_bytes_max

    @property
    def result_bytes_max(self) -> int:
        return self._result_bytes_max

    @property
    def pool(self) -> Pool | None:
        return None

    @abstractmethod
    async def create_table(self) -> None: ...

    @abstractmethod
    async def forget(self, older_than_seconds: float) -> int: ...

    @abstractmethod
    async def _transact(self, body: Callable[[Tx], Awaitable[T]], timeout_seconds: float) -> T:
        """Commit when ``body`` returns, roll back when it raises; what ``body`` raises passes through."""

    @abstractmethod
    async def _claim(self, tx: Tx, key: str, state: State, result: bytes | None = None) -> Row | None:
        """Write the key and return None; or, if it is there (after waiting for a run that holds it), return its row."""

    @abstractmethod
    async def _finish(self, tx: Tx, key: str, result: bytes | None) -> None:
        """Mark the key that this transaction claimed as open as done.

        Raises:
            JournalError: the transaction is no longer the one that claimed the key, or cannot be committed.
        """

    async def run_action(self, key: EffectKey, call: Callable[[Tx], Awaitable[bytes]], *, timeout_seconds: float) -> Entry:
        async def body(tx: Tx) -> Entry:
            if row := await self._claim(tx, key.action, State.OPEN):
                return _entry(key.action, row)
            result = await call(tx)
            if len(result) > self._result_bytes_max:
                raise PayloadError(
                    "$",
                    f"the step's output has {len(result)} bytes, the journal takes {self._result_bytes_max}: "
                    "return less, or a reference to where it is kept",
                )
            await self._finish(tx, key.action, result)
            return Entry(found=Found.RAN, result=result)

        return await self._transact(body, timeout_seconds)

    async def fail_action(self, key: EffectKey, failure: bytes, *, timeout_seconds: float) -> Entry:
        async def body(tx: Tx) -> Entry:
            row = await self._claim(tx, key.action, State.FAILED, failure)
            return _entry(key.action, row or Row(State.FAILED, failure))

        return await self._transact(body, timeout_seconds)

    async def run_compensation(
        self, key: EffectKey, call: Callable[[Tx, bytes], Awaitable[None]], *, timeout_seconds: float
    ) -> Entry:
        async def body(tx: Tx) -> Entry:
            action = await self._claim(tx, key.action, State.REFUSED) or Row(State.REFUSED)
            _entry(key.action, action)  # raises if it was left open
            happened = action.state is State.DONE
            if row := await self._claim(tx, key.compensation, State.OPEN if happened else State.DONE):
                return _entry(key.compensation, row)
            if not happened:
                return Entry(found=Found.NULL)
            await call(tx, b"null" if action.result is None else action.result)
            await self._finish(tx, key.compensation, None)
            return Entry(found=Found.RAN)

        return await self._transact(body, timeout_seconds)

    async def settle(self, key: EffectKey, *, timeout_seconds: float) -> Entry:
        async def body(tx: Tx) -> Entry:
            return _entry(key.action, await self._claim(tx, key.action, State.REFUSED) or Row(State.REFUSED))

        return await self._transact(body, timeout_seconds)

    async def skip(self, key: EffectKey, *, timeout_seconds: float) -> Entry:
        async def body(tx: Tx) -> Entry:
            await self._claim(tx, key.action, State.REFUSED)
            row = await self._claim(tx, key.compensation, State.REFUSED)
            return _entry(key.compensation, row or Row(State.REFUSED))

        return await self._transact(body, timeout_seconds)


def _entry(key: str, row: Row) -> Entry:
    match row.state:
        case State.DONE:
            return Entry(found=Found.SEEN, result=row.result)
        case State.FAILED:
            return Entry(found=Found.FAILED, result=row.result)
        case State.REFUSED:
            return Entry(found=Found.REFUSED)
        case State.OPEN:
            raise JournalError(
                f"the effect of {key!r} was committed by the step's own code, so its result is unknown: remove COMMIT and "
                "ROLLBACK from the step, look at what it did, then set this key's state to 'done' with the result as JSON, "
                "or delete its row to let it run again"
            )
