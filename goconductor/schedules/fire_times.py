"""The times at which a schedule fires: those of a cron expression in a time zone, or each so many seconds.

Cron has no standard where the clock is changed. The rules here are those of Debian's cron, as the library ``cronsim`` has them:

- A time that the clock jumps over is fired where the gap ends: ``30 2 * * *`` in Berlin fires at 03:00 on that day.
- A time that comes twice is fired once, the first time, where both minute and hour are given. Where the minute or the hour
  begins with ``*``, it follows the clock, so ``*/15 * * * *`` fires in both hours.
- Day of month and day of week are joined by *or*; by *and* where one of them begins with ``*``.

What is nobody's wish, and stays: where the clock is changed by half an hour (Lord Howe), ``30 * * * *`` and ``0 */2 * * *`` lose
a fire on the day of the change.

A nominal time is computed in UTC and kept by the caller. The zones' rules differ between machines and are changed by
governments at short notice, so a time that was kept does not move, and the next one follows the rules of that day.

An interval has its fires at the multiples of its length since 1970 in UTC, whoever computes them and whenever it began.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from goconductor.errors import GoConductorError

CRON_CHARACTERS_MAX = 255
"""Greatest length of a cron expression, in characters."""
ZONE_CHARACTERS_MAX = 64
"""Greatest length of a time zone's name, in characters."""
EVERY_SECONDS_MAX = 366 * 86_400
"""The longest interval, in seconds: a year."""
OF_THE_MACHINE = re.compile(r"localtime|posixrules|factory|(posix|right)/.*", re.IGNORECASE)
"""Names that are no zones of the IANA's data: they mean another time on each machine, or are there on some only."""
LOOKED_AT_MAX = 1_000
"""Greatest number of fire times that are computed one after the other; a minute's expression has them in 17 hours."""
NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""Words for expressions, as crontabs have them."""


FIELDS = {
    "minute": "give 0 to 59",
    "hour": "give 0 to 23",
    "day-of-month": "give 1 to 31, or L for the last",
    "month": "give 1 to 12, or JAN to DEC",
    "day-of-week": "give 0 to 7 where both are Sunday, SUN to SAT, 5L for the last Friday or 1#2 for the second Monday",
}
"""The fields of an expression in their order, by the library's names, and what each takes."""


class FireTimesError(GoConductorError):
    """No times can be made of this.

    Args:
        field: the name of the argument that does not fit: ``cron``, ``time_zone`` or ``every_seconds``.
        problem: what is wrong with it, and the remedy.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"{field} {problem}")


@dataclass(frozen=True)
class Interval:
    """A fire at each multiple of a length.

    Args:
        every_seconds: the length, in whole seconds.

    Raises:
        FireTimesError: it is no length of 1 second to a year.
    """

    every_seconds: int

    def __post_init__(self) -> None:
        """Check the length."""
        if not 1 <= self.every_seconds <= EVERY_SECONDS_MAX:
            raise FireTimesError(
                "every_seconds", f"is {self.every_seconds:,}; give whole seconds from 1 to {EVERY_SECONDS_MAX:,} (a year)"
            )

    def after(self, moment: float) -> float:
        """Return the first fire time after a moment, both in seconds since 1970."""
        return float((math.floor(moment) // self.every_seconds + 1) * self.every_seconds)

    def describe(self) -> str:
        """Say it in words."""
        return f"every {self.every_seconds:,} s"


@dataclass(frozen=True)
class Cron:
    """The fires of a cron expression.

    Args:
        expression: five fields, minute first, or one of :data:`NAMES`.
        time_zone: a name of the IANA's data, such as ``Europe/Berlin``.

    Raises:
        FireTimesError: the expression or the zone cannot be read. That it fires at all is found by :meth:`after`.
    """

    expression: str
    time_zone: str

    def __post_init__(self) -> None:
        """Read both once."""
        _zone(self.time_zone)
        self._fires_from(0.0)

    def after(self, moment: float) -> float:
        """Return the first fire time after a moment, both in seconds since 1970.

        Raises:
            FireTimesError: there is none within 50 years.
        """
        # beside a change of the clock the library may go back into an hour that it has left
        for fire in self._fires_from(moment):
            if fire > moment:
                return fire
        raise FireTimesError(
            "cron", f"{self.expression!r} never fires: no day of the next 50 years fits; see its days and months"
        )

    def describe(self) -> str:
        """Say it in words."""
        text = CronSim(self._fields(), datetime.fromtimestamp(0, UTC)).explain()
        return f"{text} ({self.time_zone})"

    def _fields(self) -> str:
        return NAMES.get(self.expression, self.expression)

    def _fires_from(self, moment: float) -> Iterator[float]:
        text = self._fields()
        if len(text) > CRON_CHARACTERS_MAX:
            raise FireTimesError("cron", f"is {len(text):,} characters long; at most {CRON_CHARACTERS_MAX} are taken")
        if text.startswith("@"):
            raise FireTimesError("cron", f"is {text!a}, which is no name; there are: {', '.join(NAMES)}")
        if (count := len(text.split())) != 5:
            raise FireTimesError(
                "cron", f"{text!a} has {count} fields; give five: minute, hour, day of month, month, day of week"
            )
        local = datetime.fromtimestamp(math.floor(moment), UTC).astimezone(_zone(self.time_zone))
        try:
            fires = CronSim(text, local)
        except CronSimError as error:
            raise FireTimesError("cron", _unread(text, str(error))) from None
        return (fire.timestamp() for fire in fires)


def _unread(text: str, complaint: str) -> str:
    """Say which field of an expression cannot be read, and what it takes. The library names the field only."""
    name = complaint.removeprefix("Bad ")
    if name not in FIELDS:
        return f"{text!a} cannot be read ({complaint}); give five fields: {', '.join(FIELDS)}"
    field = text.split()[[*FIELDS].index(name)]
    if name == "day-of-month" and field.isdecimal() and 1 <= int(field) <= 31:
        return f"{text!a} never fires: the months that it names have no day {field}; give another day, or other months"
    return f"{text!a} has {field!a} as its {name}, which cannot be read; {FIELDS[name]}, or * for each, 1,2 or 1-5 or */2"


FireTimes = Interval | Cron


@dataclass(frozen=True)
class Due:
    """The fire times that have come.

    Args:
        times: the last of them, oldest first, at most as many as were asked for.
        left_out: how many older ones there are; where it is very long, more than that.
        next: the first that has not come.
    """

    times: tuple[float, ...]
    left_out: int
    next: float


def due(fires: FireTimes, first: float, now: float, limit: int) -> Due:
    """Return what has come since, which may be years: the work is bounded by ``limit`` and :data:`LOOKED_AT_MAX`.

    Args:
        fires: what is fired.
        first: the first fire time that counts, in seconds since 1970.
        now: the present.
        limit: how many times are wanted at most, the last ones.
    """
    kept: deque[float] = deque(maxlen=limit)
    count, fire = 0, first
    while fire <= now and count < LOOKED_AT_MAX:
        kept.append(fire)
        count, fire = count + 1, fires.after(fire)
    if fire > now:
        return Due(tuple(kept), count - len(kept), fire)
    window = 60.0
    while True:  # each window is twice as long as the one before, and the last one has at most a few times the limit
        since = now - window
        if since <= fire:
            since = math.nextafter(fire, -math.inf)
        kept.clear()
        found, next_fire = 0, fires.after(since)
        while next_fire <= now:
            kept.append(next_fire)
            found, next_fire = found + 1, fires.after(next_fire)
        if found >= limit or since < fire:
            return Due(tuple(kept), count + found - len(kept), next_fire)
        window *= 2


def reach_seconds(fires: FireTimes, now: float, count: int, enough: float) -> float:
    """Return how many seconds ``count`` fires in a row last, about: the sum of their distances from now on.

    Args:
        fires: what is fired.
        now: the present, in seconds since 1970.
        count: the number of fires.
        enough: from so many seconds on the answer may be too small. A hundred fires of a leap day are four hundred years, of
            which each day is looked at.
    """
    fire = now
    for _ in range(count):
        if fire - now >= enough:
            break
        fire = fires.after(fire)
    return fire - now


def _zone(name: str) -> ZoneInfo:
    try:
        if (
            len(name) > ZONE_CHARACTERS_MAX
            or not name.isascii()
            or not name.isprintable()
            or not name
            or OF_THE_MACHINE.fullmatch(name)
        ):
            raise ValueError(name[:ZONE_CHARACTERS_MAX])  # noqa: TRY301  (the same remedy)
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise FireTimesError(
            "time_zone",
            f"{name[:ZONE_CHARACTERS_MAX]!a} is not known here; give a name such as 'Europe/Berlin' or 'UTC', or install tzdata",
        ) from None
