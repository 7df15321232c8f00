"""The search itself, on worlds whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.protocol.explorer import FAULT, WORK, Move, Promise, explore


@dataclass(frozen=True)
class Count:
    """Counts up to an end, by ones, and where a fault is allowed also by twos."""

    end: int = 5
    forbidden: int | None = None
    fault: bool = False
    trap: int | None = None

    def begin(self) -> int:
        return 0

    def moves(self, state: int) -> Iterator[Move[int]]:
        if state < self.end and state != self.trap:
            yield Move(f"to {state + 1}", WORK, state + 1)
            if self.fault and state + 2 <= self.end:
                yield Move(f"jump to {state + 2}", FAULT, state + 2)

    def broken(self, state: int) -> str | None:
        return f"{state} is forbidden" if state == self.forbidden else None

    def promises(self) -> tuple[Promise[int], ...]:
        return (Promise("reaches the end", frozenset({WORK}), lambda state: state == self.end),)


def test_every_state_is_visited_once() -> None:
    finding = explore(Count(end=7, fault=True))
    assert (finding.states, finding.broken) == (8, None)


def test_a_bad_state_is_found_with_one_of_the_shortest_schedules() -> None:
    finding = explore(Count(forbidden=4, fault=True))
    assert finding.broken == "4 is forbidden"
    assert finding.schedule == ("jump to 2", "jump to 4")


def test_a_state_that_leads_nowhere_breaks_the_promise() -> None:
    finding = explore(Count(trap=3))
    assert finding.broken == "reaches the end: no way to that from 4 states"


def test_a_way_through_faults_does_not_count() -> None:
    assert explore(Count(end=4, trap=2)).broken is not None
    assert explore(Count(end=4, fault=True)).broken is None


def test_a_search_that_is_too_large_says_so() -> None:
    with pytest.raises(RuntimeError, match="more than 3 states: give the model fewer faults"):
        explore(Count(end=9), states_max=3)
