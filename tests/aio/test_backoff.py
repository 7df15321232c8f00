"""Pauses grow from try to try, up to a longest; jitter only shortens them."""

from __future__ import annotations

import pytest

from goconductor.aio.backoff import Backoff, doubled


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 0.5)
    assert [backoff.next() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_after_a_reset_the_first_pause_comes_again() -> None:
    backoff = Backoff(1.0, 8.0)
    for _ in range(3):
        backoff.next()
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [1.0, 2.0]


@pytest.mark.parametrize("jitter", [0.5, 1.0])
def test_jitter_leaves_its_part_to_chance_and_does_not_slow_the_growth(jitter: float) -> None:
    loops = [Backoff(1.0, 4.0, jitter=jitter) for _ in range(200)]
    for whole in (1.0, 2.0, 4.0, 4.0):
        pauses = [backoff.next() for backoff in loops]
        assert all(whole * (1 - jitter) <= pause <= whole for pause in pauses)
        assert len(set(pauses)) > 1


def test_a_pause_that_was_doubled_without_end_is_the_longest() -> None:
    assert [doubled(0.25, times, seconds_max=1.5) for times in range(4)] == [0.25, 0.5, 1.0, 1.5]
    assert doubled(0.25, 1_000_000, seconds_max=1.5) == 1.5
