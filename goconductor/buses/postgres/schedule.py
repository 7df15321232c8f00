"""When a subscription does what. Each value knows one deadline; it is given the time and reads no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SLOW_TAKE_SECONDS = 0.005
"""Seconds of a look above which it reads many dead rows, which a long transaction keeps from vacuum: floors are worth finding."""


class Interval:
    """What is done now and then.

    Args:
        seconds: from one time to the next.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due_at = 0.0

    def is_due(self, now: float) -> bool:
        """Return whether it is time."""
        return now >= self._due_at

    def done(self, now: float) -> None:
        """Wait for the next time."""
        self._due_at = now + self._seconds

    def hurry(self) -> None:
        """Do it as soon as possible."""
        self._due_at = 0.0


class Looks:
    """When to look for messages: at once where there may be some, else at longer and longer intervals.

    Args:
        first_seconds: the wait after a look that found something, or after news.
        seconds_max: the longest wait, unless looks themselves are slow.
    """

    def __init__(self, first_seconds: float, seconds_max: float) -> None:
        self._first_seconds = self._wait_seconds = self._next_seconds = first_seconds
        self._seconds_max = seconds_max
        self._at = 0.0
        self.at_once = True
        """Whether there may be news; set by a notification, also during a look."""

    def is_due(self, now: float) -> bool:
        """Return whether it is time to look."""
        return self.at_once or now >= self._at

    def begin(self) -> None:
        """Record that a look begins: news from now on asks for another one."""
        self._next_seconds = self._first_seconds if self.at_once else min(2 * self._wait_seconds, self._seconds_max)
        self.at_once = False

    def end(self, now: float, took_seconds: float, *, found: bool) -> None:
        """Record that it is over. Slow looks are made less often: they take a tenth of the time at most."""
        self._wait_seconds = self._first_seconds if found else max(self._next_seconds, 10 * took_seconds)
        self._at = now + self._wait_seconds

    def seconds_left(self, now: float) -> float:
        """Return the seconds until the next look; none, where there may be news."""
        return 0.0 if self.at_once else self._at - now


class Floors:
    """The lowest number of a message in each queue, which spares a look the dead rows below; they are believed for a while."""

    def __init__(self) -> None:
        self._floors: Mapping[int, int] = {}
        self._until = 0.0

    def of(self, queue_ids: Sequence[int], now: float) -> list[int]:
        """Return the floor of each queue; 0 where it is not known."""
        floors = self._floors if now < self._until else {}
        return [floors.get(queue_id, 0) for queue_id in queue_ids]

    def are_wanted(self, began: float, took_seconds: float) -> bool:
        """Return whether a look was so slow that floors may help, and none are in use yet."""
        return took_seconds > SLOW_TAKE_SECONDS and began >= self._until

    def found(self, floors: Mapping[int, int], began: float, took_seconds: float) -> None:
        """Believe these for a second, or as long as finding them takes a twentieth of the time."""
        self._floors = floors
        self._until = began + max(1.0, 20 * took_seconds)

    def forget(self) -> None:
        """Believe none: the queues may be others."""
        self._until = 0.0
