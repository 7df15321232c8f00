"""When a subscription of the PostgreSQL bus looks, and what it believes of its queues, by the clock of the test."""

from goconductor.buses.postgres.schedule import Floors, Interval, Looks


def waits(looks: Looks, *, found: bool, took_seconds: float = 0.0, count: int = 1) -> list[float]:
    """How long it waits after each of some looks, in seconds."""
    waited, now = [], 1_000.0
    for _ in range(count):
        looks.begin()
        looks.end(now, took_seconds, found=found)
        waited.append(round(looks.seconds_left(now), 3))
        assert not looks.is_due(now)
        now += waited[-1]
        assert looks.is_due(now + 0.001)
    return waited


def test_the_first_look_is_at_once() -> None:
    looks = Looks(0.01, 1.0)
    assert looks.is_due(0.0)
    assert looks.seconds_left(0.0) == 0.0


def test_while_there_is_nothing_looks_are_ever_further_apart() -> None:
    assert waits(Looks(0.01, 0.1), found=False, count=6) == [0.01, 0.02, 0.04, 0.08, 0.1, 0.1]


def test_a_look_that_finds_something_is_followed_by_another_soon() -> None:
    looks = Looks(0.01, 1.0)
    waits(looks, found=False, count=5)
    assert waits(looks, found=True) == [0.01]


def test_slow_looks_take_a_tenth_of_the_time_at_most() -> None:
    assert waits(Looks(0.01, 1.0), found=False, took_seconds=0.5) == [5.0]


def test_news_during_a_look_asks_for_another_one_and_starts_again_with_short_waits() -> None:
    looks = Looks(0.01, 1.0)
    waits(looks, found=False, count=5)
    looks.begin()
    looks.at_once = True
    looks.end(2_000.0, 0.0, found=False)
    assert looks.is_due(2_000.0)
    assert waits(looks, found=False) == [0.01]


def test_an_interval_is_due_at_first_and_again_when_it_is_over_or_somebody_hurries() -> None:
    registering = Interval(60.0)
    assert registering.is_due(1.0)
    registering.done(1.0)
    assert not registering.is_due(60.9)
    assert registering.is_due(61.0)
    registering.done(61.0)
    registering.hurry()
    assert registering.is_due(61.0)


def test_floors_are_wanted_after_a_slow_look_and_believed_for_a_while() -> None:
    floors = Floors()
    assert floors.of([1, 2], 100.0) == [0, 0]
    assert not floors.are_wanted(100.0, 0.001)
    assert floors.are_wanted(100.0, 0.1)
    floors.found({1: 7}, 100.0, 0.1)  # found in a tenth of a second: believed for two
    assert floors.of([2, 1], 101.9) == [0, 7]
    assert not floors.are_wanted(101.9, 0.1)
    assert floors.of([1], 102.0) == [0]
    assert floors.are_wanted(102.0, 0.1)
    floors.found({1: 8}, 102.0, 0.0)
    floors.forget()
    assert floors.of([1], 102.0) == [0]
