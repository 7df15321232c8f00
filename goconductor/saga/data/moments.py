"""Times in a saga's data: a text as RFC 3339 writes it, or seconds since 1970.

::

    2026-03-29T09:00:00Z
    2026-03-29T11:00:00.25+02:00
    1774774800

A time without its offset from UTC is refused: nobody could say which moment it is. This module knows no time zones and asks no
clock, and what it accepts never changes, since a replay reads the same texts again.
"""

from __future__ import annotations

import re
from typing import Any

from goconductor.errors import PayloadError

SECONDS_MAX = 253_402_300_799.0
"""The last second of the year 9999."""

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:([Zz])|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_REMEDY = "write it as 2026-03-29T09:00:00Z, with its offset from UTC, or as seconds since 1970"


def moment_of(value: Any, *, path: str) -> float:
    """Return the time that a value stands for, in seconds since 1970.

    Args:
        value: as it stands in the saga's data.
        path: where it stands, for the error.

    Raises:
        PayloadError: it is no time, or one before 1970 or after the year 9999.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds: float | None = float(value) if abs(value) <= SECONDS_MAX else None
    else:
        seconds = _read(value) if isinstance(value, str) else None
    if seconds is None or not 0 <= seconds <= SECONDS_MAX:
        raise PayloadError(path, f"is no time: {value!a:.60}; {_REMEDY}")
    return seconds


def _read(text: str) -> float | None:
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    hours, minutes = int(found[10] or 0), int(found[11] or 0)
    if not (1 <= month <= 12 and 1 <= day <= _days_of(year, month) and hour <= 23 and minute <= 59 and second <= 59):
        return None
    if hours > 23 or minutes > 59:
        return None
    offset = (hours * 60 + minutes) * (-60 if found[9] == "-" else 60)
    whole = _days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
    return whole + float(found[7] or 0)


def _days_of(year: int, month: int) -> int:
    return 29 if month == 2 and _is_leap(year) else _DAYS[month - 1]


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Count the days by the Gregorian calendar; the years before are each of 365 days, and one more for each leap year."""
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    return days + sum(_days_of(year, each) for each in range(1, month)) + day - 1 - 719_162
