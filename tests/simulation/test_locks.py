"""Sagas that want a few keys in any order, while everything goes wrong: no key has two holders, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter

import pytest

from goconductor.engine.locks import Locks
from goconductor.ports.store.log import queues
from tests.simulation.simulated.run import Options, Result
from tests.simulation.simulated.simulation import simulate

SEEDS = range(12)


def locked(seed: int) -> Result:
    return simulate(Options(seed=seed, sagas=8, locks=True))


def test_no_promise_is_broken_where_sagas_want_locks() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        result = locked(seed)
        assert not result.wrong, f"seed {seed}, with locks: {result.wrong}"
        for event in ("LocksGranted", "DeadlockFound"):
            seen[event] += sum(f": {event} " in line for line in result.transcript)
    assert seen["LocksGranted"] > len(SEEDS)
    assert seen["DeadlockFound"]


def test_no_promise_is_broken_where_such_sagas_have_children() -> None:
    granted, children = 0, 0
    for seed in range(6):
        result = simulate(Options(seed=seed, sagas=8, locks=True, children=True))
        assert not result.wrong, f"seed {seed}, with locks and children: {result.wrong}"
        granted += sum(": LocksGranted " in line for line in result.transcript)
        children += result.ends.total() - 8
    assert granted > 6
    assert children > 6


def test_without_the_search_sagas_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def search(*_: object) -> None: ...

    monkeypatch.setattr(Locks, "_search", search)
    assert any("has not ended" in wrong for seed in SEEDS for wrong in locked(seed).wrong)


def test_without_a_look_at_the_holders_a_key_has_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_is_free", lambda *_, **__: True)
    assert any("is held by" in wrong for wrong in locked(0).wrong)
