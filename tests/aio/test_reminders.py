"""A trouble is logged at once, and again at growing intervals for as long as it lasts."""

from __future__ import annotations

from goconductor.aio.reminders import Reminder


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


def seconds_logged(reminder: Reminder, clock: Clock, *, until: int) -> list[int]:
    logged = []
    for second in range(until):
        if reminder.is_due():
            logged.append(second)
        clock.advance(1.0)
    return logged


def test_the_intervals_grow_up_to_the_longest() -> None:
    clock = Clock()
    assert seconds_logged(Reminder(2.0, 8.0, monotonic=clock.monotonic), clock, until=32) == [0, 2, 6, 14, 22, 30]


def test_equal_bounds_make_equal_intervals() -> None:
    clock = Clock()
    assert seconds_logged(Reminder(5.0, 5.0, monotonic=clock.monotonic), clock, until=16) == [0, 5, 10, 15]


def test_a_trouble_after_a_long_silence_is_a_new_one() -> None:
    clock = Clock()
    reminder = Reminder(2.0, 8.0, monotonic=clock.monotonic)
    seconds_logged(reminder, clock, until=15)
    clock.advance(60.0)
    assert seconds_logged(reminder, clock, until=7) == [0, 2, 6]


def test_a_trouble_that_has_ended_is_logged_at_once_when_it_returns() -> None:
    clock = Clock()
    reminder = Reminder(2.0, 8.0, monotonic=clock.monotonic)
    assert not reminder.end()
    assert reminder.is_due()
    assert reminder.end()
    assert not reminder.end()
    assert seconds_logged(reminder, clock, until=3) == [0, 2]
