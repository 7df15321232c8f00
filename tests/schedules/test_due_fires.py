"""Which of a schedule's times are fired, and which count as missed."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from goconductor.schedules.schedule import CATCH_UP_MAX, LATE_SECONDS, Kept, Progress, Schedule, due_fires

HOUR = 3_600.0


@given(
    catch_up=st.integers(0, CATCH_UP_MAX),
    come=st.integers(1, 2 * CATCH_UP_MAX),
    after_last=st.floats(0.0, HOUR - 1.0),
)
def test_the_last_of_the_late_ones_are_fired_up_to_the_limit_and_the_others_count_as_missed(
    catch_up: int, come: int, after_last: float
) -> None:
    times = [HOUR * (10 + index) for index in range(come)]
    now = times[-1] + after_last
    schedule = Schedule(saga="pack", input=msgspec.Raw(b"null"), every_seconds=int(HOUR), catch_up=catch_up)
    fired, progress = due_fires(Kept(schedule=schedule, progress=Progress(next_at=times[0])), now, None)
    late = [at for at in times if now - at > LATE_SECONDS]
    expected = min(catch_up, len(late)) + len(times) - len(late)
    assert list(fired) == times[len(times) - expected :]
    assert (progress.missed, progress.next_at) == (len(times) - expected, times[-1] + HOUR)
