"""Growing pauses between tries, so that what cannot answer now is not asked all the time."""

from __future__ import annotations

import random

_DOUBLINGS_MAX = 60
"""Doublings at most: a float would overflow at a thousand, and no pause grows so far."""


def doubled(first_seconds: float, times: int, *, seconds_max: float) -> float:
    """Return a pause after a number of doublings.

    Args:
        first_seconds: the pause that was not doubled yet.
        times: number of doublings, such as the number of failures before this one.
        seconds_max: the longest pause.
    """
    return float(min(first_seconds * 2 ** min(times, _DOUBLINGS_MAX), seconds_max))


class Backoff:
    """The pauses of one loop that tries again. Each is twice as long as the one before, up to a longest.

    Args:
        first_seconds: the first pause, and the first after a success.
        seconds_max: the longest pause.
        jitter: the part of each pause that is left to chance, from 0 (none) to 1 (all of it). It keeps those apart that failed at
            the same moment.
    """

    def __init__(self, first_seconds: float, seconds_max: float, *, jitter: float = 0.0) -> None:
        self._first_seconds = self._seconds = first_seconds
        self._seconds_max = seconds_max
        self._jitter = jitter

    def next(self) -> float:
        """Return the seconds to wait now; the next pause is twice as long."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, self._seconds_max)
        return seconds * (1.0 - self._jitter * random.random()) if self._jitter else seconds  # noqa: S311  (no secret)

    def reset(self) -> None:
        """Begin with the first pause again, as after a success."""
        self._seconds = self._first_seconds
