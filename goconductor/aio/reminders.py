"""Logging a trouble that lasts: at once, and then again at growing intervals."""

from __future__ import annotations

import time
from collections.abc import Callable

from goconductor.aio.backoff import Backoff

FIRST_SECONDS = 5.0
"""Seconds between the first two reminders."""
SECONDS_MAX = 60.0
"""Default of the first and the longest interval between two log lines, in seconds."""


class Reminder:
    """Decides when a trouble is logged, for a loop that meets it again and again.

    A trouble that was not met for the longest interval after its next line was due is over. What comes then is a new one.

    Args:
        first_seconds: the time between the first line and the second; each interval is twice as long as the one before.
        seconds_max: the longest interval.
        monotonic: a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        first_seconds: float = FIRST_SECONDS,
        seconds_max: float = SECONDS_MAX,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._intervals = Backoff(first_seconds, seconds_max)
        self._seconds_max = seconds_max
        self._monotonic = monotonic
        self._due_at: float | None = None

    def is_due(self) -> bool:
        """Answer whether the trouble is to be logged now. After a yes the next interval begins."""
        now = self._monotonic()
        if self._due_at is not None:
            if now < self._due_at:
                return False
            if now > self._due_at + self._seconds_max:
                self._intervals.reset()
        self._due_at = now + self._intervals.next()
        return True

    def end(self) -> bool:
        """Note that the trouble is over; the next one is logged at once.

        Returns:
            whether it was logged, so that its end is worth a line as well.
        """
        was_logged = self._due_at is not None
        self._due_at = None
        self._intervals.reset()
        return was_logged
