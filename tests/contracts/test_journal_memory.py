"""The journal in memory passes the suite of the real ones, and its transaction is a dictionary."""

from __future__ import annotations

from typing import Any

import pytest

from goconductor.errors import JournalError
from goconductor.journals.memory import MemoryJournal, MemoryTransaction
from goconductor.ports.journal import EffectKey, Entry, Found, Journal
from goconductor.testing.contracts.journal import JournalContract


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    async def journal(self) -> Journal[MemoryTransaction]:
        self.memory = MemoryJournal()
        return self.memory

    async def write(self, tx: MemoryTransaction, effect: str) -> None:
        tx[f"{len(tx)} {effect}"] = effect

    async def effects(self) -> list[str]:
        return list(self.memory.store.values())

    async def until_one_waits(self) -> None:
        await self.memory.waiting.wait()


KEY = EffectKey("action", "compensation")


async def run(journal: MemoryJournal, call: Any) -> Entry:
    async def action(tx: MemoryTransaction) -> bytes:
        call(tx)
        return b"null"

    return await journal.run_action(KEY, action, timeout_seconds=5)


async def test_writes_reach_the_store_with_the_commit() -> None:
    journal = MemoryJournal({"balance": 10, "hold": 3})

    def call(tx: MemoryTransaction) -> None:
        tx["balance"] -= tx.pop("hold")
        assert dict(tx) == {"balance": 7}
        assert journal.store == {"balance": 10, "hold": 3}

    assert (await run(journal, call)).found is Found.RAN
    assert journal.store == {"balance": 7}


async def test_writes_are_dropped_when_the_step_raises() -> None:
    journal = MemoryJournal({"balance": 10})

    def call(tx: MemoryTransaction) -> None:
        del tx["balance"]
        assert "balance" not in tx
        tx["nothing"]

    with pytest.raises(KeyError, match="nothing"):
        await run(journal, call)
    assert journal.store == {"balance": 10}


async def test_a_transaction_kept_beyond_its_step_is_of_no_use() -> None:
    kept: list[MemoryTransaction] = []
    await run(MemoryJournal({"balance": 10}), kept.append)
    with pytest.raises(JournalError, match="has ended"):
        kept[0]["balance"] = 0


async def test_keys_grow_old_by_the_clock_given() -> None:
    now = 0.0
    journal = MemoryJournal(now=lambda: now)
    await run(journal, lambda _tx: None)
    now = 60.0
    assert await journal.forget(60) == 0
    assert await journal.forget(59) == 1
