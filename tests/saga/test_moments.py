"""Times in a saga's data: what can be read, to the second, and what is refused. Python's own reader is the oracle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goconductor.errors import PayloadError
from goconductor.saga.data.moments import SECONDS_MAX, moment_of

offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(min_value=datetime(1970, 1, 3), max_value=datetime(9999, 12, 29), timezones=offsets)  # noqa: DTZ001


@given(times)
def test_a_time_with_its_offset_is_read_as_python_reads_it(time: datetime) -> None:
    assert moment_of(time.isoformat(), path="$.input.at") == pytest.approx(time.timestamp(), abs=1e-5)


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2024-02-29t23:59:59z", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("2026-03-29 11:00:00.25+02:00", datetime(2026, 3, 29, 9, 0, 0, 250_000, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1_774_774_800, datetime(2026, 3, 29, 9, tzinfo=UTC)),
        (0.5, datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_times(value: Any, time: datetime) -> None:
    assert moment_of(value, path="$.input.at") == time.timestamp()


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-29T09:00:00",
        "2026-03-29",
        "2026-3-29T09:00:00Z",
        "2025-02-29T09:00:00Z",
        "1900-02-29T09:00:00Z",
        "2026-13-01T09:00:00Z",
        "2026-03-29T24:00:00Z",
        "2026-03-29T09:60:00Z",
        "2026-03-29T09:00:60Z",
        "2026-03-29T09:00:00+24:00",
        "2026-03-29T09:00:00Z\n",
        "٢٠٢٦-03-29T09:00:00Z",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "tomorrow",
        "",
        -1,
        SECONDS_MAX + 1,
        10**400,
        True,
        None,
        {"at": 1},
        ["2026-03-29T09:00:00Z"],
    ],
)
def test_what_is_no_time_is_refused_with_the_remedy(value: Any) -> None:
    with pytest.raises(PayloadError, match=r"\$\.input\.at: is no time.*with its offset from UTC"):
        moment_of(value, path="$.input.at")
