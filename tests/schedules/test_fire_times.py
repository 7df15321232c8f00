"""When a schedule fires: intervals, cron expressions, and the days on which the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goconductor.schedules.fire_times import (
    LOOKED_AT_MAX,
    NAMES,
    Cron,
    FireTimesError,
    Interval,
    due,
    reach_seconds,
)

ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "Africa/Casablanca", "Asia/Kolkata"]
DAYS_OF_CHANGE = [
    ("Europe/Berlin", "2027-03-28", "30 2 * * *", ["03:00+02:00"]),
    ("Europe/Berlin", "2027-03-28", "0 */2 * * *", ["00:00+01:00"] + [f"{hour:02}:00+02:00" for hour in range(4, 24, 2)]),
    ("Europe/Berlin", "2027-10-31", "30 2 * * *", ["02:30+02:00"]),
    ("Europe/Berlin", "2027-10-31", "30 0-3 * * *", ["00:30+02:00", "01:30+02:00", "02:30+02:00", "03:30+01:00"]),
    ("Australia/Lord_Howe", "2027-10-03", "15 2 * * *", ["02:30+11:00"]),
    ("America/Havana", "2027-03-14", "0 0 * * *", ["01:00-04:00"]),
    ("America/Havana", "2027-11-07", "0 0 * * *", ["00:00-04:00"]),
    ("Asia/Beirut", "2027-03-28", "30 0 * * *", ["01:00+03:00"]),
    ("Africa/Casablanca", "2027-02-07", "30 2 * * *", ["02:30+01:00"]),
]
"""Zone, day, expression, and the fires of that day."""


def moment(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def fires_of_day(cron: Cron, day: str) -> list[str]:
    start = datetime.fromisoformat(day)
    now = moment(day, cron.time_zone) - 1
    end = (start + timedelta(days=1)).replace(tzinfo=ZoneInfo(cron.time_zone)).timestamp()
    found = []
    while (now := cron.after(now)) < end:
        local = datetime.fromtimestamp(now, ZoneInfo(cron.time_zone))
        found.append(local.isoformat(timespec="minutes").partition("T")[2])
    return found


@pytest.mark.parametrize(("zone", "day", "expression", "expected"), DAYS_OF_CHANGE)
def test_on_the_days_of_the_clocks_change(zone: str, day: str, expression: str, expected: list[str]) -> None:
    assert fires_of_day(Cron(expression, zone), day) == expected


def test_an_hour_that_comes_twice_has_the_fires_of_an_expression_that_follows_the_clock_twice() -> None:
    fires = fires_of_day(Cron("30 * * * *", "Europe/Berlin"), "2027-10-31")
    assert len(fires) == 25
    assert fires[2:4] == ["02:30+02:00", "02:30+01:00"]


def test_a_schedule_that_begins_in_the_second_of_two_hours_does_not_fire_in_the_past() -> None:
    second = datetime(2027, 10, 31, 2, 15, tzinfo=ZoneInfo("Europe/Berlin"), fold=1).timestamp()
    fire = Cron("30 2 * * *", "Europe/Berlin").after(second)
    assert datetime.fromtimestamp(fire, UTC) == datetime(2027, 11, 1, 1, 30, tzinfo=UTC)


def test_two_times_in_one_gap_are_one_fire() -> None:
    assert fires_of_day(Cron("15,30 2 * * *", "Europe/Berlin"), "2027-03-28") == ["03:00+02:00"]


def test_days_are_joined_by_or_and_by_and_beside_a_star() -> None:
    either = Cron("0 0 13 * FRI", "UTC")  # a Thursday the 13th
    assert either.after(moment("2027-05-07")) == moment("2027-05-13")
    assert either.after(moment("2027-05-13")) == moment("2027-05-14")
    both = Cron("0 0 */13 * FRI", "UTC")  # 1, 14 and 27 of the month, where they are Fridays
    assert both.after(moment("2027-05-07")) == moment("2027-05-14")
    assert both.after(moment("2027-05-14")) == moment("2027-08-27")


def test_the_last_days_of_a_month() -> None:
    assert Cron("0 12 L * *", "UTC").after(moment("2028-02-01")) == moment("2028-02-29T12:00")
    assert Cron("0 12 * * 5L", "UTC").after(moment("2027-05-01")) == moment("2027-05-28T12:00")


def test_names_stand_for_expressions() -> None:
    for name, expression in NAMES.items():
        assert Cron(name, "Asia/Beirut").after(0.0) == Cron(expression, "Asia/Beirut").after(0.0)
    assert Cron("@yearly", "UTC").after(moment("2027-05-01")) == moment("2028-01-01")


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 */29 2 MON#5"])
def test_an_expression_that_never_fires_is_refused(expression: str) -> None:
    with pytest.raises(FireTimesError, match="never fires") as caught:
        Cron(expression, "UTC").after(moment("2027-01-01"))
    assert caught.value.field == "cron"


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("60 * * * *", "has '60' as its minute, which cannot be read; give 0 to 59"),
        ("* 25 * * *", "has '25' as its hour"),
        ("* * 0 * *", "has '0' as its day-of-month, which cannot be read; give 1 to 31, or L for the last"),
        ("* * * FOO *", "has 'FOO' as its month, which cannot be read; give 1 to 12, or JAN to DEC"),
        ("* * * * MON-XYZ", "has 'MON-XYZ' as its day-of-week"),
        ("* * 30 2 *", "never fires: the months that it names have no day 30; give another day, or other months"),
    ],
)
def test_the_field_that_cannot_be_read_is_named_with_what_it_takes(expression: str, problem: str) -> None:
    with pytest.raises(FireTimesError) as caught:
        Cron(expression, "UTC")
    assert problem in str(caught.value)


def test_a_rare_day_is_found() -> None:
    assert Cron("0 0 29 2 *", "UTC").after(moment("2027-01-01")) == moment("2028-02-29")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("* * * * * *", "has 6 fields"),
        ("* * * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("60 * * * *", "as its minute, which cannot be read; give 0 to 59"),
        ("*/0 * * * *", "as its minute, which cannot be read; give 0 to 59"),
        ("0 24 * * *", "as its hour, which cannot be read; give 0 to 23"),
        ("0 0 * * MONDAY", "as its day-of-week, which cannot be read"),
        ("0 0 * * \N{SUPERSCRIPT TWO}L", "as its day-of-week, which cannot be read"),
        ("@reboot", "is no name; there are: @hourly"),
        ("*/5 " * 100, "characters long"),
    ],
)
def test_what_is_no_expression_is_refused_with_a_remedy(expression: str, told: str) -> None:
    with pytest.raises(FireTimesError, match=told):
        Cron(expression, "UTC")


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "../../etc/passwd", "/etc/passwd", "Europe", "Europe/Berl\0in", "x" * 1000, "\N{SNOWMAN}"]
)
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(FireTimesError, match="install tzdata") as caught:
        Cron("0 0 * * *", zone)
    assert caught.value.field == "time_zone"


@pytest.mark.parametrize("seconds", [0, -1, 366 * 86_400 + 1])
def test_an_interval_has_bounds(seconds: int) -> None:
    with pytest.raises(FireTimesError, match="whole seconds from 1 to"):
        Interval(seconds)


def test_each_says_in_words_what_it_is() -> None:
    assert Cron("30 2 * * *", "Europe/Berlin").describe() == "At 02:30 every day (Europe/Berlin)"
    assert Interval(90).describe() == "every 90 s"


numbers = st.integers(0, 59).map(str)
minutes = st.one_of(numbers, st.sampled_from(["*", "*/15", "*/7", "5-20", "0,30"]))
hours = st.one_of(st.integers(0, 23).map(str), st.sampled_from(["*", "*/2", "*/5", "1-3", "0,12"]))
crons = st.builds(
    lambda minute, hour, day, zone: Cron(f"{minute} {hour} {day} * *", zone),
    minutes,
    hours,
    st.sampled_from(["*", "*/2", "L", "1,15", "28-31"]),
    st.sampled_from(ZONES),
)
fire_times = st.one_of(crons, st.builds(Interval, st.integers(1, 100_000)))
moments = st.floats(moment("2026-01-01"), moment("2028-12-31"), allow_nan=False)
changes = st.sampled_from([(zone, day) for zone, day, _, _ in DAYS_OF_CHANGE]).flatmap(
    lambda each: st.integers(-4, 28).map(lambda hour: moment(each[1], each[0]) + hour * 1800.5)
)


@settings(deadline=None)
@given(fire_times, st.one_of(moments, changes))
def test_fires_come_one_after_the_other_at_whole_seconds(fires: Cron | Interval, now: float) -> None:
    for _ in range(5):
        fire = fires.after(now)
        assert fire > now
        assert fire == int(fire)
        now = fire


@settings(deadline=None)
@given(crons.filter(lambda cron: cron.time_zone != "Australia/Lord_Howe"), st.one_of(moments, changes), st.data())
def test_it_does_not_matter_from_when_one_looks(fires: Cron, now: float, data: st.DataObject) -> None:
    """Except on Lord Howe, so that two leaders that look at different moments agree on the nominal times."""
    fire = fires.after(now)
    between = data.draw(st.floats(now, fire - 0.001, allow_nan=False)) if fire - now > 0.001 else now
    assert fires.after(between) == fire


@settings(deadline=None)
@given(fire_times, moments, st.integers(0, 30), st.integers(1, 20))
def test_what_is_due_are_the_last_ones_in_order(fires: Cron | Interval, now: float, ago: int, limit: int) -> None:
    first = now
    every = [first := fires.after(first) for _ in range(ago + 1)]
    present = every[-1] - 0.5
    come = [fire for fire in every if fire <= present]
    found = due(fires, every[0], present, limit)
    assert list(found.times) == come[-limit:]
    assert found.left_out == len(come) - len(found.times)
    assert found.next == every[-1]


@pytest.mark.parametrize("fires", [Cron("*/5 * * * *", "Europe/Berlin"), Interval(300)])
def test_a_year_that_was_missed_is_not_computed_fire_by_fire(fires: Cron | Interval, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    real = type(fires).after

    def counted(self: Cron | Interval, moment: float) -> float:
        nonlocal asked
        asked += 1
        return real(self, moment)  # type: ignore[arg-type]

    monkeypatch.setattr(type(fires), "after", counted)
    now = moment("2027-06-01T12:02")
    found = due(fires, moment("2026-06-01"), now, 10)
    assert found.times == tuple(now - 120 - 300 * back for back in range(9, -1, -1))
    assert found.next == now + 180
    assert LOOKED_AT_MAX < asked < LOOKED_AT_MAX + 200


def test_how_far_some_fires_reach() -> None:
    assert reach_seconds(Interval(60), 600.0, 5, 1e9) == 300.0
    assert 6 * 86_400 < reach_seconds(Cron("@daily", "Europe/Berlin"), moment("2027-05-01T10:00"), 7, 1e9) <= 7 * 86_400


def test_how_far_they_reach_is_found_no_further_than_it_matters() -> None:
    """A hundred leap days are four centuries; the second fire is more than four years away."""
    leap_days = Cron("0 0 29 2 *", "UTC")
    now = moment("2027-05-01")
    assert reach_seconds(leap_days, now, 100, 30 * 86_400.0) == leap_days.after(now) - now
