"""The effect journal: idempotency keys of effects, in the service's own database, in the transaction of the effect.

Two keys belong to a step's round: the action's and the compensation's. Whoever writes a key first decides for ever: an
action that ran has ``done``; one that reported its last failure ``failed``; one that was compensated, settled or skipped
before it ran ``refused``. The idea is the idempotent receiver (Hohpe & Woolf 2003) with the compensation's side added, so that
a null compensation is remembered (suspension).
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, Protocol, TypeVar

import msgspec

Tx = TypeVar("Tx")
Tx_co = TypeVar("Tx_co", covariant=True)
T = TypeVar("T")


class Found(enum.StrEnum):
    """The state of a key in the journal."""

    RAN = "ran"
    """It ran now, and its transaction is committed."""
    SEEN = "seen"
    """It had run before: the stored result is returned, and nothing was called."""
    FAILED = "failed"
    """Its last failure is stored here; nothing was called. For an action only."""
    REFUSED = "refused"
    """It must not run: the compensation, a settlement or a skip came first; nothing was called."""
    NULL = "null"
    """A compensation that found no effect: nothing was called, both keys are written."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the journal. ``result`` is the action's stored output or failure as JSON."""

    found: Found
    result: bytes | None = None


class EffectKey(msgspec.Struct, frozen=True):
    """The two keys of one round of a step, each the same on every retry."""

    action: str
    compensation: str


class Pool(NamedTuple):
    """The connections that a journal's transactions share.

    Attributes:
        of: the same object for journals that share them.
        size: how many there are at most.
    """

    of: object
    size: int


class Journal(Protocol[Tx_co]):
    """One service's journal. ``timeout_seconds`` bounds every transaction by its own statement, lock and idle timeouts in
    the database, so that a stopped process cannot hold it open.

    1. ``run_action`` opens a transaction, writes the action's key, calls, stores the bytes that the call returns and commits:
       RAN. Key present: SEEN, FAILED or REFUSED, and nothing is called.
    2. If the call raises, the transaction is rolled back, the key with it, and the exception passes through.
    3. ``fail_action`` writes FAILED under the action's key in a transaction of its own, unless the key is present: then that
       entry is returned (a success found there is reported instead).
    4. ``run_compensation``: compensation's key present: SEEN, or REFUSED where a skip wrote it. Action's key ``done``: calls
       with the open transaction and the action's stored output, writes the compensation's key, commits: RAN. Otherwise: NULL,
       and both keys are written (the action's as REFUSED, unless FAILED stands there), so a late action is refused.
    5. ``settle`` writes REFUSED under the action's key if it is absent, and returns SEEN with the output, FAILED, or REFUSED.
    6. ``skip`` writes both keys (REFUSED where absent), and returns SEEN if the compensation had run, else REFUSED.
    7. Of two calls at the same moment under one key, one runs, and the other waits and sees its result.
    8. When the answer to a commit is lost, :class:`JournalError` is raised; the same call again finds what happened. A COMMIT is
       never cancelled. A key that was found counts only after an acknowledged commit of the same connection, because a primary
       may show what its synchronous standby does not have yet.
    9. A result larger than ``result_bytes_max`` is refused by :class:`PayloadError` before the commit: nothing happened.
    10. ``forget`` deletes keys older than a number of seconds; safe once their deadline and their saga are over.
    11. ``pool`` returns how many transactions may be open at once, so that no more steps are granted than get a connection; None
        where there is no bound, or none that is known.
    12. A journal that no step can use now raises :class:`JournalUnavailableError`: the database is away, the table is absent,
        a right is missing. Its steps wait, and are shown as waiting for it with the error's text.
    13. A library that blocks has transactions that belong to a thread. Its journal is a :class:`ThreadJournal`: what it gives to
        a call runs functions with the transaction on that thread, and steps are plain functions. A call that is cancelled while
        its function runs on commits nothing; until that returns, its connection is missing in ``pool``.
    """

    @property
    def result_bytes_max(self) -> int: ...

    @property
    def pool(self) -> Pool | None: ...

    async def create_table(self) -> None: ...

    async def run_action(self, key: EffectKey, call: Callable[[Tx_co], Awaitable[bytes]], *, timeout_seconds: float) -> Entry: ...

    async def fail_action(self, key: EffectKey, failure: bytes, *, timeout_seconds: float) -> Entry: ...

    async def run_compensation(
        self, key: EffectKey, call: Callable[[Tx_co, bytes], Awaitable[None]], *, timeout_seconds: float
    ) -> Entry: ...

    async def settle(self, key: EffectKey, *, timeout_seconds: float) -> Entry: ...
    async def skip(self, key: EffectKey, *, timeout_seconds: float) -> Entry: ...
    async def forget(self, older_than_seconds: float) -> int: ...


class ThreadTransaction(Protocol[Tx_co]):
    """A transaction that belongs to a thread."""

    async def run(self, function: Callable[[Tx_co], T]) -> T:
        """Call a function with the transaction, on its thread, and return what it returns."""
        ...


class ThreadJournal(Journal[ThreadTransaction[Tx_co]], Protocol[Tx_co]):
    """A journal of a library that blocks: duty 13."""

    on_threads: Literal[True]
