"""When work that nobody holds may be sent again: ever more seldom, so that a backlog does not multiply itself."""

from __future__ import annotations

from goconductor.aio.backoff import doubled
from goconductor.ports.store import LeaseKey

FIRST_SECONDS = 5.0
"""Seconds between the first time that work is sent again and the second."""
SECONDS_MAX = 120.0
"""Greatest seconds between two sendings."""
COUNT_MAX = 100_000
"""Pieces of work that are remembered."""


class Resending:
    """The times at which a leader sent work again. Another leader begins anew."""

    def __init__(self) -> None:
        self._sent: dict[LeaseKey, tuple[int, float]] = {}

    def forget(self) -> None:
        """Begin anew: what was sent may be lost with all that waited for it."""
        self._sent.clear()

    def due_at(self, key: LeaseKey, now: float, *, at_once: bool, seconds_max: float = SECONDS_MAX) -> float:
        """Return when work may be sent again. If that is now, it counts as sent.

        Args:
            key: which work.
            now: the database's time, in seconds since 1970.
            at_once: it is known to be needed, as its process died.
            seconds_max: the greatest pause.
        """
        times, due_at = self._sent.get(key, (0, now))
        if at_once or due_at <= now:
            if len(self._sent) > COUNT_MAX:  # forget all: a walk asks next for those that are the oldest here
                self._sent.clear()
            self._sent[key] = (times + 1, now + doubled(FIRST_SECONDS, times, seconds_max=seconds_max))
            return now
        return due_at
